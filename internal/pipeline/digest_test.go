package pipeline

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/alert"
	"github.com/kubebot/kubebot/internal/decide"
	"github.com/kubebot/kubebot/internal/notify"
	"github.com/kubebot/kubebot/internal/pipeline/config"
)

// inDigest is an Incident whose delivery is in the digest k.
func inDigest(name string, state v1alpha1.DeliveryState, change ...func(*v1alpha1.Delivery)) *v1alpha1.Incident {
	inc := changed(v1alpha1.TransitionOpened, 1, v1alpha1.Delivery{
		Key: "key-" + name, Receiver: "oncall", Digest: "k", State: state, Transition: v1alpha1.TransitionOpened, Sequence: 1, NextAttempt: microStamp(noon),
	})
	inc.Name = name
	for _, c := range change {
		c(&inc.Status.Deliveries[0])
	}
	return inc
}

func TestDigestsOf(t *testing.T) {
	pending, claimed, delivered := v1alpha1.DeliveryPending, v1alpha1.DeliveryClaimed, v1alpha1.DeliveryDelivered
	until := func(at time.Time) func(*v1alpha1.Delivery) {
		return func(d *v1alpha1.Delivery) { d.Until, d.NextAttempt = microStamp(at), nil }
	}
	tried := func(d *v1alpha1.Delivery) { d.AttemptCount, d.NextAttempt = 1, microStamp(noon.Add(4*time.Second)) }
	for name, c := range map[string]struct {
		incidents        []*v1alpha1.Incident
		send, told, late int
		sent             bool
		at               time.Duration
	}{
		"what waits goes out together, a little after it is due": {[]*v1alpha1.Incident{inDigest("a", pending), inDigest("b", pending)}, 2, 0, 0, false, settleTime},
		"what another replica sends is left to it":               {[]*v1alpha1.Incident{inDigest("a", claimed, until(noon.Add(time.Minute))), inDigest("b", pending)}, 0, 0, 0, false, 0},
		"after a replica died the look-up finds its message":     {[]*v1alpha1.Incident{inDigest("a", claimed, until(noon.Add(-time.Second))), inDigest("b", claimed, until(noon.Add(-time.Second)))}, 2, 0, 0, true, 0},
		"of a message that is half recorded the rest is told with it": {
			[]*v1alpha1.Incident{inDigest("a", claimed, until(noon.Add(-time.Second))), inDigest("b", delivered)}, 1, 1, 0, true, 0},
		"what came too late goes into the next one": {[]*v1alpha1.Incident{inDigest("a", delivered), inDigest("b", pending)}, 0, 1, 1, true, 0},
		"what may be out is not joined":             {[]*v1alpha1.Incident{inDigest("a", v1alpha1.DeliveryUnknown, tried), inDigest("b", pending)}, 1, 0, 1, true, 4 * time.Second},
		"what surely did not arrive is not joined":  {[]*v1alpha1.Incident{inDigest("a", pending, tried), inDigest("b", pending)}, 1, 0, 1, false, 4 * time.Second},
		"what surely did not arrive is tried again": {[]*v1alpha1.Incident{inDigest("a", pending, tried), inDigest("b", pending, tried)}, 2, 0, 0, false, 4 * time.Second},
		"nor is it sent again with what may have":   {[]*v1alpha1.Incident{inDigest("a", claimed, until(noon.Add(-time.Second))), inDigest("b", pending, tried)}, 1, 0, 1, true, 0},
		"what an attempt that failed had, and the message had not, goes into the next one": {
			[]*v1alpha1.Incident{inDigest("a", delivered), inDigest("b", pending, tried), inDigest("c", v1alpha1.DeliveryFailed, tried)}, 0, 1, 2, true, 0},
		"what is told is done": {[]*v1alpha1.Incident{inDigest("a", delivered), inDigest("b", v1alpha1.DeliverySuperseded)}, 0, 0, 0, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			list := digestsOf(c.incidents, noon)
			if c.send+c.late == 0 {
				assert.Empty(t, list)
				return
			}
			require.Len(t, list, 1)
			g := list[0]
			assert.Equal(t, []int{c.send, c.told, c.late}, []int{len(g.send), len(g.told), len(g.late)})
			assert.Equal(t, c.sent, g.sent)
			if c.send > 0 {
				assert.Equal(t, noon.Add(c.at), g.at.UTC())
			}
		})
	}
	var many []*v1alpha1.Incident
	for i := range maxDigest + 10 {
		many = append(many, inDigest(fmt.Sprint(i), pending))
	}
	many[maxDigest+9].Status.Severity = v1alpha1.SeverityCritical
	list := digestsOf(many, noon)
	require.Len(t, list, 1)
	assert.Len(t, list[0].send, maxDigest)
	assert.Equal(t, many[maxDigest+9].Name, list[0].send[0].incident.Name, "the worst comes first")
}

