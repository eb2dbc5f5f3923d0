package collector

import (
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/component/otelcol"
	"github.com/kubebot/kubebot/internal/testutil/golden"
)

func input(change func(*v1alpha1.KubeBotSpec)) component.Input {
	kb := &v1alpha1.KubeBot{ObjectMeta: metav1.ObjectMeta{Name: "main", Namespace: "kubebot"}}
	if change != nil {
		change(&kb.Spec)
	}
	return golden.Input(kb)
}

func TestBuildRefusesWhatTheSchemaCannot(t *testing.T) {
	for field, change := range map[string]func(*v1alpha1.KubeBotSpec){
		"spec.traces.collector.image":        func(s *v1alpha1.KubeBotSpec) { s.Traces.Collector.Image = "docker.io//x" },
		"spec.traces.collector.storage.size": func(s *v1alpha1.KubeBotSpec) { s.Traces.Collector.Storage.Size = new(resource.MustParse("0")) },
		"spec.traces.sampling.slowThreshold": func(s *v1alpha1.KubeBotSpec) { s.Traces.Sampling.SlowThreshold = "0s" },
	} {
		t.Run(field, func(t *testing.T) {
			_, err := Component{}.Build(input(change))
			var invalid *component.InvalidError
			if !errors.As(err, &invalid) || len(field) < len(invalid.Field) || invalid.Field != field[:len(invalid.Field)] {
				t.Errorf("Build: %v, want an InvalidError of %s", err, field)
			}
		})
	}
}

// A part of the user's that can't be one is named, and the collector runs without it.
func TestAPartThatCantBeOneIsContained(t *testing.T) {
	without, err := Component{}.Build(input(nil))
	if err != nil {
		t.Fatal(err)
	}
	for extra, want := range map[string]string{
		"exporters: [": "spec.traces.collector.extraConfig: ",
		"a word":       "spec.traces.collector.extraConfig: this is not a configuration",
		"# mine\nservice:\n  pipelines:\n    traces/x: {receivers: [otlp], exporters: [nowhere]}": "spec.traces.collector.extraConfig: service.pipelines.traces/x.exporters names nowhere, which is not defined",
	} {
		in := input(func(s *v1alpha1.KubeBotSpec) { s.Traces.Collector.ExtraConfig = extra })
		objects, err := Component{}.Build(in)
		if err != nil {
			t.Errorf("%q: Build: %v", extra, err)
			continue
		}
		if got, want := samplerText(objects), samplerText(without); got != want {
			t.Errorf("%q: the samplers get another configuration:\n%s", extra, got)
		}
		health := Component{}.Health(in, component.Observed{})
		if health.Reason != v1alpha1.ReasonInvalidSpec || !strings.HasPrefix(health.Message, want) || !strings.Contains(health.Message, "the collector runs without it") {
			t.Errorf("%q: %s %s, want %s", extra, health.Reason, health.Message, want)
		}
	}
}

// samplerText is the configuration that the samplers get.
func samplerText(objects []client.Object) string {
	for _, o := range objects {
		if m, ok := o.(*corev1.ConfigMap); ok && m.Name == "main-collector-sampler" {
			return otelcol.Text(m.Data)
		}
	}
	return ""
}

// A pod that is to end must work on for longer than it takes until nobody sends to it, and until the last trace is
// decided.
func TestASamplerDrainsBeforeItEnds(t *testing.T) {
	const nameServer, quickNameServer = 30.0, 5.0 // kubeadm's, and CoreDNS by itself
	heard := resolveInterval.Seconds() + nameServer
	if last := heard + decisionWait.Seconds() + 2; samplerDrain < last {
		t.Errorf("a sampler goes on for %d s, and its last trace is decided after %.0f s", samplerDrain, last)
	}
	if reconnected := samplerAge.Seconds()*1.1 + nameServer; samplerDrain < reconnected {
		t.Errorf("a sampler goes on for %d s, and receivers connect anew after %.0f s", samplerDrain, reconnected)
	}
	// With a slower name server they come back to the queue, and are tried again until it is known.
	if known := resolveInterval.Seconds() + quickNameServer; endpointPatience.Seconds() < known {
		t.Errorf("spans are given to another sampler after %s, before the one that is gone is known after %.0f s", endpointPatience, known)
	}
}

func TestQueuesFitIntoTheVolume(t *testing.T) {
	for name, change := range map[string]func(*v1alpha1.KubeBotSpec){
		"empty":            nil,
		"three Prometheus": func(s *v1alpha1.KubeBotSpec) { s.Metrics.Prometheus.Replicas = new(int32(3)) },
	} {
		const room = int64(2) << 30
		c, err := samplerConfig(input(change).KubeBot, room)
		if err != nil {
			t.Fatal(err)
		}
		used := int64(0)
		for id, e := range c.Exporters {
			switch e := e.(type) {
			case otelcol.OTLPExporter:
				used += e.Queue.QueueSize
				if id == idArchive { // a queue for each signal
					used += 2 * e.Queue.QueueSize
				}
			case otelcol.OTLPHTTPExporter:
				used += e.Queue.QueueSize
			}
		}
		// Compaction writes the largest file anew.
		if whole := used + room/100*lokiShare; whole > room {
			t.Errorf("%s: queues of %d bytes and the compaction take %d of %d", name, used, whole, room)
		}
	}
}

func TestPortsAreThoseOfTheConfiguration(t *testing.T) {
	objects, err := Component{}.Build(input(nil))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]string{
		"main-collector":         {"otlp-grpc", "otlp-http", "metrics", "health"},
		"main-collector-sampler": {"otlp-grpc", "metrics", "health"},
		"main-collector-events":  {"metrics", "health"},
	}
	for _, o := range objects {
		var containers []corev1.Container
		switch o := o.(type) {
		case *appsv1.Deployment:
			containers = o.Spec.Template.Spec.Containers
		case *appsv1.StatefulSet:
			containers = o.Spec.Template.Spec.Containers
		default:
			continue
		}
		var names []string
		for _, p := range containers[0].Ports {
			names = append(names, p.Name)
		}
		if len(names) != len(want[o.GetName()]) {
			t.Errorf("%s has the ports %v, want %v", o.GetName(), names, want[o.GetName()])
		}
		for i := range names {
			if names[i] != want[o.GetName()][i] {
				t.Errorf("%s has the ports %v, want %v", o.GetName(), names, want[o.GetName()])
			}
		}
	}
}

// The API refuses variables of a user's that would hide KubeBot's own.
func TestTheAPIRefusesTheVariablesThatSamplersHave(t *testing.T) {
	objects, err := Component{}.Build(input(nil))
	if err != nil {
		t.Fatal(err)
	}
	crd, err := os.ReadFile("../../../config/crd/bases/kubebot.io_kubebots.yaml")
	if err != nil {
		t.Fatal(err)
	}
	refused := regexp.MustCompile(`self\.all\(v, !\(v\.name in \[(.+?)\]`).FindSubmatch(crd)
	if refused == nil {
		t.Fatal("the CRD has no rule about the names of variables")
	}
	checked := 0
	for _, o := range objects {
		if set, ok := o.(*appsv1.StatefulSet); ok {
			for _, v := range set.Spec.Template.Spec.Containers[0].Env {
				checked++
				if !strings.Contains(string(refused[1]), "'"+v.Name+"'") {
					t.Errorf("the API lets users set %s, which KubeBot sets", v.Name)
				}
			}
		}
	}
	if checked < 3 {
		t.Errorf("%d variables", checked)
	}
}
