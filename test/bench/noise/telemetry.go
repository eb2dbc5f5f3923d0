package noise

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/kubebot/kubebot/internal/diagnosis"
	"github.com/kubebot/kubebot/internal/enrich"
	"github.com/kubebot/kubebot/internal/pipeline"
	"github.com/kubebot/kubebot/internal/rca"
	"github.com/kubebot/kubebot/internal/rca/detectors"
	"github.com/kubebot/kubebot/internal/rca/weights"
)

// analyst is KubeBot's analysis with its default weights. It reads the shop's traces from the simulated week, and of the
// Kubernetes API that the workloads are there: no events, pods, changes or logs.
func analyst(w *Week) (pipeline.Analyst, error) {
	model, err := weights.Default()
	if err != nil {
		return nil, fmt.Errorf("read the engine's weights: %w", err)
	}
	engine, err := rca.NewEngine(detectors.All(), model)
	if err != nil {
		return nil, fmt.Errorf("make the engine: %w", err)
	}
	var objects []runtime.Object
	for _, s := range services {
		meta := metav1.ObjectMeta{Namespace: s.namespace, Name: s.name, UID: "uid"}
		selector := &metav1.LabelSelector{MatchLabels: map[string]string{"app": s.name}}
		n := int32(s.replicas) //nolint:gosec // a few
		if s.kind == "StatefulSet" {
			objects = append(objects, &appsv1.StatefulSet{ObjectMeta: meta, Spec: appsv1.StatefulSetSpec{Replicas: &n, Selector: selector}})
			continue
		}
		objects = append(objects, &appsv1.Deployment{ObjectMeta: meta, Spec: appsv1.DeploymentSpec{Replicas: &n, Selector: selector}})
	}
	a := enrich.Analyst{Kube: fake.NewClientset(objects...), Sources: []enrich.Source{traces{w}}, Engine: engine}
	return a.Explain, nil
}

// traces is the store of traces.
type traces struct{ week *Week }

// Name is that of Jaeger's source.
func (traces) Name() string { return enrich.SourceJaeger }

// every is how far apart the kept traces are.
const every = 10 * time.Second

// Read returns the shop's traces of the asked time. A service that fails fails each call; one that is slow takes longer.
func (t traces) Read(_ context.Context, q enrich.Question) (enrich.Telemetry, error) {
	out := enrich.NewTelemetry()
	for _, s := range services {
		if s.namespace == "shop" {
			out.Homes[s.name] = diagnosis.Object{APIVersion: "apps/v1", Kind: s.kind, Namespace: s.namespace, Name: s.name}
		}
	}
	random := rand.New(rand.NewPCG(uint64(q.From().Unix()), 1)) //nolint:gosec // seconds since 1970
	for at := q.From(); at.Before(q.Now); at = at.Add(every) {
		r := request{week: t.week, at: at, random: random, out: out.Traces}
		binary.BigEndian.PutUint64(r.trace[:8], uint64(at.UnixNano())) //nolint:gosec // as above
		r.trace[15] = 1
		r.call("front", pcommon.SpanID{}, at)
	}
	return out, nil
}

// request is one request to the shop.
type request struct {
	week   *Week
	at     time.Time
	random *rand.Rand
	out    ptrace.Traces
	trace  pcommon.TraceID
	spans  uint64
}

// call makes the span of a service and of all that it calls. It returns how long it took and whether it failed.
func (r *request) call(name string, parent pcommon.SpanID, start time.Time) (took time.Duration, failed bool) {
	r.spans++
	var id pcommon.SpanID
	binary.BigEndian.PutUint64(id[:], r.spans)
	fails, slow := r.week.failing(name, r.at)
	own := 3*time.Millisecond + time.Duration(r.random.Int64N(int64(2*time.Millisecond))) + slow
	took, failed = own/2, fails || r.random.Float64() < 0.002
	for _, callee := range find(name).calls {
		took += time.Millisecond / 2
		d, bad := r.call(callee, id, start.Add(took))
		took += d + time.Millisecond/2
		failed = failed || bad
	}
	took += own / 2
	rs := r.out.ResourceSpans().AppendEmpty()
	rs.Resource().Attributes().PutStr("service.name", name)
	s := rs.ScopeSpans().AppendEmpty().Spans().AppendEmpty()
	s.SetTraceID(r.trace)
	s.SetSpanID(id)
	s.SetParentSpanID(parent)
	s.SetName(name + ".Handle")
	s.SetKind(ptrace.SpanKindServer)
	s.SetStartTimestamp(pcommon.NewTimestampFromTime(start))
	s.SetEndTimestamp(pcommon.NewTimestampFromTime(start.Add(took)))
	if failed {
		s.Status().SetCode(ptrace.StatusCodeError)
	}
	return took, failed
}
