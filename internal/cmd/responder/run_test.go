package responder

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubebot/kubebot/api/v1alpha1"
)

func TestCriticalAlertIsStoredBeforeTheAnswerAndPushedThenResolved(t *testing.T) {
	r := newRig(t, nil)
	p := r.start("a")
	require.Equal(t, http.StatusOK, p.post(token, body(t, down("checkout", "firing"))))
	require.Len(t, r.incidents(), 1, "2xx means stored")
	require.Eventually(t, func() bool { return len(r.sink.messages()) == 1 }, 5*time.Second, 10*time.Millisecond)
	first := r.sink.messages()[0]
	assert.Equal(t, v1alpha1.TransitionOpened, first.Transition)
	assert.Equal(t, "Deployment shop/checkout", first.Incident.Spec.Subject.Display)

	require.Equal(t, http.StatusOK, p.post(token, body(t, down("checkout", "resolved"))))
	require.Eventually(t, func() bool { return len(r.sink.messages()) == 2 }, 5*time.Second, 10*time.Millisecond)
	second := r.sink.messages()[1]
	assert.Equal(t, v1alpha1.TransitionResolved, second.Transition)
	assert.Equal(t, string(first.Incident.UID), second.Head.ID)
	require.Eventually(t, func() bool {
		inc := r.incidents()[0]
		return inc.Status.State == v1alpha1.IncidentResolved && inc.Status.Receivers == "oncall:Delivered"
	}, 5*time.Second, 20*time.Millisecond)
}
