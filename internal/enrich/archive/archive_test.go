package archive

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/kubebot/kubebot/internal/diagnosis"
	"github.com/kubebot/kubebot/internal/enrich"
)

var (
	noon  = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	asked = enrich.Question{Subject: diagnosis.Object{Kind: "Deployment", Namespace: "shop", Name: "cart"}, Alarm: noon, Now: noon.Add(2 * time.Minute)}
)

func trace(at time.Time, id uint64) string {
	td := ptrace.NewTraces()
	s := td.ResourceSpans().AppendEmpty().ScopeSpans().AppendEmpty().Spans().AppendEmpty()
	s.SetTraceID(pcommon.TraceID{8: byte(id >> 56), 14: byte(id >> 8), 15: byte(id)})
	s.SetStartTimestamp(pcommon.NewTimestampFromTime(at))
	b, err := (&ptrace.JSONMarshaler{}).MarshalTraces(td)
	if err != nil {
		panic(err)
	}
	return string(b) + "\n"
}

func line(at time.Time, namespace string) string {
	ld := plog.NewLogs()
	rl := ld.ResourceLogs().AppendEmpty()
	rl.Resource().Attributes().PutStr("k8s.namespace.name", namespace)
	rl.ScopeLogs().AppendEmpty().LogRecords().AppendEmpty().SetTimestamp(pcommon.NewTimestampFromTime(at))
	b, err := (&plog.JSONMarshaler{}).MarshalLogs(ld)
	if err != nil {
		panic(err)
	}
	return string(b) + "\n"
}

func write(t *testing.T, dir, name string, written time.Time, text string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, written, written); err != nil {
		t.Fatal(err)
	}
}

func TestOnlyTheFilesOfTheTimeAreRead(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "traces-1.jsonl", noon.Add(-2*time.Hour), "this file is broken, and too old to be read")
	write(t, dir, "traces-2.jsonl", noon.Add(-time.Minute), trace(noon.Add(-90*time.Minute), 1)+trace(noon.Add(-50*time.Minute), 2))
	write(t, dir, "traces-3.jsonl", noon.Add(time.Hour), trace(noon.Add(time.Minute), 3)+trace(noon.Add(10*time.Minute), 4))
	write(t, dir, "traces.jsonl", noon.Add(2*time.Hour), "this one is broken, and too new")
	write(t, dir, "logs.jsonl", noon.Add(time.Hour), line(noon, "shop")+line(noon, "bank")+line(noon.Add(-2*time.Hour), "shop")+`{"resourceLogs":[{"half a li`)
	write(t, dir, "metrics.jsonl", noon, "not read")
	got, err := Source{dir}.Read(t.Context(), asked)
	if err != nil || got.Empty || got.Traces.SpanCount() != 2 || got.Logs.LogRecordCount() != 1 {
		t.Errorf("%d spans, %d lines, %v; want 2 spans and 1 line", got.Traces.SpanCount(), got.Logs.LogRecordCount(), err)
	}
}

func TestAnEmptyFolderHoldsNothing(t *testing.T) {
	if got, err := (Source{t.TempDir()}).Read(t.Context(), asked); err != nil || !got.Empty {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestABrokenFileIsSaid(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "traces-1.jsonl", noon, trace(noon, 1)+"broken\n")
	if got, err := (Source{dir}).Read(t.Context(), asked); err == nil || got.Traces.SpanCount() != 1 {
		t.Errorf("%d spans, %v; want what was read, and an error", got.Traces.SpanCount(), err)
	}
}

func TestAReadEndsWithItsContext(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "traces.jsonl", noon, trace(noon, 1))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (Source{dir}).Read(ctx, asked); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestWhatIsTooMuchIsThinnedOut(t *testing.T) {
	k := &keeper{question: asked, out: enrich.NewTelemetry()}
	for i := range maxSpans + 1000 {
		td := ptrace.NewTraces()
		s := td.ResourceSpans().AppendEmpty().ScopeSpans().AppendEmpty().Spans().AppendEmpty()
		s.SetTraceID(pcommon.TraceID{13: byte(i >> 16), 14: byte(i >> 8), 15: byte(i)})
		s.SetStartTimestamp(pcommon.NewTimestampFromTime(noon))
		k.AddTraces(td)
	}
	if n := k.out.Traces.SpanCount(); n < maxSpans/3 || n > maxSpans {
		t.Errorf("%d spans are kept", n)
	}
	ld := plog.NewLogs()
	rl := ld.ResourceLogs().AppendEmpty()
	rl.Resource().Attributes().PutStr("k8s.namespace.name", "shop")
	records := rl.ScopeLogs().AppendEmpty().LogRecords()
	for i := range maxLines + 1 {
		r := records.AppendEmpty()
		r.SetTimestamp(pcommon.NewTimestampFromTime(noon))
		r.Body().SetStr(fmt.Sprint(i))
	}
	k.AddLogs(ld)
	if n := k.out.Logs.LogRecordCount(); n < maxLines/3 || n > maxLines {
		t.Errorf("%d lines are kept", n)
	}
}
