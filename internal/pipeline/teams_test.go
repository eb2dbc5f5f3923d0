package pipeline

import (
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/alert"
	"github.com/kubebot/kubebot/internal/decide"
	"github.com/kubebot/kubebot/internal/notify"
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

func TestAReceiverOfATeamIsForgottenWhenItsCallsHaveEnded(t *testing.T) {
	hold := make(chan struct{})
	answer := sync.OnceFunc(func() { close(hold) })
	defer answer()
	slow := &counter{hold: hold}
	p, _ := start(t, &counter{}, &broken{})
	route := []decide.TeamRoute{{Namespace: "shop", Receivers: []string{"t/r/a"}}}
	both := []Receiver{{Name: "t/r/a", Type: "webhook", Sink: slow}, {Name: "t/r/b", Type: "webhook", Sink: &counter{}}}
	p.SetTeams(route, both)
	a := fired("A", "1", v1alpha1.SeverityCritical, time.Now())
	a.Labels["namespace"], a.Labels["pod"] = "shop", "checkout-1-x"
	require.NoError(t, p.Ingest(t.Context(), []alert.Alert{a}))
	require.Eventually(t, func() bool { return slow.calls.Load() == 1 }, 30*time.Second, time.Millisecond)
	called, _ := p.receiver("t/r/a")

	p.SetTeams(nil, nil)
	kept, ok := p.receiver("t/r/a")
	require.True(t, ok, "while it is called")
	assert.Same(t, called, kept)
	_, ok = p.receiver("t/r/b")
	assert.False(t, ok, "nobody calls it")
	p.SetTeams(route, []Receiver{{Name: "t/r/a", Type: "webhook", Sink: &counter{}}})
	back, _ := p.receiver("t/r/a")
	assert.Same(t, called.gate, back.gate, "the call counts when it is back")

	answer()
	require.Eventually(t, func() bool { return !back.gate.busy() }, 30*time.Second, time.Millisecond)
	p.SetTeams(nil, nil)
	_, ok = p.receiver("t/r/a")
	assert.False(t, ok)
	assert.Len(t, p.every(), 1)
	p.checkAll(t.Context())
}

func TestWhatWaitsForAReceiverIsSentWhenItComesBack(t *testing.T) {
	own, team := &counter{}, &counter{}
	p, _ := start(t, own, &broken{})
	route := []decide.TeamRoute{{Namespace: "shop", Receivers: []string{"t/r/a"}}}
	receivers := []Receiver{{Name: "t/r/a", Type: "webhook", Sink: team}}
	p.SetTeams(route, receivers)
	closed, _ := p.receiver("t/r/a")
	require.True(t, closed.gate.enter("another", time.Now()))
	closed.gate.leave(notify.Result{RetryAfter: time.Hour}, time.Now())
	a := fired("A", "1", v1alpha1.SeverityCritical, time.Now())
	a.Labels["namespace"], a.Labels["pod"] = "shop", "checkout-1-x"
	require.NoError(t, p.Ingest(t.Context(), []alert.Alert{a}))
	require.Eventually(t, func() bool { return own.calls.Load() == 1 }, 30*time.Second, time.Millisecond)

	p.SetTeams(nil, nil)
	p.SetTeams(route, receivers)
	require.Eventually(t, func() bool { return team.calls.Load() == 1 }, 10*time.Second, time.Millisecond, "not when all is looked at again")
}

func TestACallToAReceiverThatIsGoneGivesItsPlaceBack(t *testing.T) {
	p, _ := start(t, &counter{}, &broken{})
	gone := &receiver{Receiver: Receiver{Name: "t/r/a", Type: "webhook", Sink: &counter{}}, gate: newGate()}
	inc := &v1alpha1.Incident{}
	for _, end := range []func(attempt){func(a attempt) { p.send(inc, a) }, func(a attempt) { p.cancel([]attempt{a}) }} {
		require.True(t, gone.gate.enter("key", time.Now()))
		end(attempt{key: "k", receiver: "t/r/a", to: gone})
		assert.False(t, gone.gate.busy())
	}
}

func TestReceiversThatAreToldNothingNewAreForgotten(t *testing.T) {
	for _, bound := range []int{0, 3} { // 0: storms are not bundled
		r := newRush()
		at := metav1.NewTime(noon)
		r.see(&v1alpha1.Incident{Status: v1alpha1.IncidentStatus{
			Deliveries: []v1alpha1.Delivery{{Receiver: "t/r/a", Transition: v1alpha1.TransitionOpened, At: &at}}}}, noon)
		r.crowded("another", bound, noon.Add(decide.StormWindow-time.Second))
		assert.Len(t, r.told, 1)
		r.crowded("another", bound, noon.Add(decide.StormWindow))
		assert.Empty(t, r.told)
	}
}

func TestUndeliveredOfATypeEndsWithItsLastReceiver(t *testing.T) {
	p, _ := start(t, &counter{}, &broken{})
	p.Metrics = NewMetrics(prometheus.NewRegistry(), []string{"webhook", "teams"})
	p.SetTeams(nil, []Receiver{{Name: "t/r/a", Type: "teams", Sink: &counter{}}})
	inc := &v1alpha1.Incident{ObjectMeta: metav1.ObjectMeta{Name: IncidentName("uid", "key", 1)}, Spec: v1alpha1.IncidentSpec{GroupKey: "key", Number: 1}}
	inc.Status.Deliveries = []v1alpha1.Delivery{{Receiver: "t/r/a", State: v1alpha1.DeliveryPending}}
	p.index.Put(inc)
	p.gauge()
	assert.Equal(t, 1.0, testutil.ToFloat64(p.Metrics.undelivered.WithLabelValues("teams")))
	p.SetTeams(nil, nil)
	p.gauge()
	assert.Zero(t, testutil.ToFloat64(p.Metrics.undelivered.WithLabelValues("teams")))
}