func TestPlanOfDigests(t *testing.T) {
	bundle := decide.Outcome{Decision: v1alpha1.Decision{Verdict: v1alpha1.VerdictDigest}, Bundle: []string{"oncall"}, Digest: noon}
	inc := changed(v1alpha1.TransitionOpened, 1)
	plan(inc, bundle, []string{"oncall"}, true, noEnds)
	require.Len(t, inc.Status.Deliveries, 1)
	assert.True(t, gathers(&inc.Status.Deliveries[0]))
	assert.Equal(t, "oncall:InDigest", summary(inc))
	_, ok := due(inc, &inc.Status.Deliveries[0])
	assert.False(t, ok, "it is not sent by itself")

	inc.Status.Transition.Sequence, inc.Status.Transition.Kind = 2, v1alpha1.TransitionResolved
	inc.Status.State = v1alpha1.IncidentResolved
	plan(inc, bundle, []string{"oncall"}, false, noEnds)
	assert.Len(t, inc.Status.Deliveries, 1, "the digest shows it as it is then")

	inc.Status.State, inc.Status.Transition.Sequence, inc.Status.Transition.Kind = v1alpha1.IncidentOpen, 3, v1alpha1.TransitionUpdated
	plan(inc, push, []string{"oncall"}, false, noEnds)
	require.Len(t, inc.Status.Deliveries, 2)
	assert.Equal(t, v1alpha1.DeliverySuperseded, inc.Status.Deliveries[0].State, "it became worth a message of its own before the digest")
	assert.Equal(t, v1alpha1.TransitionOpened, inc.Status.Deliveries[1].Transition)

	told := inDigest("a", v1alpha1.DeliveryDelivered)
	told.Status.Deliveries[0].Channel, told.Status.Deliveries[0].MessageID = "C1", "1.0"
	assert.Zero(t, headOf(told, "oncall"), "a digest is nobody's head")
	told.Status.Transition.Sequence, told.Status.Transition.Kind = 2, v1alpha1.TransitionUpdated
	plan(told, push, []string{"oncall"}, false, noEnds)
	assert.Equal(t, v1alpha1.TransitionOpened, told.Status.Deliveries[1].Transition)
}

// collector keeps what it is sent.
type collector struct {
	mu     sync.Mutex
	got    []notify.Message
	answer func(notify.Message) notify.Result
}

func (c *collector) Send(_ context.Context, msg notify.Message) notify.Result {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.got = append(c.got, msg)
	if c.answer != nil {
		return c.answer(msg)
	}
	if msg.Head != (notify.Ref{}) {
		return notify.Result{Outcome: notify.Delivered, Word: "Delivered", Head: msg.Head}
	}
	return notify.Result{Outcome: notify.Delivered, Word: "Delivered", Head: notify.Ref{Channel: "C1", ID: msg.Key}}
}

func (*collector) Check(context.Context) (string, string) { return "", "" }

func (c *collector) messages() []notify.Message {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.got)
}

// stormy runs a pipeline that tells of three incidents a minute one by one, with a clock that is ten times as fast.
func stormy(t *testing.T, sink notify.Sink, incidents ...*v1alpha1.Incident) (*Pipeline, client.Client) {
	t.Helper()
	return stormyAs(t, nil, 10, sink, incidents...)
}

// stormyAs has a clock that is speed times as fast.
func stormyAs(t *testing.T, leader Leader, speed time.Duration, sink notify.Sink, incidents ...*v1alpha1.Incident) (*Pipeline, client.Client) {
	t.Helper()
	scheme := runtime.NewScheme()
	require.NoError(t, v1alpha1.AddToScheme(scheme))
	api := fake.NewClientBuilder().WithScheme(scheme).WithStatusSubresource(&v1alpha1.Incident{}).Build()
	began := time.Now()
	p := New(Options{
		Client: api, Config: config.Config{KubeBot: "main", Namespace: "kubebot", UID: "uid"}, Rules: decide.Rules{Receivers: []string{"oncall"}, StormAbove: 3},
		Receivers: []Receiver{{Name: "oncall", Type: "slack", Sink: sink}}, Topology: shop{}, Replica: "me", Leader: leader,
		Metrics: NewMetrics(prometheus.NewRegistry(), []string{"slack"}), Log: logr.Discard(),
		Now: func() time.Time { return began.Add(speed * time.Since(began)) },
	})
	for _, inc := range incidents {
		inc.Namespace, inc.Spec.KubeBot = "kubebot", "main"
		inc.ResourceVersion = ""
		status := inc.Status
		require.NoError(t, api.Create(t.Context(), inc))
		inc.Status = status
		require.NoError(t, api.Status().Update(t.Context(), inc))
		p.Observe(inc)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = p.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })
	return p, api
}

