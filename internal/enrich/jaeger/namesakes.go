package jaeger

import (
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/kubebot/kubebot/internal/enrich"
	"github.com/kubebot/kubebot/internal/rca"
)

// namesakes are services of other namespaces that have the name of one in the subject's: those of a second environment in
// the cluster, which Jaeger, asked for a service by its name, gives as well.
type namesakes struct {
	namespace string
	// services are the names.
	services map[string]bool
	// traces run through namesakes, and not through the subject's namespace.
	traces map[pcommon.TraceID]bool
}

func newNamesakes(all []ptrace.Traces, q enrich.Question) namesakes {
	n := namesakes{namespace: q.Subject.Namespace, services: map[string]bool{}, traces: map[pcommon.TraceID]bool{}}
	if n.namespace == "" {
		return n
	}
	own, other := map[string]bool{q.Subject.Name: true}, map[string]bool{}
	each(all, func(service, namespace string, _ ptrace.ResourceSpans) {
		own[service] = own[service] || namespace == n.namespace
		other[service] = other[service] || namespace != "" && namespace != n.namespace
	})
	for service := range other {
		n.services[service] = own[service] && other[service]
	}
	through := map[pcommon.TraceID]bool{}
	each(all, func(service, namespace string, rs ptrace.ResourceSpans) {
		for _, ss := range rs.ScopeSpans().All() {
			for _, s := range ss.Spans().All() {
				n.traces[s.TraceID()] = n.traces[s.TraceID()] || n.is(service, namespace)
				through[s.TraceID()] = through[s.TraceID()] || namespace == n.namespace
			}
		}
	})
	for id := range through {
		n.traces[id] = n.traces[id] && !through[id]
	}
	return n
}

// is tells whether a service is a namesake; one that does not say its namespace is none.
func (n namesakes) is(service, namespace string) bool {
	return n.services[service] && namespace != "" && namespace != n.namespace
}

// remove leaves out the spans of namesakes, and all of their traces that the subject's namespace has no part in.
func (n namesakes) remove(td ptrace.Traces) {
	td.ResourceSpans().RemoveIf(func(rs ptrace.ResourceSpans) bool {
		service, namespace := of(rs)
		if n.is(service, namespace) {
			return true
		}
		left := 0
		for _, ss := range rs.ScopeSpans().All() {
			ss.Spans().RemoveIf(func(s ptrace.Span) bool { return n.traces[s.TraceID()] })
			left += ss.Spans().Len()
		}
		return left == 0
	})
}

func each(all []ptrace.Traces, do func(service, namespace string, rs ptrace.ResourceSpans)) {
	for _, td := range all {
		for _, rs := range td.ResourceSpans().All() {
			service, namespace := of(rs)
			do(service, namespace, rs)
		}
	}
}

func of(rs ptrace.ResourceSpans) (service, namespace string) {
	if v, ok := rs.Resource().Attributes().Get("k8s.namespace.name"); ok {
		namespace = v.Str()
	}
	return rca.WorkloadOf(rs.Resource().Attributes()), namespace
}
