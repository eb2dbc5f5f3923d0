package post_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/kubebot/kubebot/internal/notify"
	"github.com/kubebot/kubebot/internal/notify/post"
)

func TestARefusalSaysWhetherItIsAboutTheMessage(t *testing.T) {
	for status, onlyThis := range map[int]bool{
		http.StatusBadRequest: true, http.StatusConflict: true, http.StatusRequestEntityTooLarge: true, http.StatusUnprocessableEntity: true,
		http.StatusMovedPermanently: false, http.StatusUnauthorized: false, http.StatusForbidden: false, http.StatusNotFound: false,
		http.StatusMethodNotAllowed: false, http.StatusGone: false, http.StatusProxyAuthRequired: false,
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
		for _, key := range []bool{false, true} {
			res := post.Do(t.Context(), server.Client(), post.Request{URL: server.URL, Header: http.Header{}, Now: time.Now, KeyIsContent: key})
			if want := onlyThis && !key; res.Outcome != notify.Refused || res.OnlyThis != want {
				t.Errorf("%d, and it may be about the key %t: got %+v, want a refusal of this message alone: %t", status, key, res, want)
			}
		}
		server.Close()
	}
}
