package collector

import (
	"errors"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

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
		"spec.traces.collector.extraConfig":  func(s *v1alpha1.KubeBotSpec) { s.Traces.Collector.ExtraConfig = "exporters: [" },
		"spec.traces.collector.extraConfig ": func(s *v1alpha1.KubeBotSpec) { s.Traces.Collector.ExtraConfig = "a word" },
		"spec.traces.collector.extraConfig  ": func(s *v1alpha1.KubeBotSpec) {
			s.Traces.Collector.ExtraConfig = "service: {pipelines: {traces/x: {receivers: [otlp], exporters: [nowhere]}}}"
		},
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

// A pod that is to end must work on for longer than it takes until nobody sends to it, and until the last trace is
// decided.
func TestASamplerDrainsBeforeItEnds(t *testing.T) {
	const nameServer = 5.0
	heard := resolveInterval.Seconds() + nameServer
	if last := heard + decisionWait.Seconds() + 2; samplerDrain < last {
		t.Errorf("a sampler goes on for %d s, and its last trace is decided after %.0f s", samplerDrain, last)
	}
	if reconnected := samplerAge.Seconds()*1.1 + nameServer; samplerDrain < reconnected {
		t.Errorf("a sampler goes on for %d s, and receivers connect anew after %.0f s", samplerDrain, reconnected)
	}
	if endpointPatience.Seconds() < heard {
		t.Errorf("spans are given to another sampler after %s, before the one that is gone is known after %.0f s", endpointPatience, heard)
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
