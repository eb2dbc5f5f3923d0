package loki

import (
	"strings"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/component/observe"
	"github.com/kubebot/kubebot/internal/component/pods"
	"github.com/kubebot/kubebot/internal/endpoints"
)

const keyReady = "ready"

// Questions implements component.Component. A Loki outside is asked what every gateway lets through and what needs no
// tenant.
func (Component) Questions(in component.Input) []component.Question {
	base := strings.TrimSuffix(endpoints.Loki(in.KubeBot), "/")
	switch {
	case base == "":
		return nil
	case !managed(in.KubeBot):
		return []component.Question{{Key: keyReady, URL: base + "/loki/api/v1/status/buildinfo"}}
	}
	return append([]component.Question{{Key: keyReady, URL: base + "/ready"}}, pods.AskEvicted(in.KubeBot, endpoints.JobLoki)...)
}

// Health implements component.Component.
func (Component) Health(in component.Input, seen component.Observed) component.Health {
	kb := in.KubeBot
	base := endpoints.Loki(kb)
	if base == "" {
		return observe.Disabled("Loki", field+".mode")
	}
	health := judge(in, seen)
	health.Endpoints = []v1alpha1.Endpoint{{Name: name, URL: base}}
	switch {
	case !managed(kb):
	case kb.Spec.Logs.Loki.ObjectStorage != nil:
		health.Extra = pods.Ephemeral(kb.Spec.Logs.Loki.Storage, "the last hours of logs and events, which are not in the bucket yet,", field+".storage")
	default:
		health.Extra = pods.Filling(pods.Ephemeral(kb.Spec.Logs.Loki.Storage, "logs and events", field+".storage"),
			kb.Spec.Logs.Loki.Storage, emptyDirLimit, seen)
	}
	return health
}

func judge(in component.Input, seen component.Observed) component.Health {
	why := observe.Unanswered(seen.Answers[keyReady])
	if !managed(in.KubeBot) {
		if why != "" {
			return observe.NotReady(v1alpha1.ReasonNotAnswering,
				"the external Loki "+why+": see that "+field+".external.url is right and reachable from the manager")
		}
		return observe.Ready("the external Loki answers")
	}
	trouble := observe.StatefulSetTrouble(seen, setName(in.KubeBot))
	switch {
	case trouble != "":
		return observe.NotReady(v1alpha1.ReasonProgressing, observe.With(trouble, seen.Pods))
	case why != "":
		return observe.NotReady(v1alpha1.ReasonNotAnswering, observe.With("Loki "+why, seen.Pods))
	}
	return observe.Ready("Loki answers and takes and finds logs")
}
