package pipeline

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/alert"
	"github.com/kubebot/kubebot/internal/decide"
	"github.com/kubebot/kubebot/internal/notify"
	"github.com/kubebot/kubebot/internal/pipeline/config"
)

// counter is a sink that counts its calls and delivers.
type counter struct {
	calls atomic.Int64
	// hold keeps a call until it is closed; nil keeps none.
	hold  chan struct{}
	panic bool
}

func (c *counter) Send(context.Context, notify.Message) notify.Result {
	c.calls.Add(1)
	if c.hold != nil {
		<-c.hold
	}
	if c.panic {
		panic("a sink must not end the process")
	}
	return notify.Result{Outcome: notify.Delivered, Word: "Delivered"}
}

func (c *counter) Check(context.Context) (string, string) { return "", "" }

// broken makes API calls fail while a switch is on.
type broken struct{ create, update atomic.Bool }

var errDown = errors.New("the API server is away")

func (b *broken) funcs() interceptor.Funcs {
	return interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			if b.create.Load() {
				return errDown
			}
			return c.Create(ctx, o, opts...)
		},
		SubResourceUpdate: func(ctx context.Context, c client.Client, sub string, o client.Object, opts ...client.SubResourceUpdateOption) error {
			if b.update.Load() {
				return errDown
			}
			return c.SubResource(sub).Update(ctx, o, opts...)
		},
	}
}

// start runs a pipeline on a store of its own until the test ends.
func start(t *testing.T, sink notify.Sink, b *broken) (*Pipeline, client.Client) {
	t.Helper()
	scheme := runtime.NewScheme()
	require.NoError(t, v1alpha1.AddToScheme(scheme))
	api := fake.NewClientBuilder().WithScheme(scheme).WithStatusSubresource(&v1alpha1.Incident{}).WithInterceptorFuncs(b.funcs()).Build()
	p := New(Options{
		Client: api, Config: config.Config{KubeBot: "main", Namespace: "kubebot", UID: "uid"}, Rules: decide.Rules{Receivers: []string{"oncall"}},
		Receivers: []Receiver{{Name: "oncall", Type: "webhook", Sink: sink}}, Topology: shop{}, Replica: "me",
		Metrics: NewMetrics(prometheus.NewRegistry(), []string{"webhook"}), Log: logr.Discard(), Now: time.Now,
	})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = p.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })
	return p, api
}

func only(t *testing.T, api client.Client) *v1alpha1.Incident {
	var list v1alpha1.IncidentList
	require.NoError(t, api.List(t.Context(), &list))
	require.Len(t, list.Items, 1)
	return &list.Items[0]
}

func TestIngestSaysWhenItCouldNotStore(t *testing.T) {
	b := &broken{}
	b.create.Store(true)
	p, api := start(t, &counter{}, b)
	a := fired("A", "1", v1alpha1.SeverityCritical, time.Now())
	require.ErrorIs(t, p.Ingest(t.Context(), []alert.Alert{a}), errDown)
	b.create.Store(false)
	require.NoError(t, p.Ingest(t.Context(), []alert.Alert{a}))
	only(t, api)
}

func TestResultIsKeptUntilItCanBeWrittenAndNothingIsSentTwice(t *testing.T) {
	b, sink := &broken{}, &counter{hold: make(chan struct{})}
	answer := sync.OnceFunc(func() { close(sink.hold) })
	defer answer()
	p, api := start(t, sink, b)
	require.NoError(t, p.Ingest(t.Context(), []alert.Alert{fired("A", "1", v1alpha1.SeverityCritical, time.Now())}))
	require.Eventually(t, func() bool { return sink.calls.Load() == 1 }, 30*time.Second, time.Millisecond)
	b.update.Store(true)
	answer()
	time.Sleep(1500 * time.Millisecond) // the answer comes while the API server is away
	assert.Equal(t, v1alpha1.DeliveryClaimed, only(t, api).Status.Deliveries[0].State)
	b.update.Store(false)
	require.Eventually(t, func() bool { return only(t, api).Status.Receivers == "oncall:Delivered" }, 10*time.Second, 10*time.Millisecond)
	assert.EqualValues(t, 1, sink.calls.Load())
}

func TestWatchdogMakesNoIncident(t *testing.T) {
	p, api := start(t, &counter{}, &broken{})
	require.NoError(t, p.Ingest(t.Context(), []alert.Alert{fired(alert.Watchdog, "1", v1alpha1.SeverityInfo, time.Now())}))
	var list v1alpha1.IncidentList
	require.NoError(t, api.List(t.Context(), &list))
	assert.Empty(t, list.Items)
}

