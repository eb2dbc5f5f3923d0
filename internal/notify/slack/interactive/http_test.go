package interactive

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/interact"
	slacktest "github.com/kubebot/kubebot/test/slack"
)

func TestASignedRequestIsTakenOnceAndAReplayRefused(t *testing.T) {
	r := newRig(t, v1alpha1.SlackPermissions{})
	address, second := r.endpoint(), r.endpoint()
	r.SetInteractivity(slacktest.Interactivity{RequestURL: address, SigningSecret: signing})
	out := r.press(interact.Acknowledge, anna)
	require.True(t, out.Acked, "%+v", out)
	r.told(anna, "You have acknowledged the incident.")

	inc := r.incident()
	inc.Spec.Acknowledge = nil
	require.NoError(t, r.client.Update(context.Background(), inc))
	assert.Equal(t, http.StatusConflict, replay(t, address, out.Header, out.Body))
	assert.Equal(t, http.StatusOK, replay(t, second, out.Header, out.Body), "the other replica does not know the request")
	assert.Nil(t, r.incident().Spec.Acknowledge, "but the Incident knows the press")
}

func replay(t *testing.T, address string, header http.Header, body string) int {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, address, strings.NewReader(body))
	require.NoError(t, err)
	req.Header = header.Clone()
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return resp.StatusCode
}

func TestForgedAndExpiredRequestsAreRefused(t *testing.T) {
	r := newRig(t, v1alpha1.SlackPermissions{})
	address := r.endpoint()
	r.SetInteractivity(slacktest.Interactivity{RequestURL: address, SigningSecret: "forged"})
	out := r.press(interact.Acknowledge, anna)
	assert.Equal(t, http.StatusUnauthorized, out.Status)
	body := url.Values{"payload": {string(out.Payload)}}.Encode()
	for name, c := range map[string]struct {
		header http.Header
		body   string
		want   int
	}{
		"expired":                {slacktest.Sign(signing, body, time.Now().Add(-6*time.Minute)), body, http.StatusUnauthorized},
		"of the future":          {slacktest.Sign(signing, body, time.Now().Add(6*time.Minute)), body, http.StatusUnauthorized},
		"another body":           {slacktest.Sign(signing, body, time.Now()), body + "&x=1", http.StatusUnauthorized},
		"unsigned":               {http.Header{}, body, http.StatusUnauthorized},
		"signed with nothing":    {slacktest.Sign("", body, time.Now()), body, http.StatusUnauthorized},
		"no payload":             {slacktest.Sign(signing, "x=1", time.Now()), "x=1", http.StatusBadRequest},
		"a link that was opened": {slacktest.Sign(signing, link, time.Now()), link, http.StatusOK},
	} {
		assert.Equal(t, c.want, replay(t, address, c.header, c.body), name)
	}
	assert.Empty(t, r.incident().Spec.Actions)
	resp, err := http.Get(strings.TrimSuffix(address, Path) + "/api/v1/status")
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	assert.Equal(t, http.StatusNotFound, resp.StatusCode, "nothing else is served here")
}

var link = url.Values{"payload": {`{"type":"block_actions","user":{"id":"U0000000011"},"channel":{"id":"C0000000001"},"actions":[{"type":"button","action_id":"kubebot_link_dashboard","action_ts":"1.1"}]}`}}.Encode()