func receivers(t *testing.T, api client.Client) map[string]int {
	var list v1alpha1.IncidentList
	require.NoError(t, api.List(t.Context(), &list))
	states := map[string]int{}
	for _, inc := range list.Items {
		states[inc.Status.Receivers]++
	}
	return states
}

func TestStormIsToldOneByOneAtFirstThenInOneDigest(t *testing.T) {
	sink := &collector{}
	p, api := stormy(t, sink)
	const storm = 12
	for i := range storm {
		one := fired("A", fmt.Sprint(i), v1alpha1.SeverityCritical, time.Now())
		one.Labels["namespace"], one.Labels["pod"] = "shop", fmt.Sprint("pod-", i)
		require.NoError(t, p.Ingest(t.Context(), []alert.Alert{one}))
		require.Eventually(t, func() bool { return len(receivers(t, api)) > 0 && receivers(t, api)[""] == 0 }, 30*time.Second, time.Millisecond)
	}
	require.Eventually(t, func() bool { return receivers(t, api)["oncall:Delivered"] == storm }, 20*time.Second, 10*time.Millisecond)
	told := map[string]bool{}
	singles, digests := 0, 0
	for _, msg := range sink.messages() {
		if msg.Digest == nil {
			told[msg.Incident.Name] = true
			singles++
			continue
		}
		digests++
		assert.Equal(t, notify.TransitionDigest, msg.Transition)
		assert.Contains(t, msg.Incident.Status.Title, "critical")
		assert.False(t, msg.MayHaveArrived)
		for _, inc := range msg.Digest {
			assert.False(t, told[inc.Name], "told twice")
			told[inc.Name] = true
			assert.Equal(t, decide.ReasonStorm, inc.Status.Decision.Reason)
		}
	}
	assert.Equal(t, 3, singles)
	assert.LessOrEqual(t, digests, 3)
	assert.Len(t, told, storm)
	assert.EqualValues(t, storm-3, testutil.ToFloat64(p.Metrics.bundled.WithLabelValues("slack")))
	assert.EqualValues(t, storm-3, testutil.ToFloat64(p.Metrics.decisions.WithLabelValues("Digest", decide.ReasonStorm)))
	// The pipeline notes what it wrote a moment later.
	assert.Eventually(t, func() bool {
		for _, b := range p.waiting() {
			if b.count > 0 {
				return false
			}
		}
		return true
	}, 30*time.Second, 10*time.Millisecond)
}

// stored is an Incident of a digest as the API server holds it.
func stored(i int, state v1alpha1.DeliveryState, change ...func(*v1alpha1.Delivery)) *v1alpha1.Incident {
	inc := inDigest("", state, change...)
	key := fmt.Sprintf("alert/A//%d", i)
	inc.Name, inc.UID = IncidentName("uid", key, 1), ""
	inc.Spec = v1alpha1.IncidentSpec{GroupKey: key, Number: 1, Subject: v1alpha1.Subject{Kind: "Alert", Name: "A", Display: "Alert A"}}
	a := record(fired("A", fmt.Sprint(i), v1alpha1.SeverityCritical, noon), noon)
	inc.Spec.OpeningAlerts, inc.Status.Alerts = []v1alpha1.IncidentAlert{a}, []v1alpha1.IncidentAlert{a}
	inc.Status.Severity, inc.Status.Title = v1alpha1.SeverityCritical, a.Summary
	inc.Status.Decision = &v1alpha1.Decision{Verdict: v1alpha1.VerdictDigest, Reason: decide.ReasonStorm}
	inc.Status.Deliveries[0].Key = "key-" + inc.Name
	return inc
}

func TestDigestOfAReplicaThatDiedIsSentByAnotherWithTheSameKey(t *testing.T) {
	sink := &collector{}
	died := func(d *v1alpha1.Delivery) {
		d.Holder, d.Until, d.NextAttempt = "dead", microStamp(time.Now().Add(3*time.Second)), nil
	}
	_, api := stormy(t, sink, stored(1, v1alpha1.DeliveryClaimed, died), stored(2, v1alpha1.DeliveryClaimed, died), stored(3, v1alpha1.DeliveryPending))
	require.Eventually(t, func() bool { return receivers(t, api)["oncall:Delivered"] == 3 }, 20*time.Second, 10*time.Millisecond)
	got := sink.messages()
	require.Len(t, got, 2)
	assert.Equal(t, "k", got[0].Key)
	assert.True(t, got[0].MayHaveArrived, "the sink looks for it first")
	assert.Len(t, got[0].Digest, 2)
	assert.NotEqual(t, "k", got[1].Key, "what surely is in no message yet has one of its own")
	assert.False(t, got[1].MayHaveArrived)
	assert.Len(t, got[1].Digest, 1)
}

