package grafana

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/component/observe"
	"github.com/kubebot/kubebot/internal/component/pods"
	"github.com/kubebot/kubebot/internal/dashboards/config"
	"github.com/kubebot/kubebot/internal/endpoints"
	"github.com/kubebot/kubebot/internal/naming"
)

const keyReport = "report"

// Questions implements component.Component.
func (Component) Questions(in component.Input) []component.Question {
	kb := in.KubeBot
	if endpoints.Grafana(kb) == "" {
		return nil
	}
	return []component.Question{{
		Key: keyReport, URL: fmt.Sprintf("http://%s.%s.svc:%d%s", naming.Object(kb, name), kb.Namespace, metricsPort, config.StatusPath),
	}}
}

// Health implements component.Component.
func (Component) Health(in component.Input, seen component.Observed) component.Health {
	kb := in.KubeBot
	base := endpoints.Grafana(kb)
	if base == "" {
		return observe.Disabled("Grafana", field+".mode")
	}
	health := judge(in, seen)
	health.Endpoints = []v1alpha1.Endpoint{{Name: name, URL: base}}
	if home, err := HomeURL(in); err == nil {
		health.Endpoints = append(health.Endpoints, v1alpha1.Endpoint{Name: "dashboards", URL: home})
	}
	if managed(kb) {
		health.Extra = pods.Ephemeral(kb.Spec.Dashboards.Grafana.Storage, "dashboards that people make in Grafana", field+".storage")
	}
	return health
}

// reasons of the condition by what the keeper reports.
var reasons = map[config.Trouble]string{
	config.Unreachable:   v1alpha1.ReasonNotAnswering,
	config.SecretMissing: v1alpha1.ReasonSecretMissing,
	config.Refused:       v1alpha1.ReasonCredentialsRefused,
	config.Failed:        v1alpha1.ReasonDashboardsRefused,
}

func judge(in component.Input, seen component.Observed) component.Health {
	kb := in.KubeBot
	if trouble := rollout(kb, seen); trouble != "" {
		return observe.NotReady(v1alpha1.ReasonProgressing, observe.With(trouble, seen.Pods))
	}
	answer := seen.Answers[keyReport]
	var r config.Report
	if why := observe.Read(answer, &r); why != "" {
		return observe.NotReady(v1alpha1.ReasonNotAnswering, observe.With("what keeps the dashboards "+why, seen.Pods))
	}
	wanted, err := newConfig(in)
	if err != nil {
		return observe.NotReady(v1alpha1.ReasonInvalidSpec, err.Error())
	}
	hash, err := wanted.Hash()
	switch {
	case err != nil:
		return observe.NotReady(v1alpha1.ReasonInvalidSpec, err.Error())
	case r.ConfigHash != hash && r.Trouble == "":
		return observe.NotReady(v1alpha1.ReasonProgressing, "Grafana runs; the latest settings have not reached what keeps its dashboards yet")
	case r.Trouble != "":
		return observe.NotReady(cmp.Or(reasons[r.Trouble], v1alpha1.ReasonNotAnswering),
			with(cmp.Or(r.Message, "what keeps the dashboards says "+string(r.Trouble)), r.Problems))
	case seen.Now.Sub(r.Looked) > config.Patience:
		return observe.NotReady(v1alpha1.ReasonNotAnswering, "what keeps the dashboards has stopped looking at Grafana")
	}
	who := "Grafana"
	if !managed(kb) {
		who = "the external Grafana"
	}
	health := observe.Ready(with(fmt.Sprintf("%s answers and has %d data sources and %d dashboards of KubeBot", who, r.DataSources, r.Dashboards), r.Problems))
	if len(r.Problems) > 0 {
		health.Reason = v1alpha1.ReasonConfigRefused
	}
	return health
}

func with(message string, problems []string) string {
	if len(problems) == 0 {
		return message
	}
	return message + "; left out: " + strings.Join(problems, "; ")
}

func rollout(kb *v1alpha1.KubeBot, seen component.Observed) string {
	if persistent(kb) {
		return observe.StatefulSetTrouble(seen, setName(kb))
	}
	return observe.DeploymentTrouble(seen, naming.Object(kb, name))
}
