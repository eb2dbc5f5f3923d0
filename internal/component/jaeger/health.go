package jaeger

import (
	"strings"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/component/observe"
	"github.com/kubebot/kubebot/internal/component/pods"
	"github.com/kubebot/kubebot/internal/endpoints"
)

const keyServices = "services"

// Questions implements component.Component. The list of services is read from the store.
func (Component) Questions(in component.Input) []component.Question {
	base := strings.TrimSuffix(endpoints.Jaeger(in.KubeBot), "/")
	if base == "" {
		return nil
	}
	questions := []component.Question{{Key: keyServices, URL: base + "/api/services"}}
	if managed(in.KubeBot) {
		questions = append(questions, pods.AskEvicted(in.KubeBot, endpoints.JobJaeger)...)
	}
	return questions
}

// Health implements component.Component.
func (Component) Health(in component.Input, seen component.Observed) component.Health {
	kb := in.KubeBot
	base := endpoints.Jaeger(kb)
	if base == "" {
		return observe.Disabled("Jaeger", field+".mode")
	}
	health := judge(in, seen)
	health.Endpoints = []v1alpha1.Endpoint{{Name: name, URL: base}}
	if managed(kb) && kb.Spec.Traces.Jaeger.Elasticsearch == nil {
		health.Extra = pods.Filling(pods.Ephemeral(kb.Spec.Traces.Jaeger.Storage, "traces", field+".storage"),
			kb.Spec.Traces.Jaeger.Storage, emptyDirLimit, seen)
	}
	return health
}

func judge(in component.Input, seen component.Observed) component.Health {
	why := unanswered(seen.Answers[keyServices])
	if !managed(in.KubeBot) {
		if why != "" {
			return observe.NotReady(v1alpha1.ReasonNotAnswering,
				"the external Jaeger "+why+": see that "+field+".external.url is right and reachable from the manager")
		}
		return observe.Ready("the external Jaeger answers queries")
	}
	trouble := observe.StatefulSetTrouble(seen, setName(in.KubeBot))
	switch {
	case trouble != "":
		return observe.NotReady(v1alpha1.ReasonProgressing, observe.With(trouble, seen.Pods))
	case why != "":
		return observe.NotReady(v1alpha1.ReasonNotAnswering, observe.With("Jaeger "+why, seen.Pods))
	}
	return observe.Ready("Jaeger answers queries")
}

// unanswered says why an answer is not Jaeger's list of services, or is empty: a Jaeger without its store also serves
// pages.
func unanswered(a component.Answer) string {
	var body struct {
		Errors []struct {
			Message string `json:"msg"`
		} `json:"errors"`
	}
	if why := observe.Read(a, &body); why != "" {
		return why
	}
	if len(body.Errors) > 0 {
		return "can't read its store"
	}
	return ""
}
