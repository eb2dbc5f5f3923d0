package enrich

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/diagnosis"
	"github.com/kubebot/kubebot/internal/diagnosis/calls"
	"github.com/kubebot/kubebot/internal/diagnosis/certificate"
	"github.com/kubebot/kubebot/internal/diagnosis/logline"
	"github.com/kubebot/kubebot/internal/diagnosis/service"
	"github.com/kubebot/kubebot/internal/rca"
)

// refusedSince is how long before the alarm calls are looked at that failed for a certificate.
const refusedSince = 5 * time.Minute

// addressKeys are the attributes of a client's span that name the server, as the semantic conventions have and had them.
var addressKeys = []string{"server.address", "net.peer.name", "peer.service"}

// present names the server whose certificate the workload of a diagnosis refuses. Log lines of a client often don't say
// whom it called; the spans of its failed calls do.
func (t telemetry) present(q Question, d Diagnosis, f diagnosis.Finding, c candidate) candidate {
	if f.Detector != certificate.Detector.Name {
		return c
	}
	if f.Object.Kind == "Service" {
		server := f.Object
		if home, ok := t.homes[server.Name]; ok && home.Namespace == server.Namespace {
			server = home
		}
		return t.began(d, c, server)
	}
	server, count := t.presenter(q, d, c.service)
	if count == 0 {
		return c
	}
	named, ok := certificate.PresentedBy(f, server)
	if !ok {
		return c
	}
	c.object, c.sentence = named.Object, named.Sentence
	c.evidence = append(c.evidence, v1alpha1.CauseEvidence{From: v1alpha1.EvidenceTraces,
		Text: fmt.Sprintf("%s of %s to %s failed with the same words", diagnosis.Plural(count, "call"), c.workload, server.Name)})
	return t.began(d, c, server)
}

// began moves a candidate to the workload in which the trouble began, one that the workload of the diagnosis calls, or to the
// Service of one that is not known.
func (t telemetry) began(d Diagnosis, c candidate, workload diagnosis.Object) candidate {
	c.home, c.workload, c.service = workloadOnly(workload), workload.Name, t.serviceOf(workload)
	c.path = append(slices.Clone(d.Path), workload.Name)
	return c
}

// presenter is the server to which most of a service's calls went that failed for a certificate, and how many these were;
// 0 for none.
func (t telemetry) presenter(q Question, d Diagnosis, caller string) (diagnosis.Object, int) {
	since := pcommon.NewTimestampFromTime(q.Alarm.Add(-refusedSince))
	callees := t.callees(caller)
	counts := map[diagnosis.Object]int{}
	for name, s := range t.spans() {
		if name != caller || !refused(s) || s.StartTimestamp() < since {
			continue
		}
		server, ok := t.server(d, host(s))
		if !ok { // gRPC tells the address of a connection only once it stands
			server, ok = t.server(d, callees[s.Name()])
		}
		if ok {
			counts[server]++
		}
	}
	if len(counts) == 0 {
		return diagnosis.Object{}, 0
	}
	server := slices.MinFunc(slices.Collect(maps.Keys(counts)), func(a, b diagnosis.Object) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a.String(), b.String()))
	})
	return server, counts[server]
}

// server is what answers under a name: the home of a Service's pods, the Service itself where no telemetry names it, or
// the home of what calls itself so.
func (t telemetry) server(d Diagnosis, name string) (diagnosis.Object, bool) {
	if name == "" {
		return diagnosis.Object{}, false
	}
	s := calls.Service(d.Facts, name)
	if s != nil {
		name = s.Name
	}
	home, ok := t.homes[name]
	switch {
	case ok && home.APIVersion != "" && (s == nil || home.Namespace == s.Namespace):
		return home, true
	case s != nil:
		return service.Object(s), true
	}
	return diagnosis.Object{}, false
}

// callees tells by the name of a client's span which service took such calls of a caller: the one most of whose spans are
// children of spans of that name.
func (t telemetry) callees(caller string) map[string]string {
	type id struct {
		trace pcommon.TraceID
		span  pcommon.SpanID
	}
	operations := map[id]string{}
	for name, s := range t.spans() {
		if name == caller && s.Kind() == ptrace.SpanKindClient {
			operations[id{s.TraceID(), s.SpanID()}] = s.Name()
		}
	}
	counts := map[string]map[string]int{}
	for name, s := range t.spans() {
		if operation, ok := operations[id{s.TraceID(), s.ParentSpanID()}]; ok && name != caller {
			if counts[operation] == nil {
				counts[operation] = map[string]int{}
			}
			counts[operation][name]++
		}
	}
	out := map[string]string{}
	for operation, of := range counts {
		out[operation] = slices.MinFunc(slices.Collect(maps.Keys(of)), func(a, b string) int {
			return cmp.Or(cmp.Compare(of[b], of[a]), cmp.Compare(a, b))
		})
	}
	return out
}

// spans yields every span that was read, with the name of its service.
func (t telemetry) spans() iter.Seq2[string, ptrace.Span] {
	return func(yield func(string, ptrace.Span) bool) {
		for _, r := range t.readings {
			for _, rs := range r.Traces.ResourceSpans().All() {
				name := rca.WorkloadOf(rs.Resource().Attributes())
				for _, ss := range rs.ScopeSpans().All() {
					for _, s := range ss.Spans().All() {
						if !yield(name, s) {
							return
						}
					}
				}
			}
		}
	}
}

// refused tells whether a client's call failed for a certificate.
func refused(s ptrace.Span) bool {
	return s.Kind() == ptrace.SpanKindClient && s.Status().Code() == ptrace.StatusCodeError &&
		logline.Classify(s.Status().Message()) == logline.ClassCertificate
}

// host is the server that a client's span names.
func host(s ptrace.Span) string {
	for _, key := range addressKeys {
		if v, ok := s.Attributes().Get(key); ok && v.Str() != "" {
			return v.Str()
		}
	}
	return ""
}
