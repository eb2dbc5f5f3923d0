package alertmanager

import (
	"fmt"
	"strings"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"sigs.k8s.io/yaml"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/component/observe"
	"github.com/kubebot/kubebot/internal/component/pods"
	"github.com/kubebot/kubebot/internal/endpoints"
)

const keyStatus = "status"

// Questions implements component.Component.
func (Component) Questions(in component.Input) []component.Question {
	base := endpoints.Alertmanager(in.KubeBot)
	if base == "" {
		return nil
	}
	return []component.Question{{Key: keyStatus, URL: strings.TrimSuffix(base, "/") + "/api/v2/status"}}
}

// Health implements component.Component.
func (Component) Health(in component.Input, seen component.Observed) component.Health {
	kb := in.KubeBot
	base := endpoints.Alertmanager(kb)
	if base == "" {
		return observe.Disabled("Alertmanager", field+".mode")
	}
	health := judge(kb, seen)
	health.Endpoints = []v1alpha1.Endpoint{{Name: name, URL: base}}
	if managed(kb) {
		health.Message += leftOutOfFallback(kb)
		health.Extra = pods.Ephemeral(kb.Spec.Metrics.Alertmanager.Storage, "silences", field+".storage")
	}
	return health
}

func judge(kb *v1alpha1.KubeBot, seen component.Observed) component.Health {
	answer := seen.Answers[keyStatus]
	why := observe.Unanswered(answer)
	if !managed(kb) {
		if why != "" {
			return observe.NotReady(v1alpha1.ReasonNotAnswering,
				"the external Alertmanager "+why+": see that "+field+".external.url is right and reachable from the manager")
		}
		return judgeReceiver(answer, fmt.Sprintf("add a receiver named %s with a webhook to %s, and a route to it",
			endpoints.ResponderReceiver, endpoints.ResponderWebhook(kb)))
	}
	am, found := observe.Find[monitoringv1.Alertmanager](seen, monitoringv1.AlertmanagersKind, resourceName(kb))
	if !found {
		return observe.NotReady(v1alpha1.ReasonProgressing, "the Alertmanager resource does not exist yet")
	}
	if why == "" {
		return judgeReceiver(answer, "its configuration is on the way or was refused: see the log of its config-reloader")
	}
	if health, ok := observe.OperatorTrouble(seen.Now, monitoringv1.AlertmanagersKind, am.ObjectMeta, am.Status.Conditions); !ok {
		return health
	}
	reason := v1alpha1.ReasonNotAnswering
	if answer.Status == 0 || answer.Status == 503 {
		reason = v1alpha1.ReasonProgressing
	}
	return observe.NotReady(reason, observe.With("Alertmanager "+why, seen.Pods))
}

// judgeReceiver looks for the responder in the running configuration. It goes by the receiver's name, because
// Alertmanager hides the addresses of webhooks.
func judgeReceiver(answer component.Answer, advice string) component.Health {
	var status struct {
		Config struct {
			Original string `json:"original"`
		} `json:"config"`
	}
	var running struct {
		Receivers []struct {
			Name string `json:"name"`
		} `json:"receivers"`
	}
	if why := observe.Read(answer, &status); why != "" {
		return observe.NotReady(v1alpha1.ReasonNotAnswering, "Alertmanager "+why)
	}
	if err := yaml.Unmarshal([]byte(status.Config.Original), &running); err != nil {
		return observe.NotReady(v1alpha1.ReasonNotAnswering, "Alertmanager answers with a configuration that is not its format")
	}
	for _, r := range running.Receivers {
		if r.Name == endpoints.ResponderReceiver {
			return observe.Ready("Alertmanager answers and knows the responder as receiver")
		}
	}
	return observe.NotReady(v1alpha1.ReasonReceiverUnknown, "Alertmanager does not know the responder as receiver: "+advice)
}