func TestSinkThatPanicsIsAnUnknownAnswer(t *testing.T) {
	p, api := start(t, &counter{panic: true}, &broken{})
	require.NoError(t, p.Ingest(t.Context(), []alert.Alert{fired("A", "1", v1alpha1.SeverityCritical, time.Now())}))
	require.Eventually(t, func() bool {
		d := only(t, api).Status.Deliveries
		return len(d) == 1 && d[0].State == v1alpha1.DeliveryUnknown
	}, 30*time.Second, 10*time.Millisecond)
}

func TestManyAlertsOfOneGroupAreOneWrite(t *testing.T) {
	inBubble(t, nil, func(b *bubble) {
		var calls sync.WaitGroup
		for i := range 50 {
			calls.Go(func() {
				a := fired("A", "1", v1alpha1.SeverityWarning, time.Now())
				a.Labels = map[string]string{"alertname": "A", "instance": "1", "n": string(rune('A' + i))}
				a.Fingerprint = alert.Fingerprint(a.Labels)
				assert.NoError(b.t, b.Ingest(context.Background(), []alert.Alert{a}))
			})
		}
		calls.Wait()
		inc := only(b.t, b.api)
		assert.Len(b.t, inc.Spec.OpeningAlerts, 50, "what comes within the window is created together")
	})
}

func TestReportSaysWhatWaitsAndWhy(t *testing.T) {
	p, _ := start(t, &counter{}, &broken{})
	inc := opened(fired("A", "1", v1alpha1.SeverityCritical, noon))
	inc.Name, inc.ResourceVersion = IncidentName("uid", "k", 1), "1"
	inc.Status.Deliveries = []v1alpha1.Delivery{{Key: "k", Receiver: "oncall", State: v1alpha1.DeliveryFailed, NextAttempt: microStamp(time.Now().Add(time.Hour)),
		Attempts: []v1alpha1.Attempt{{Result: "ChannelNotFound", Message: "invite the app"}}}}
	p.Index().Put(inc)
	assert.Equal(t, []config.ReceiverReport{{Name: "oncall", Reason: v1alpha1.ReasonReceiverRefused, Undelivered: 1,
		Message: "Messages wait for receiver oncall; the last attempt ended with ChannelNotFound: invite the app"}}, p.Report())
}

func TestIndexKeepsTheNewestAndOnlyItsOwn(t *testing.T) {
	x := NewIndex("uid")
	version := func(rv string) *v1alpha1.Incident {
		inc := opened(fired("A", "1", v1alpha1.SeverityCritical, noon))
		inc.Name, inc.ResourceVersion = IncidentName("uid", "k", 1), rv
		return inc
	}
	assert.True(t, x.Put(version("10")))
	assert.False(t, x.Put(version("9")), "the watch is behind")
	assert.False(t, x.Put(version("10")))
	assert.True(t, x.Put(version("11")))
	foreign := version("12")
	foreign.Name = IncidentName("another", "k", 1)
	assert.False(t, x.Put(foreign), "another KubeBot's")
	x.Delete(version("11"))
	assert.Empty(t, x.ByKey("k"))
}

// TestReplicasWithOldAndNewRulesDoNotUndoEachOther plays a rollout of a second receiver.
func TestReplicasWithOldAndNewRulesDoNotUndoEachOther(t *testing.T) {
	with := func(names ...string) *Pipeline {
		o := Options{Config: config.Config{UID: "uid"}, Rules: decide.Rules{Receivers: names}, Topology: shop{}, Replica: "r",
			Metrics: NewMetrics(prometheus.NewRegistry(), nil), Now: func() time.Time { return noon }}
		for _, name := range names {
			o.Receivers = append(o.Receivers, Receiver{Name: name, Type: "webhook", Sink: &counter{}})
		}
		return New(o)
	}
	old, renewed := with("oncall"), with("oncall", "second")
	inc := opened(fired("A", "1", v1alpha1.SeverityCritical, noon))
	inc = old.compute(inc, nil, &batch{}).out
	require.Len(t, inc.Status.Deliveries, 1)
	inc = renewed.compute(inc, nil, &batch{}).out
	require.Len(t, inc.Status.Deliveries, 2, "a new receiver hears of what is open")
	for range 3 {
		for _, p := range []*Pipeline{old, renewed} {
			p.settled(inc)
			next := p.compute(inc, nil, &batch{}).out
			assert.Equal(t, inc.Status, next.Status)
			inc = next
		}
	}
}
