package pipeline

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/alert"
	"github.com/kubebot/kubebot/internal/decide"
)

func TestATeamIsToldBesidesTheKubeBotsReceivers(t *testing.T) {
	own, first, second := &counter{}, &counter{}, &counter{}
	p, api := start(t, own, &broken{})
	a := fired("A", "1", v1alpha1.SeverityCritical, time.Now())
	a.Labels["namespace"], a.Labels["pod"] = "shop", "checkout-1-x"
	route := []decide.TeamRoute{{Namespace: "shop", Receivers: []string{"t/r/a"}}}
	p.SetTeams(route, []Receiver{{Name: "t/r/a", Type: "webhook", Sink: first}})
	require.NoError(t, p.Ingest(t.Context(), []alert.Alert{a}))
	require.Eventually(t, func() bool { return own.calls.Load() == 1 && first.calls.Load() == 1 }, 30*time.Second, time.Millisecond)

	// Another token makes another sink, of the same name.
	p.SetTeams(route, []Receiver{{Name: "t/r/a", Type: "webhook", Sink: second}})
	require.NoError(t, p.Ingest(t.Context(), []alert.Alert{ended(a, time.Now())}))
	require.Eventually(t, func() bool { return own.calls.Load() == 2 && second.calls.Load() == 1 }, 10*time.Second, time.Millisecond)
	assert.EqualValues(t, 1, first.calls.Load())
	require.Eventually(t, func() bool { return only(t, api).Status.Receivers == "oncall:Delivered,t/r/a:Delivered" }, 30*time.Second, 10*time.Millisecond)

	// A route that is gone tells nobody any more.
	p.SetTeams(nil, nil)
	_, ok := p.active("t/r/a")
	assert.False(t, ok)
	assert.Len(t, p.Report(), 1)
}

func TestAMuteTimeOfTheKubeBotHoldsForItsReceiversAlone(t *testing.T) {
	inc := &v1alpha1.Incident{Status: v1alpha1.IncidentStatus{
		Transition: &v1alpha1.TransitionRecord{Kind: v1alpha1.TransitionUpdated, Sequence: 2},
		Deliveries: []v1alpha1.Delivery{{Receiver: "oncall", Sequence: 1, State: v1alpha1.DeliveryDelivered}, {Receiver: "t/r/a", Sequence: 1, State: v1alpha1.DeliveryDelivered}},
	}}
	out := decide.Outcome{Decision: v1alpha1.Decision{Verdict: v1alpha1.VerdictNotify, Reason: decide.ReasonTeamAlone}, Receivers: []string{"t/r/a"}}
	assert.Equal(t, []string{"t/r/a"}, targets(inc, out, []string{"oncall", "t/r/a"}))
}
