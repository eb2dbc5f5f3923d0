package enrich

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubebot/kubebot/internal/diagnosis"
	"github.com/kubebot/kubebot/internal/rca"
)

// bufferedSpans is how many spans wait for the rest of their trace; there are not more in what is read.
const bufferedSpans = 50_000

// telemetry is what all sources gave, and what of it is known by two names.
type telemetry struct {
	readings []reading
	// homes are the workloads behind services; aliases are the services behind workloads, as namespace/kind/name.
	homes   map[string]diagnosis.Object
	aliases map[diagnosis.Object]string
	// byName are the services behind workloads of which only namespace and name are known.
	byName map[types.NamespacedName]string
	// called are the services that the call graph knows.
	called map[string]bool
}

// know takes the call graph of a snapshot.
func (t *telemetry) know(s *rca.Snapshot) {
	t.called = map[string]bool{}
	for _, l := range s.Links {
		if l.Caller != l.Callee {
			t.called[l.Caller], t.called[l.Callee] = true, true
		}
	}
	for _, e := range s.Edges {
		t.called[e.Caller], t.called[e.Callee] = true, true
	}
}

func collect(readings []reading) telemetry {
	t := telemetry{readings: readings, homes: map[string]diagnosis.Object{}, aliases: map[diagnosis.Object]string{}, byName: map[types.NamespacedName]string{}}
	for _, r := range readings {
		for service, home := range r.Homes {
			if known, ok := t.homes[service]; !ok || known.Name != home.Name && home.Name == service {
				t.homes[service] = home
			}
		}
	}
	for _, service := range slices.Sorted(maps.Keys(t.homes)) {
		// Of two services of one workload the one of its name stands for it, else the first.
		home := t.homes[service]
		name := types.NamespacedName{Namespace: home.Namespace, Name: home.Name}
		if t.aliases[home] == "" || service == home.Name {
			t.aliases[home] = service
		}
		if t.byName[name] == "" || service == home.Name {
			t.byName[name] = service
		}
	}
	return t
}

// service is the name that telemetry knows a workload by. What tells no namespace may be of any.
func (t telemetry) service(namespace, workload string) string {
	return cmp.Or(t.byName[types.NamespacedName{Namespace: namespace, Name: workload}], t.byName[types.NamespacedName{Name: workload}], workload)
}

// serviceOf is the name that telemetry knows an object by.
func (t telemetry) serviceOf(o diagnosis.Object) string { return t.service(o.Namespace, o.Name) }

// services are the names that telemetry knows workloads by: of namesakes that of the given namespace, else the first.
func (t telemetry) services(namespace string) map[string]string {
	out := map[string]string{}
	for _, w := range slices.SortedFunc(maps.Keys(t.byName), func(a, b types.NamespacedName) int { return cmp.Compare(a.String(), b.String()) }) {
		if _, ok := out[w.Name]; !ok || w.Namespace == namespace {
			out[w.Name] = t.byName[w]
		}
	}
	return out
}

// any tells whether there is telemetry at all.
func (t telemetry) any() bool {
	for _, r := range t.readings {
		if r.Traces.SpanCount() > 0 || r.Logs.LogRecordCount() > 0 || r.Metrics.DataPointCount() > 0 {
			return true
		}
	}
	return false
}

// rename gives series of a workload's pods the name of its service.
func (t telemetry) rename(resource pcommon.Map) {
	if _, ok := resource.Get("service.name"); ok {
		return
	}
	for _, w := range workloadKinds {
		if name, ok := resource.Get(w.attribute); ok {
			namespace, _ := resource.Get("k8s.namespace.name")
			if s, ok := t.aliases[diagnosis.Object{APIVersion: w.apiVersion, Kind: w.kind, Namespace: namespace.Str(), Name: name.Str()}]; ok {
				resource.PutStr("service.name", s)
			}
			return
		}
	}
}

// snapshot makes what the engine sees of the telemetry and of the namespace's events and rollouts.
func (t telemetry) snapshot(q Question, facts *diagnosis.Facts) *rca.Snapshot {
	b := rca.NewBuilder(rca.NewLayout(q.From(), q.Alarm, later(q.Now, q.Alarm), nil), rca.BuilderOptions{BufferedSpans: bufferedSpans})
	if q.Signal != "" {
		b.SetTarget(rca.Target{Workload: t.serviceOf(q.Subject), Signal: q.Signal})
	}
	for _, r := range t.readings {
		if r.report.State != "Read" {
			b.AddMissing(r.report.Name)
		}
		for i := range r.Metrics.ResourceMetrics().Len() {
			t.rename(r.Metrics.ResourceMetrics().At(i).Resource().Attributes())
		}
		for i := range r.Logs.ResourceLogs().Len() {
			t.rename(r.Logs.ResourceLogs().At(i).Resource().Attributes())
		}
		b.AddMetrics(r.Metrics)
		b.AddTraces(r.Traces)
		b.AddLogs(r.Logs)
	}
	if facts != nil {
		t.platform(b, facts)
	}
	return b.Snapshot()
}

// later makes sure that there is at least one step after the look-back.
func later(now, alarm time.Time) time.Time {
	if now.Before(alarm) {
		return alarm
	}
	return now
}

// platform adds the events and rollouts of a namespace.
func (t telemetry) platform(b *rca.Builder, f *diagnosis.Facts) {
	for i := range f.Events {
		e := &f.Events[i]
		if e.Type != "Warning" || e.InvolvedObject.Namespace == "" || transient(f, e) {
			continue
		}
		b.AddEvent(rca.Event{
			Time: diagnosis.EventTime(e).UnixNano(), Workload: t.service(e.InvolvedObject.Namespace, workloadOf(e.InvolvedObject.Kind, e.InvolvedObject.Name)),
			Reason: e.Reason, Message: diagnosis.Shorten(e.Message, 200), Warning: true,
		})
	}
	for _, r := range f.Rollouts {
		b.AddChange(rca.Change{
			Time: r.At.UnixNano(), Workload: t.service(f.NS(), r.Name), Kind: "config",
			Summary: fmt.Sprintf("revision %d of %s %s was rolled out", r.Revision, r.Kind, r.Name),
		})
	}
}

// workloadOf cuts what controllers add off the names of their pods and ReplicaSets.
func workloadOf(kind, name string) string {
	switch kind {
	case "Pod":
		return rca.WorkloadOfPod(name)
	case "ReplicaSet":
		if i := strings.LastIndexByte(name, '-'); i > 0 {
			return name[:i]
		}
	}
	return name
}
