package collector

import (
	"fmt"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
)

// live is both tiers with so many pods available, of 2 each.
func live(receivers, samplers int32) []client.Object {
	return []client.Object{
		&appsv1.Deployment{
			ObjectMeta: metav1.ObjectMeta{Name: "main-collector"}, Spec: appsv1.DeploymentSpec{Replicas: new(int32(2))},
			Status: appsv1.DeploymentStatus{UpdatedReplicas: 2, AvailableReplicas: receivers},
		},
		&appsv1.Deployment{
			ObjectMeta: metav1.ObjectMeta{Name: "main-collector-events"}, Spec: appsv1.DeploymentSpec{Replicas: new(int32(1))},
			Status: appsv1.DeploymentStatus{UpdatedReplicas: 1, AvailableReplicas: 1},
		},
		&appsv1.StatefulSet{
			ObjectMeta: metav1.ObjectMeta{Name: "main-collector-sampler"}, Spec: appsv1.StatefulSetSpec{Replicas: new(int32(2))},
			Status: appsv1.StatefulSetStatus{UpdatedReplicas: 2, AvailableReplicas: samplers},
		},
	}
}

func answer(ids ...string) component.Answer {
	var samples []string
	for _, id := range ids {
		samples = append(samples, fmt.Sprintf(`{"metric":{"exporter":%q},"value":[1,"1"]}`, id))
	}
	return component.Answer{Status: 200, Body: []byte(`{"data":{"resultType":"vector","result":[` + strings.Join(samples, ",") + `]}}`)}
}

func TestHealth(t *testing.T) {
	none := answer()
	answers := func(failing, standing component.Answer) map[string]component.Answer {
		return map[string]component.Answer{keyFailing: failing, keyStanding: standing, keyUnjudged: none}
	}
	crowded := map[string]component.Answer{keyFailing: none, keyStanding: none, keyUnjudged: {
		Status: 200, Body: []byte(`{"data":{"resultType":"vector","result":[{"metric":{},"value":[1,"1234.4"]}]}}`),
	}}
	for name, c := range map[string]struct {
		change func(*v1alpha1.KubeBotSpec)
		seen   component.Observed
		status metav1.ConditionStatus
		reason string
		part   string
	}{
		"switched off":                  {func(s *v1alpha1.KubeBotSpec) { s.Traces.Collector.Mode = "Disabled" }, component.Observed{}, metav1.ConditionFalse, v1alpha1.ReasonDisabled, "collector.mode"},
		"not applied yet":               {nil, component.Observed{}, metav1.ConditionFalse, v1alpha1.ReasonProgressing, "main-collector-sampler does not exist yet"},
		"a receiver is missing":         {nil, component.Observed{Objects: live(1, 2)}, metav1.ConditionFalse, v1alpha1.ReasonProgressing, "1 of 2 pods of the Deployment main-collector"},
		"a sampler is missing":          {nil, component.Observed{Objects: live(2, 1)}, metav1.ConditionFalse, v1alpha1.ReasonProgressing, "1 of 2 pods of the StatefulSet"},
		"all is taken":                  {nil, component.Observed{Objects: live(2, 2), Answers: answers(none, none)}, metav1.ConditionTrue, v1alpha1.ReasonReady, "is taken"},
		"Loki refuses":                  {nil, component.Observed{Objects: live(2, 2), Answers: answers(answer(idLoki), none)}, metav1.ConditionFalse, v1alpha1.ReasonNotAnswering, "Loki refuse"},
		"Jaeger and a Prometheus stand": {nil, component.Observed{Objects: live(2, 2), Answers: answers(none, answer(idPrometheus+"-1", idJaeger, idPrometheus+"-0"))}, metav1.ConditionFalse, v1alpha1.ReasonNotAnswering, "Jaeger, Prometheus take nothing"},
		"an exporter of the user's":     {nil, component.Observed{Objects: live(2, 2), Answers: answers(answer("otlp_http/vendor"), none)}, metav1.ConditionFalse, v1alpha1.ReasonNotAnswering, "the exporter otlp_http/vendor"},
		"too many traces at a time":     {nil, component.Observed{Objects: live(2, 2), Answers: crowded}, metav1.ConditionFalse, v1alpha1.ReasonNotAnswering, "1234 traces were left out unjudged within 5 minutes, because they are more than the samplers hold: raise spec.traces.collector.samplers"},
		"Prometheus is silent":          {nil, component.Observed{Objects: live(2, 2)}, metav1.ConditionFalse, v1alpha1.ReasonNotAnswering, "unknown, because Prometheus"},
		"no Prometheus of ours":         {func(s *v1alpha1.KubeBotSpec) { s.Metrics.Prometheus.Mode = v1alpha1.ModeDisabled }, component.Observed{Objects: live(2, 2)}, metav1.ConditionTrue, v1alpha1.ReasonReady, "both tiers"},
	} {
		t.Run(name, func(t *testing.T) {
			got := Component{}.Health(input(c.change), c.seen)
			if got.Status != c.status || got.Reason != c.reason || !strings.Contains(got.Message, c.part) {
				t.Errorf("Health = %s %s %q, want %s %s and a message with %q", got.Status, got.Reason, got.Message, c.status, c.reason, c.part)
			}
		})
	}
}
