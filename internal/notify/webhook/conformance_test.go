package webhook_test

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/kubebot/kubebot/internal/notify"
	"github.com/kubebot/kubebot/internal/notify/notifytest"
	"github.com/kubebot/kubebot/internal/notify/secretfile"
	"github.com/kubebot/kubebot/internal/notify/webhook"
)

const (
	signingKey = "planted-signing-key"
	urlPath    = "/hooks/planted-path?token=planted-token"
)

// secret writes a value where a mounted Secret would have it.
func secret(t *testing.T, key, value string) secretfile.Ref {
	t.Helper()
	file := filepath.Join(t.TempDir(), key)
	if err := os.WriteFile(file, []byte(value+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return secretfile.Ref{File: file, Secret: "hook", Key: key}
}

// kit describes the sink to the kit of conformance.
var kit = notifytest.Kit{
	New: func(t *testing.T, base string, client *http.Client) notify.Sink {
		return webhook.New(webhook.Options{
			URLSecret: secret(t, "url", base+urlPath), SigningSecret: secret(t, "key", signingKey), HTTPClient: client,
		})
	},
	Message: message(),
	Secrets: []string{signingKey, "planted-path", "planted-token"},
	Accept:  func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) },
	Want:    notifytest.Posting(),
}

func TestSinkConforms(t *testing.T) { notifytest.Run(t, kit) }

func FuzzAnswers(f *testing.F) { notifytest.FuzzAnswers(f, kit) }
