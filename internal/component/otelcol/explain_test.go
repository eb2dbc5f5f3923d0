package otelcol

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kubebot/kubebot/internal/testutil/golden"
)

const explained = `# A part of the user's.
processors:
  batch/mine:
    timeoutt: 1s
  transform/mine:
    log_statements:
    - context: log
      statements: ["set(bad"]
exporters:
  debug/mine:
    verbosity: loud
  vendor:
    endpoint: x
service:
  pipelines:
    traces/mine: {receivers: [otlp], processors: [batch/mine], exporters: [debug/mine]}
`

func TestExplainNamesTheLineAndTheErrorAlone(t *testing.T) {
	const framed = "Error: failed to get config: cannot unmarshal the configuration: decoding failed due to the following error(s):\n\n"
	for name, c := range map[string]struct{ said, want string }{
		"an unknown option": {
			framed + "'processors' error reading configuration for \"batch/mine\": decoding failed due to the following error(s):\n\n" +
				"'batchprocessor.Config' has invalid keys: timeoutt\n2026/11/21 10:08:13 collector server run finished with error: failed to get config: cannot",
			`line 4: 'processors' error reading configuration for "batch/mine": 'batchprocessor.Config' has invalid keys: timeoutt`,
		},
		"an unknown component": {
			framed + "'exporters' unknown type: \"vendor\" for id: \"vendor\" (valid values: [debug nop])",
			`line 12: 'exporters' unknown type: "vendor" for id: "vendor" (valid values: [debug nop])`,
		},
		"a setting that the component refuses": {
			"Error: processors::transform/mine: unable to infer a valid context\n2026/11/21 10:08:13 run the collector: processors",
			"line 5: processors::transform/mine: unable to infer a valid context",
		},
		"only the end was kept": {
			"e configuration: decod\n2026/11/21 10:08:13 collector server run finished with error: processors::batch/mine: bad",
			"line 3: processors::batch/mine: bad",
		},
		"of KubeBot's own part": {"Error: receivers::otlp: bad", "receivers::otlp: bad"},
		"nothing":               {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Explain(explained, c.said); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// What the real program says is understood.
func TestExplainUnderstandsTheCollector(t *testing.T) {
	program := golden.Program(t, "otelcol-contrib")
	const rest = "receivers: {otlp: {protocols: {grpc: {endpoint: 127.0.0.1:4317}}}}\n"
	for part, want := range map[string]string{
		"processors:\n  batch:\n    timeoutt: 1s\nexporters:\n  nop:\n":                                   "line 3: ",
		"exporters:\n  nop:\n  vendor:\n    a: b\n":                                                       "line 3: ",
		"exporters:\n  nop:\n  debug:\n    verbosity: loud\n":                                             "line 4: ",
		"processors:\n  batch:\n    send_batch_size: {a: b}\nexporters:\n  nop:\n":                        "line 3: ",
		"processors:\n  batch:\n    send_batch_size: 9\n    send_batch_max_size: 1\nexporters:\n  nop:\n": "line ",
	} {
		file := filepath.Join(t.TempDir(), "config.yaml")
		service := "service: {pipelines: {traces: {receivers: [otlp], exporters: [nop]}}}\n"
		if strings.Contains(part, "processors") {
			service = strings.Replace(service, "exporters", "processors: [batch], exporters", 1)
		}
		if err := os.WriteFile(file, []byte(part+rest+service), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.CommandContext(t.Context(), program, "validate", "--config="+file).CombinedOutput()
		got := Explain(part, string(out))
		if err == nil || !strings.HasPrefix(got, want) || strings.Contains(got, "2026") || strings.Contains(got, "cannot unmarshal") {
			t.Errorf("%s\n%v: %s\nwant it to begin with %q", part, err, got, want)
		}
	}
}

func FuzzExplain(f *testing.F) {
	f.Add(explained, "Error: processors::batch/mine: bad\n2026/11/21 10:08:13 run: ")
	f.Add("a: &x [*x]", "a")
	f.Fuzz(func(t *testing.T, input, said string) {
		if line := lineOf(input, said); line < 0 || line > strings.Count(input, "\n")+strings.Count(input, "\r")+1 {
			t.Errorf("line %d of %q", line, input)
		}
		_ = Explain(input, said)
	})
}
