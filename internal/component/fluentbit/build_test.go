package fluentbit

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/testutil/golden"
)

func input(s v1alpha1.FluentBitSpec) component.Input {
	return golden.Input(&v1alpha1.KubeBot{
		ObjectMeta: metav1.ObjectMeta{Name: "main", Namespace: "kubebot"},
		Spec:       v1alpha1.KubeBotSpec{Logs: v1alpha1.LogsSpec{FluentBit: s}},
	})
}

func TestBuildMatchesGoldenFiles(t *testing.T) {
	golden.Components(t, Component{})
}

// Every plugin and property is in the list that the program prints, but for those that it takes and does not print.
func TestTheProgramKnowsEveryProperty(t *testing.T) {
	unlisted := []string{"name", "processors", "workers", "storage.total_limit_size", "retry_limit", "tag", "host", "port", "match", "alias"}
	in := input(v1alpha1.FluentBitSpec{})
	text, err := newConfig(in, resource.MustParse(bufferLimit), nil).marshal()
	if err != nil {
		t.Fatal(err)
	}
	var c struct {
		Pipeline map[string][]map[string]any `json:"pipeline"`
	}
	if err := yaml.Unmarshal([]byte(text), &c); err != nil {
		t.Fatal(err)
	}
	known := func(kind string, entry map[string]any) {
		properties, ok := plugins(kind)[entry["name"].(string)]
		if !ok {
			t.Errorf("there is no %s %s", kind, entry["name"])
		}
		for property := range entry {
			if !slices.Contains(properties, property) && !slices.Contains(unlisted, property) {
				t.Errorf("the %s %s has no property %s", kind, entry["name"], property)
			}
		}
	}
	for section, kind := range map[string]string{"inputs": "input", "filters": "filter", "outputs": "output"} {
		if len(c.Pipeline[section]) == 0 {
			t.Errorf("there are no %s", section)
		}
		for _, entry := range c.Pipeline[section] {
			known(kind, entry)
		}
	}
	for _, unit := range c.Pipeline["outputs"][0]["processors"].(map[string]any)["logs"].([]any) {
		entry := unit.(map[string]any)
		if _, filter := plugins("filter")[entry["name"].(string)]; filter {
			known("filter", entry)
		} else {
			known("processor", entry)
		}
	}
}

func TestSettingsThatCantBeUsedAreRefused(t *testing.T) {
	quantity := func(s string) *resource.Quantity { q := resource.MustParse(s); return &q }
	for name, c := range map[string]struct {
		spec      v1alpha1.KubeBotSpec
		field, in string
	}{
		"a buffer that is full at once": {spec(v1alpha1.FluentBitSpec{BufferLimit: quantity("1Mi")}), "spec.logs.fluentBit.bufferLimit", "at least 16Mi"},
		"an image that is none":         {spec(v1alpha1.FluentBitSpec{PodSettings: v1alpha1.PodSettings{Image: "no image"}}), "spec.logs.fluentBit.image", "is not an image reference"},
		"no collector": {v1alpha1.KubeBotSpec{Traces: v1alpha1.TracesSpec{Collector: v1alpha1.CollectorSpec{Mode: "Disabled"}}},
			"spec.logs.fluentBit.mode", "spec.traces.collector.mode"},
	} {
		t.Run(name, func(t *testing.T) {
			in := input(v1alpha1.FluentBitSpec{})
			in.KubeBot.Spec = c.spec
			_, err := Component{}.Build(in)
			var got *component.InvalidError
			if !errors.As(err, &got) {
				t.Fatalf("Build: %v, want an InvalidError", err)
			}
			if message := strings.ReplaceAll(got.Message, ",", ""); got.Field != c.field || !strings.Contains(message, strings.ReplaceAll(c.in, ",", "")) {
				t.Errorf("got %s: %s, want %s and %q", got.Field, got.Message, c.field, c.in)
			}
		})
	}
}

func spec(s v1alpha1.FluentBitSpec) v1alpha1.KubeBotSpec {
	return v1alpha1.KubeBotSpec{Logs: v1alpha1.LogsSpec{FluentBit: s}}
}

// Filters that can't be any are named, and Fluent Bit runs without them.
func TestFiltersThatCantBeAnyAreContained(t *testing.T) {
	for name, c := range map[string]struct{ filters, in string }{
		"no YAML":             {"- name: grep\n  match: [\n", "is not YAML"},
		"tabs":                {"- name: grep\n\tmatch: x\n", "line 2 is not YAML"},
		"no list":             {"name: grep\n", "line 1: this must be a list"},
		"a word":              {"- grep\n", "line 1: a filter must be a mapping"},
		"no name":             {"- match: kube.*\n", "line 1: a filter needs a name"},
		"an unknown filter":   {"- match: kube.*\n  name: grap\n", "line 2: Fluent Bit has no filter grap: take one of expect, grep"},
		"an unknown property": {"# c\n- name: grep\n  match: kube.*\n  exlude: log x\n", "line 4: the filter grep has no property exlude: take one of alias exclude"},
		"a property twice":    {"- name: grep\n  match: a\n  MATCH: b\n", "line 3: match is there twice"},
		"a mapping as value":  {"- name: grep\n  match: {a: b}\n", "line 2: the value of match"},
		"no value":            {"- name: grep\n  match:\n", "line 2: match has no value"},
		"for no lines":        {"- name: stdout\n", "line 1: the filter stdout says nothing of which lines"},
	} {
		t.Run(name, func(t *testing.T) {
			in := input(v1alpha1.FluentBitSpec{ExtraFilters: c.filters})
			objects, err := Component{}.Build(in)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.ContainsFunc(objects, func(o client.Object) bool { return o.GetObjectKind().GroupVersionKind().Kind == "DaemonSet" }) {
				t.Errorf("Fluent Bit does not run: %v", objects)
			}
			got := Component{}.Health(in, component.Observed{})
			message := strings.ReplaceAll(got.Message, ",", "")
			if got.Reason != v1alpha1.ReasonInvalidSpec || !strings.HasPrefix(message, filtersField+": ") || !strings.Contains(message, strings.ReplaceAll(c.in, ",", "")) {
				t.Errorf("Health = %s %s, want %s", got.Reason, got.Message, c.in)
			}
		})
	}
}

func FuzzParseFilters(f *testing.F) {
	f.Add("- name: grep\n  match: kube.*\n  exclude: [log a, log b]\n")
	f.Add("a: &x [*x]")
	f.Add("- {name: lua, match: '*', call: 1}\n---\n- b")
	f.Fuzz(func(t *testing.T, text string) {
		parsed, err := parseFilters(text)
		var invalid *component.InvalidError
		if err != nil && !errors.As(err, &invalid) {
			t.Fatalf("parseFilters gives another error than an InvalidError: %v", err)
		}
		for _, filter := range parsed {
			var f map[string]any
			if err := filter.Decode(&f); err != nil || f["name"] == "" {
				t.Errorf("a filter without a name is taken: %v, %v", f, err)
			}
		}
	})
}