func TestDigestThatFailedIsTriedAgain(t *testing.T) {
	tries := 0
	sink := &collector{}
	sink.answer = func(msg notify.Message) notify.Result {
		if tries++; tries < 3 {
			return notify.Result{Outcome: notify.Retry, Word: "ServerError"}
		}
		return notify.Result{Outcome: notify.Delivered, Word: "Delivered"}
	}
	_, api := stormy(t, sink, stored(1, v1alpha1.DeliveryPending), stored(2, v1alpha1.DeliveryPending))
	require.Eventually(t, func() bool { return receivers(t, api)["oncall:Delivered"] == 2 }, 20*time.Second, 10*time.Millisecond)
	for _, msg := range sink.messages() {
		assert.Len(t, msg.Digest, 2)
		assert.Equal(t, "k", msg.Key)
	}
}

// The sink would find the digest's message, which does not name them, and say that they are told.
func TestWhatADigestLeftOutWhenItWasTriedAgainIsToldByTheNextOne(t *testing.T) {
	sink := &collector{}
	tried := func(d *v1alpha1.Delivery) { d.AttemptCount, d.BodySHA256 = 1, "of that message" }
	_, api := stormy(t, sink, stored(1, v1alpha1.DeliveryDelivered), stored(2, v1alpha1.DeliveryPending, tried), stored(3, v1alpha1.DeliveryFailed, tried))
	require.Eventually(t, func() bool { return receivers(t, api)["oncall:Delivered"] == 3 }, 20*time.Second, 10*time.Millisecond)
	told := 0
	for _, msg := range sink.messages() {
		assert.NotEqual(t, "k", msg.Key)
		assert.False(t, msg.MayHaveArrived)
		assert.Empty(t, msg.BodySHA256)
		told += len(msg.Digest)
	}
	assert.Equal(t, 2, told)
}

// Receivers take each key once, as Slack's history and the idempotency keys of webhooks tell them.
func TestEveryIncidentOfADigestIsNamedByAMessageThatArrived(t *testing.T) {
	const joining = 20
	named, keys := map[string]int{}, map[string]bool{}
	began, join := make(chan struct{}), func() {}
	sink := &collector{}
	sink.answer = func(msg notify.Message) notify.Result {
		<-began
		if join != nil {
			join()
			join = nil
			return notify.Result{Outcome: notify.Retry, Word: "RateLimited"}
		}
		if keys[msg.Key] {
			return notify.Result{Outcome: notify.Delivered, Word: "AlreadyDelivered"}
		}
		keys[msg.Key] = true
		for _, inc := range msg.Digest {
			named[inc.Name]++
		}
		return notify.Result{Outcome: notify.Delivered, Word: "Delivered"}
	}
	var first []*v1alpha1.Incident
	for i := range maxDigest {
		first = append(first, stored(i, v1alpha1.DeliveryPending))
	}
	p, api := stormyAs(t, nil, 3, sink, first...) // so many are claimed in time on a busy machine, too
	join = func() {
		for i := range joining { // by their names most of them come before the last ones
			inc := stored(maxDigest+i, v1alpha1.DeliveryPending)
			inc.Namespace, inc.Spec.KubeBot, inc.ResourceVersion = "kubebot", "main", ""
			status := inc.Status
			assert.NoError(t, api.Create(context.Background(), inc))
			inc.Status = status
			assert.NoError(t, api.Status().Update(context.Background(), inc))
			p.Observe(inc)
		}
	}
	close(began)
	require.Eventually(t, func() bool { return receivers(t, api)["oncall:Delivered"] == maxDigest+joining }, 5*time.Minute, 10*time.Millisecond)
	var list v1alpha1.IncidentList
	require.NoError(t, api.List(t.Context(), &list))
	for _, inc := range list.Items {
		assert.Equal(t, 1, named[inc.Name], "%s: %+v", inc.Name, inc.Status.Deliveries)
	}
	for name, times := range named {
		assert.Equal(t, 1, times, name)
	}
}

func TestOnlyTheLeaderSendsDigests(t *testing.T) {
	sink := &collector{}
	stormyAs(t, follower{}, 10, sink, stored(1, v1alpha1.DeliveryPending))
	time.Sleep(1200 * time.Millisecond)
	assert.Empty(t, sink.messages())
}

type follower struct{}

func (follower) Holds() bool { return false }
