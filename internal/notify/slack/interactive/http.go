package interactive

import (
	"crypto/sha256"
	"errors"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	slackgo "github.com/slack-go/slack"

	"github.com/kubebot/kubebot/internal/notify/secretfile"
)

// Path of the requests.
const Path = "/slack/interactions"

// Endpoint takes Slack's signed requests (https://docs.slack.dev/authentication/verifying-requests-from-slack).
type Endpoint struct {
	// Apps that send requests; the one whose secret signed is taken.
	Apps    []*App
	Handler *Handler

	seen nonces
}

// ServeHTTP answers 401 to a request that is not signed, expired or forged, 409 to one that came before, 503 to one that
// could not be stored, and 200 once it is.
func (e *Endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost || r.URL.Path != Path {
		http.NotFound(w, r)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 2*maxPayload))
	if err != nil {
		http.Error(w, "The body can't be read.", http.StatusRequestEntityTooLarge)
		return
	}
	app := e.signer(r.Header, body)
	if app == nil {
		http.Error(w, "The signature is missing, wrong or expired.", http.StatusUnauthorized)
		return
	}
	nonce := sha256.Sum256(append([]byte(r.Header.Get("X-Slack-Request-Timestamp")+":"), body...))
	if !e.seen.take(nonce, time.Now()) {
		http.Error(w, "The request came before.", http.StatusConflict)
		return
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		http.Error(w, "The body is no form.", http.StatusBadRequest)
		return
	}
	p, err := parse([]byte(form.Get("payload")))
	switch {
	case errors.Is(err, errNotOurs):
		w.WriteHeader(http.StatusOK)
		return
	case err != nil:
		http.Error(w, "The payload can't be used.", http.StatusBadRequest)
		return
	}
	if err := e.Handler.take(r.Context(), app, p); err != nil {
		e.seen.forget(nonce)
		e.Handler.Log.Error(err, "Press was not stored", "user", p.who.id, "action", p.action)
		http.Error(w, "The press can't be stored now.", http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(http.StatusOK)
}

// signer returns the app whose secret signed the request; nil for none.
func (e *Endpoint) signer(header http.Header, body []byte) *App {
	for _, app := range e.Apps {
		secret, err := secretfile.Read(app.Signing)
		if err != nil {
			continue
		}
		v, err := slackgo.NewSecretsVerifier(header, secret)
		if err != nil {
			continue
		}
		if _, err := v.Write(body); err == nil && v.Ensure() == nil {
			return app
		}
	}
	return nil
}

// Bounds of what is remembered of requests: for as long as a signature holds, whatever the clocks.
const (
	nonceTime = 11 * time.Minute
	maxNonces = 10000
)

// nonces remember the requests that came. A replay at another replica is found by the press in the Incident.
type nonces struct {
	mu   sync.Mutex
	seen map[[sha256.Size]byte]time.Time
}

// forget lets a request come again that could not be stored.
func (n *nonces) forget(sum [sha256.Size]byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.seen, sum)
}

// take tells whether a request is new. When more come than can be remembered, new ones are refused.
func (n *nonces) take(sum [sha256.Size]byte, now time.Time) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.seen == nil {
		n.seen = map[[sha256.Size]byte]time.Time{}
	}
	if len(n.seen) >= maxNonces {
		for key, at := range n.seen {
			if now.Sub(at) > nonceTime {
				delete(n.seen, key)
			}
		}
	}
	if at, ok := n.seen[sum]; ok && now.Sub(at) <= nonceTime || len(n.seen) >= maxNonces {
		return false
	}
	n.seen[sum] = now
	return true
}
