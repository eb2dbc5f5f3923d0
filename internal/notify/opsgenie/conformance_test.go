package opsgenie_test

import (
	"net/http"
	"testing"

	"github.com/kubebot/kubebot/internal/notify"
	"github.com/kubebot/kubebot/internal/notify/notifytest"
	"github.com/kubebot/kubebot/internal/notify/opsgenie"
)

// kit describes the sink to the kit of conformance.
var kit = notifytest.Kit{
	New: func(t *testing.T, base string, client *http.Client) notify.Sink {
		return opsgenie.New(opsgenie.Options{APIKey: notifytest.Secret(t, "og", "key", "planted-key"), APIURL: base + "/", HTTPClient: client})
	},
	Message: notifytest.Message(),
	Secrets: []string{"planted-key"},
	Accept:  func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) },
	Want:    notifytest.Posting(http.StatusAccepted),
}

func TestSinkConforms(t *testing.T) { notifytest.Run(t, kit) }

func FuzzAnswers(f *testing.F) { notifytest.FuzzAnswers(f, kit) }
