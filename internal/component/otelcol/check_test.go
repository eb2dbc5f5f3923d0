package otelcol

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/collector/confmap"
)

const whole = `
extensions: {health_check: {}}
receivers: {otlp: {protocols: {grpc: {}}}}
processors: {batch: {}}
exporters: {nop: {}, otlp_grpc/jaeger: {endpoint: "jaeger:4317"}}
connectors: {spanmetrics: {}}
service:
  extensions: [health_check]
  pipelines:
    traces: {receivers: [otlp], processors: [batch], exporters: [otlp_grpc/jaeger, spanmetrics]}
    metrics/spans: {receivers: [spanmetrics], exporters: [nop]}
`

func TestCheckTellsWhatIsUsed(t *testing.T) {
	used, err := Check(whole)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, u := range used {
		names = append(names, u.Kind+" "+u.Type)
	}
	if got, want := strings.Join(names, ", "), "connector spanmetrics, exporter nop, exporter otlp_grpc, extension health_check, processor batch, receiver otlp"; got != want {
		t.Errorf("used = %s, want %s", got, want)
	}
}

func TestCheckRefusesWhatLeadsNowhere(t *testing.T) {
	for name, c := range map[string]struct{ old, with, part string }{
		"YAML that is broken":               {"service:", "service: {", "YAML"},
		"an unknown section":                {"connectors:", "conectors:", "conectors"},
		"an ID that none can be":            {"nop: {}, ", "nop!: {}, ", "nop!"},
		"a pipeline of no signal":           {"    traces:", "    spans:", "spans"},
		"an exporter that is not defined":   {"exporters: [nop]", "exporters: [nope]", "service.pipelines.metrics/spans.exporters names nope"},
		"a receiver that is not defined":    {"receivers: [otlp]", "receivers: [zipkin]", "names zipkin"},
		"a processor that is not defined":   {"processors: [batch]", "processors: [filter]", "names filter"},
		"an extension that is not defined":  {"extensions: [health_check]", "extensions: [zpages]", "service.extensions names zpages"},
		"a pipeline without an exporter":    {"receivers: [spanmetrics], exporters: [nop]", "receivers: [spanmetrics]", "needs a receiver and an exporter"},
		"a list where a map must be":        {"processors: {batch: {}}", "processors: [batch]", "processors"},
		"a processor in place of exporters": {"exporters: [nop]", "exporters: [batch]", "names batch"},
	} {
		t.Run(name, func(t *testing.T) {
			if !strings.Contains(whole, c.old) {
				t.Fatalf("%q is not in the configuration", c.old)
			}
			_, err := Check(strings.Replace(whole, c.old, c.with, 1))
			if err == nil || !strings.Contains(err.Error(), c.part) {
				t.Errorf("Check: %v, want an error with %q", err, c.part)
			}
		})
	}
	for name, text := range map[string]string{"nothing": "", "a word": "collector", "a list": "[a]", "no pipelines": "receivers: {otlp: {}}"} {
		if _, err := Check(text); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

func TestMergeAddsAndKeeps(t *testing.T) {
	merged, err := Merge(whole, `
extensions: {zpages: {}}
exporters: {otlp_http/vendor: {endpoint: "https://otlp.example.com"}, otlp_grpc/jaeger: {endpoint: "other:4317"}}
service:
  extensions: [zpages, health_check]
  pipelines:
    traces/vendor: {receivers: [otlp], exporters: [otlp_http/vendor]}
`)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Check(merged); err != nil {
		t.Errorf("Check of what was merged: %v\n%s", err, merged)
	}
	for _, part := range []string{"    - health_check\n    - zpages\n", "endpoint: other:4317", "traces/vendor:", "metrics/spans:", "spanmetrics: {}"} {
		if !strings.Contains(merged, part) {
			t.Errorf("%q is not in\n%s", part, merged)
		}
	}
}

func TestDetachHoldsUpNothingOfTheReceiver(t *testing.T) {
	const extra = `
processors: {batch/own: {}}
service:
  pipelines:
    traces/vendor: {receivers: [otlp], processors: [memory_limiter], exporters: [spanmetrics]}
    traces/plain: {receivers: [otlp], exporters: [spanmetrics]}
    traces/batched: {receivers: [otlp], processors: [batch/own], exporters: [spanmetrics]}
    metrics/theirs: {receivers: [spanmetrics], exporters: [otlp_grpc/jaeger]}
`
	merged, err := Merge(whole, extra)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Detach(whole, merged, "otlp", "batch/extra")
	if err != nil {
		t.Fatal(err)
	}
	conf, before := parsed(t, got), parsed(t, whole)
	for name, want := range map[string][]any{
		"traces/vendor": {"memory_limiter", "batch/extra"}, "traces/plain": {"batch/extra"}, "traces/batched": {"batch/own"}, "metrics/theirs": nil,
	} {
		processors, _ := conf.Get("service::pipelines::" + name + "::processors").([]any)
		if !slices.Equal(processors, want) {
			t.Errorf("processors of %s are %v, want %v", name, processors, want)
		}
	}
	for name, own := range before.Get("service::pipelines").(map[string]any) {
		if now := conf.Get("service::pipelines::" + name); !reflect.DeepEqual(now, own) {
			t.Errorf("own pipeline %s became %v", name, now)
		}
	}
}

func parsed(t *testing.T, text string) *confmap.Conf {
	t.Helper()
	conf, err := parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return conf
}

func FuzzMerge(f *testing.F) {
	for _, seed := range []string{"", "a: b", "service: {extensions: [x]}", "service: {extensions: x}", "service: [a]", "receivers:", "? [a]: b", "a: &x [*x]"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, extra string) {
		merged, err := Merge(whole, extra)
		if err != nil {
			return
		}
		if _, err := parse(merged); err != nil {
			t.Errorf("what %q was merged to can't be read: %v", extra, err)
		}
		if _, err := Detach(whole, merged, "otlp", "batch/extra"); err != nil {
			t.Errorf("what %q was merged to can't be changed: %v", extra, err)
		}
	})
}
