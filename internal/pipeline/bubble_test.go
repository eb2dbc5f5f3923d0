package pipeline

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/alert"
	"github.com/kubebot/kubebot/internal/decide"
	"github.com/kubebot/kubebot/internal/pipeline/config"
)

// bubble is a pipeline that runs in simulated time: sleeping costs nothing, and every timer of the pipeline fires as it
// would in production.
type bubble struct {
	*Pipeline
	t   *testing.T
	api client.Client
	// oncall is the KubeBot's receiver, whose digests can be edited.
	oncall *editor
	// stop ends the pipeline.
	stop func()
}

// editor is a collector whose digests can be edited.
type editor struct{ collector }

func (*editor) EditsDigests() {}

// inBubble runs a test with a pipeline that has one receiver and what change adds.
func inBubble(t *testing.T, change func(*Options), test func(b *bubble)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		scheme := runtime.NewScheme()
		require.NoError(t, v1alpha1.AddToScheme(scheme))
		var n atomic.Int64
		stamps := interceptor.Funcs{Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			o.SetUID(types.UID(fmt.Sprint("uid-", n.Add(1))))
			o.SetCreationTimestamp(metav1.NewTime(time.Now().UTC()))
			return c.Create(ctx, o, opts...)
		}}
		b := &bubble{t: t, oncall: &editor{}}
		b.api = fake.NewClientBuilder().WithScheme(scheme).WithStatusSubresource(&v1alpha1.Incident{}).WithInterceptorFuncs(stamps).Build()
		o := Options{
			Client: b.api, Config: config.Config{KubeBot: "main", Namespace: "kubebot", UID: "uid"},
			Rules:     decide.Rules{Receivers: []string{"oncall"}, StormAbove: 3, DigestEvery: time.Hour},
			Receivers: []Receiver{{Name: "oncall", Type: "slack", Sink: b.oncall}}, Topology: lostNodes{}, Replica: "me",
			Metrics: NewMetrics(prometheus.NewRegistry(), []string{"slack", "webhook"}), Log: logr.Discard(), Now: time.Now,
		}
		if change != nil {
			change(&o)
		}
		b.run(o)
		defer func() { b.stop() }()
		test(b)
	})
}

// run starts a pipeline until it is stopped.
func (b *bubble) run(o Options) {
	p := New(o)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = p.Run(ctx) })
	b.Pipeline, b.stop = p, func() { cancel(); running.Wait() }
}

// restart stops the pipeline and starts another one, which knows what the watch shows.
func (b *bubble) restart() {
	b.t.Helper()
	b.stop()
	b.run(b.Options)
	var list v1alpha1.IncidentList
	require.NoError(b.t, b.api.List(b.t.Context(), &list))
	for i := range list.Items {
		b.Observe(&list.Items[i])
	}
}

// failing makes an alert of a workload of the namespace shop.
func failing(name string, severity v1alpha1.Severity) alert.Alert {
	a := fired("Down", name, severity, time.Now())
	a.Labels["namespace"], a.Labels["workload"], a.Labels["workload_kind"] = "shop", name, "Deployment"
	a.Fingerprint = alert.Fingerprint(a.Labels)
	return a
}

// storm lets some workloads fail, one after the other within seconds.
func (b *bubble) storm(n int) []alert.Alert {
	var list []alert.Alert
	for i := range n {
		a := failing(fmt.Sprint("w", i), v1alpha1.SeverityCritical)
		list = append(list, a)
		b.take(a)
		time.Sleep(time.Second)
	}
	return list
}

func (b *bubble) take(alerts ...alert.Alert) {
	b.t.Helper()
	require.NoError(b.t, b.Ingest(b.t.Context(), alerts))
}

// end ends alerts now.
func (b *bubble) end(alerts ...alert.Alert) {
	b.t.Helper()
	for _, a := range alerts {
		b.take(ended(a, time.Now()))
	}
}

// incident returns that about a workload.
func (b *bubble) incident(name string) *v1alpha1.Incident {
	b.t.Helper()
	list := b.index.ByKey(WorkloadGroup(workload(name)).Key)
	require.NotEmpty(b.t, list, name)
	return list[len(list)-1]
}

// edit changes what people ask of an Incident.
func (b *bubble) edit(name string, change func(*v1alpha1.IncidentSpec)) {
	b.t.Helper()
	var inc v1alpha1.Incident
	require.NoError(b.t, b.api.Get(b.t.Context(), client.ObjectKey{Namespace: "kubebot", Name: name}, &inc))
	change(&inc.Spec)
	require.NoError(b.t, b.api.Update(b.t.Context(), &inc))
	b.Observe(&inc)
}

// news are the messages that tell of one Incident first, and digests those that tell of several.
func (c *collector) news() (singles, digests int) {
	for _, msg := range c.messages() {
		switch {
		case msg.Digest != nil:
			digests++
		case msg.Head.ID == "":
			singles++
		}
	}
	return singles, digests
}
