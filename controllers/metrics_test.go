package controllers_test

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
)

func TestTheMetricsTellWhichComponentsAreReady(t *testing.T) {
	part := func(name string, status metav1.ConditionStatus, reason string) component.Component {
		return &fake{name: name, build: func(component.Input) ([]client.Object, error) { return nil, nil },
			health: func(in component.Input, _ component.Observed) component.Health {
				if name == "broken" && in.KubeBot.Spec.Metrics.NodeExporter.Mode == "Disabled" {
					return component.Health{Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonDisabled, Message: "switched off"}
				}
				return component.Health{Status: status, Reason: reason, Message: reason}
			}}
	}
	b := newBench(t,
		part("whole", metav1.ConditionTrue, v1alpha1.ReasonReady), part("broken", metav1.ConditionFalse, v1alpha1.ReasonNotAnswering),
		part("lonely", metav1.ConditionFalse, v1alpha1.ReasonNoReceivers), part("off", metav1.ConditionFalse, v1alpha1.ReasonDisabled)).start()
	registry := b.options.Registry.(*prometheus.Registry) //nolint:forcetypeassert // start makes it
	says := func(want string) {
		t.Helper()
		b.eventually("the metrics to tell of the components", func() error {
			return testutil.GatherAndCompare(registry, strings.NewReader(`
# HELP kubebot_component_ready Whether a component of the active KubeBot answers (1) or not (0); none for one that is switched off.
# TYPE kubebot_component_ready gauge
`+want), "kubebot_component_ready")
		})
	}
	kb := b.kubebot(b.ns, "main")
	says(`kubebot_component_ready{component="broken"} 0
kubebot_component_ready{component="lonely"} 1
kubebot_component_ready{component="whole"} 1
`)
	b.update(kb, func(kb *v1alpha1.KubeBot) { kb.Spec.Metrics.NodeExporter.Mode = "Disabled" })
	says(`kubebot_component_ready{component="lonely"} 1
kubebot_component_ready{component="whole"} 1
`)
	if err := b.client.Delete(t.Context(), kb); err != nil {
		t.Fatal(err)
	}
	b.eventually("the metrics of a KubeBot that is gone to go", func() error {
		return testutil.GatherAndCompare(registry, strings.NewReader(""), "kubebot_component_ready")
	})
}
