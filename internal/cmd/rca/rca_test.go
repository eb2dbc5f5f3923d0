package rca_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"

	cmdrca "github.com/kubebot/kubebot/internal/cmd/rca"
	"github.com/kubebot/kubebot/internal/rca"
	"github.com/kubebot/kubebot/internal/rca/rcatest"
)

func snapshotFile(t *testing.T) string {
	t.Helper()
	var buf bytes.Buffer
	if err := (rcatest.Scenario{StockReturns: true}).Snapshot().Write(&buf); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "snapshot.json")
	if err := os.WriteFile(file, buf.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestSnapshotIsReportedAsTextAndJSON(t *testing.T) {
	file := snapshotFile(t)
	var text, js bytes.Buffer
	if err := cmdrca.Run(context.Background(), cmdrca.Options{Snapshot: file, Out: &text}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text.String(), "Most likely cause: code of stock") {
		t.Errorf("report:\n%s", text.String())
	}
	if err := cmdrca.Run(context.Background(), cmdrca.Options{Snapshot: file, JSON: true, Out: &js}); err != nil {
		t.Fatal(err)
	}
	var r rca.Result
	if err := json.Unmarshal(js.Bytes(), &r); err != nil || r.Causes[0].Workload != "stock" {
		t.Errorf("result %+v, %v", r, err)
	}
}

func TestTelemetryIsAnalysedAndSavedForReplay(t *testing.T) {
	dir := t.TempDir()
	writeTelemetry(t, dir)
	saved := filepath.Join(t.TempDir(), "saved.json")
	var first, again bytes.Buffer
	o := cmdrca.Options{Telemetry: dir, Alarm: rcatest.Alarm, Save: saved, Out: &first}
	if err := cmdrca.Run(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(first.String(), "code of stock") {
		t.Errorf("report:\n%s", first.String())
	}
	if err := cmdrca.Run(context.Background(), cmdrca.Options{Snapshot: saved, Out: &again}); err != nil {
		t.Fatal(err)
	}
	if first.String() != again.String() {
		t.Errorf("replay differs:\n%s\nfirst:\n%s", again.String(), first.String())
	}
}

func TestWrongOptionsAreErrors(t *testing.T) {
	for name, o := range map[string]cmdrca.Options{
		"nothing":       {},
		"both":          {Snapshot: "a", Telemetry: "b"},
		"no alarm":      {Telemetry: t.TempDir()},
		"empty folder":  {Telemetry: t.TempDir(), Alarm: rcatest.Alarm},
		"missing file":  {Snapshot: filepath.Join(t.TempDir(), "none")},
		"broken input":  {Snapshot: "-", In: strings.NewReader("{}")},
		"wrong weights": {Snapshot: snapshotFile(t), Weights: snapshotFile(t)},
	} {
		o.Out = &bytes.Buffer{}
		if err := cmdrca.Run(context.Background(), o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// writeTelemetry writes what a scenario feeds as OTLP JSON lines.
func writeTelemetry(t *testing.T, dir string) {
	t.Helper()
	traces, logs := rcatest.Scenario{StockReturns: true}.Telemetry()
	var buf bytes.Buffer
	add := func(b []byte, err error) {
		if err != nil {
			t.Fatal(err)
		}
		buf.Write(append(b, '\n'))
	}
	for i := range traces {
		add((&ptrace.JSONMarshaler{}).MarshalTraces(traces[i]))
		add((&plog.JSONMarshaler{}).MarshalLogs(logs[i]))
	}
	if err := os.WriteFile(filepath.Join(dir, "telemetry.jsonl"), buf.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}
