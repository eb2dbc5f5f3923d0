package otlpfile

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

type counter struct{ spans, logs, metrics int }

func (c *counter) AddTraces(td ptrace.Traces)    { c.spans += td.SpanCount() }
func (c *counter) AddLogs(ld plog.Logs)          { c.logs += ld.LogRecordCount() }
func (c *counter) AddMetrics(md pmetric.Metrics) { c.metrics += md.MetricCount() }

func traces() ptrace.Traces {
	td := ptrace.NewTraces()
	td.ResourceSpans().AppendEmpty().ScopeSpans().AppendEmpty().Spans().AppendEmpty().SetName("x")
	return td
}

func encode(t testing.TB) (line, framed []byte) {
	t.Helper()
	line, err := (&ptrace.JSONMarshaler{}).MarshalTraces(traces())
	if err != nil {
		t.Fatal(err)
	}
	msg, err := (&ptrace.ProtoMarshaler{}).MarshalTraces(traces())
	if err != nil {
		t.Fatal(err)
	}
	return line, append(binary.BigEndian.AppendUint32(nil, uint32(len(msg))), msg...)
}

func TestReadFolderReadsEveryFormat(t *testing.T) {
	line, framed := encode(t)
	dir := t.TempDir()
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	if _, err := z.Write(line); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{
		"a.json": append(append(append([]byte{}, line...), '\n'), line...), "b.jsonl.gz": zipped.Bytes(), "traces.pb": append(framed, framed...),
		"logs.json": []byte(`{"resourceLogs":[{"scopeLogs":[{"logRecords":[{}]}]}]}`), "notes.txt": []byte("not telemetry"),
		"metrics.json": []byte(`{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"m"}]}]}]}`),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var c counter
	n, err := ReadFolder(dir, &c)
	if err != nil {
		t.Fatal(err)
	}
	if want := (counter{5, 1, 1}); n != 5 || c != want {
		t.Errorf("%d files, %+v; want 5, %+v", n, c, want)
	}
}

func TestBrokenInputIsAnError(t *testing.T) {
	_, framed := encode(t)
	for name, f := range map[string]func() error{
		"no JSON":          func() error { return ReadJSON(bytes.NewReader([]byte("{")), &counter{}) },
		"other JSON":       func() error { return ReadJSON(bytes.NewReader([]byte(`{"a":1}`)), &counter{}) },
		"cut message":      func() error { return ReadProto(bytes.NewReader(framed[:len(framed)-1]), "trace", &counter{}) },
		"cut length":       func() error { return ReadProto(bytes.NewReader(framed[:2]), "trace", &counter{}) },
		"huge message":     func() error { return ReadProto(bytes.NewReader([]byte{255, 255, 255, 255}), "trace", &counter{}) },
		"unknown signal":   func() error { return ReadProto(bytes.NewReader(framed), "", &counter{}) },
		"no such folder":   func() error { _, err := ReadFolder(filepath.Join(t.TempDir(), "none"), &counter{}); return err },
		"no protobuf text": func() error { return ReadProto(bytes.NewReader([]byte{0, 0, 0, 2, 0xff, 0xff}), "log", &counter{}) },
	} {
		if f() == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func FuzzReadJSON(f *testing.F) {
	line, _ := encode(f)
	f.Add(line)
	f.Add([]byte(`{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"gauge":{"dataPoints":[{"asDouble":"NaN"}]}}]}]}]}`))
	f.Fuzz(func(_ *testing.T, b []byte) {
		_ = ReadJSON(bytes.NewReader(b), &counter{}) // must not panic
	})
}

func FuzzReadProto(f *testing.F) {
	_, framed := encode(f)
	f.Add(framed, "trace")
	f.Add(framed, "log")
	f.Fuzz(func(_ *testing.T, b []byte, signal string) {
		_ = ReadProto(bytes.NewReader(b), signal, &counter{}) // must not panic
	})
}
