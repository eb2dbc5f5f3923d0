// Package enrichtest has what the tests of all stores need.
package enrichtest

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kubebot/kubebot/internal/diagnosis"
	"github.com/kubebot/kubebot/internal/enrich"
)

// broken panics where it is asked for a path.
type broken string

func (b broken) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasPrefix(r.URL.Path, string(b)) {
		panic("bad answer")
	}
	return http.DefaultTransport.RoundTrip(r)
}

// PanicIsAnError reads a source of a store whose answers to a path can't be borne, and wants an error of it.
func PanicIsAnError(t *testing.T, path string, of func(enrich.Store) enrich.Source) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"services":["catalog"]}`)) }))
	defer server.Close()
	source := of(enrich.Store{URL: server.URL, HTTP: &http.Client{Transport: broken(path)}})
	_, err := source.Read(t.Context(), enrich.Question{
		Subject: diagnosis.Object{Namespace: "shop", Name: "catalog"}, Alarm: time.Unix(9000, 0), Now: time.Unix(9100, 0),
	})
	require.ErrorContains(t, err, "the answer could not be read (string)")
}
