package teams_test

import (
	"net/http"
	"testing"

	"github.com/kubebot/kubebot/internal/notify"
	"github.com/kubebot/kubebot/internal/notify/notifytest"
	"github.com/kubebot/kubebot/internal/notify/teams"
)

// kit describes the sink to the kit of conformance.
var kit = notifytest.Kit{
	New: func(t *testing.T, base string, client *http.Client) notify.Sink {
		return teams.New(teams.Options{URLSecret: notifytest.Secret(t, "teams", "url", base+"/workflows/planted-path?sig=planted-signature"), HTTPClient: client})
	},
	Message: notifytest.Message(),
	Secrets: []string{"planted-path", "planted-signature"},
	Accept:  func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) },
	Want:    notifytest.Posting(http.StatusOK, http.StatusAccepted),
}

func TestSinkConforms(t *testing.T) { notifytest.Run(t, kit) }

func FuzzAnswers(f *testing.F) { notifytest.FuzzAnswers(f, kit) }
