//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"

	"github.com/kubebot/kubebot/test/stack"
)

// plainTraces are so many that a tenth of them, the default share, differs by less than half from 60 in all but one of
// 20,000 runs (the standard deviation is 7.3).
const plainTraces, fewestPlain, mostPlain = 600, 30, 90

// testSampling sends traces of two spans each, one half of each trace in a request of its own, so that they come in by
// several receivers. Only the second span of some tells of an error, and only the first of others is slow.
func testSampling(t *testing.T) {
	ctx := contextOf(t, 8*time.Minute)
	sent := map[string]int{"plain": plainTraces, "slow": 30, "failed": 30}
	service, began := "e2e-sampling-"+strconv.FormatInt(time.Now().Unix(), 36), time.Now().Add(-5*time.Second)
	roots, children := ptrace.NewTraces(), ptrace.NewTraces()
	spansOf := func(traces ptrace.Traces) ptrace.SpanSlice {
		rs := traces.ResourceSpans().AppendEmpty()
		rs.Resource().Attributes().PutStr("service.name", service)
		rs.Resource().Attributes().PutStr("k8s.namespace.name", "e2e")
		return rs.ScopeSpans().AppendEmpty().Spans()
	}
	first, second := spansOf(roots), spansOf(children)
	for kind, count := range sent {
		for range count {
			addTrace(first.AppendEmpty(), second.AppendEmpty(), kind, began)
		}
	}
	for _, half := range []ptrace.Traces{roots, children} {
		body, err := ptraceotlp.NewExportRequestFromTraces(half).MarshalJSON()
		must(t, err)
		must(t, stack.Eventually(ctx, time.Minute, time.Second, func(ctx context.Context) error { return cluster.SendOTLP(ctx, "main", "traces", body) }))
	}
	var kept map[string]int
	must(t, stack.Eventually(ctx, 3*time.Minute, 2*time.Second, func(ctx context.Context) (err error) {
		if kept, err = keptTraces(ctx, service, began); err != nil {
			return err
		}
		if kept["slow"] != sent["slow"] || kept["failed"] != sent["failed"] || kept["plain"] < fewestPlain {
			return fmt.Errorf("of %v Jaeger has %v", sent, kept)
		}
		return nil
	}))
	if kept["plain"] > mostPlain {
		t.Errorf("of %v Jaeger has %v", sent, kept)
	}
}

// addTrace fills the two spans of a trace.
func addTrace(root, child ptrace.Span, kind string, began time.Time) {
	var id pcommon.TraceID
	for i := range id {
		id[i] = byte(rand.IntN(256))
	}
	took := 20 * time.Millisecond
	if kind == "slow" {
		took = 3 * time.Second
	}
	root.SetSpanID(pcommon.SpanID{1})
	child.SetSpanID(pcommon.SpanID{2})
	child.SetParentSpanID(root.SpanID())
	root.SetEndTimestamp(pcommon.NewTimestampFromTime(began.Add(took)))
	child.SetEndTimestamp(pcommon.NewTimestampFromTime(began.Add(10 * time.Millisecond)))
	for _, span := range []ptrace.Span{root, child} {
		span.SetTraceID(id)
		span.SetName(kind)
		span.SetStartTimestamp(pcommon.NewTimestampFromTime(began))
	}
	if kind == "failed" {
		child.Status().SetCode(ptrace.StatusCodeError)
		// A trace of Java's stack may be longer than what Badger, Jaeger's store, takes as a key.
		exception := child.Events().AppendEmpty()
		exception.SetName("exception")
		exception.Attributes().PutStr("exception.stacktrace", strings.Repeat("\tat com.example.Shop.buy(Shop.java:42)\n", 1800))
	}
}

// keptTraces counts the traces of a service in Jaeger by the name of their spans. One with half of its spans is an error.
func keptTraces(ctx context.Context, service string, began time.Time) (map[string]int, error) {
	traces, err := cluster.TracesBetween(ctx, "main", service, began.Add(-time.Second), began.Add(time.Minute))
	if err != nil {
		return nil, err
	}
	kept := map[string]int{}
	for _, trace := range traces {
		if len(trace.Spans) != 2 {
			return nil, fmt.Errorf("trace %s has %d of its 2 spans in Jaeger", trace.ID, len(trace.Spans))
		}
		kept[trace.Spans[0].Operation]++
	}
	return kept, nil
}
