package responder

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/alert"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/component/observe"
	"github.com/kubebot/kubebot/internal/component/proof"
	"github.com/kubebot/kubebot/internal/endpoints"
	"github.com/kubebot/kubebot/internal/naming"
	"github.com/kubebot/kubebot/internal/pipeline/config"
)

const keyStatus = "status"

// Questions implements component.Component.
func (Component) Questions(in component.Input) []component.Question {
	return []component.Question{{
		Key: keyStatus, URL: endpoints.ResponderStatus(in.KubeBot), Authenticated: true, ReplicasOf: naming.Object(in.KubeBot, name),
	}}
}

// Health implements component.Component.
func (Component) Health(in component.Input, seen component.Observed) component.Health {
	reports, refusals := reports(seen)
	health := judge(in, seen, reports, refusals)
	health.Extra = []metav1.Condition{receiversReady(in.KubeBot, reports), heartbeatConfigured(in.KubeBot, reports)}
	health.Endpoints = []v1alpha1.Endpoint{{Name: name, URL: endpoints.ResponderWebhook(in.KubeBot)}}
	return health
}

// reports are what the replicas say of themselves, and why those that answer otherwise don't.
func reports(seen component.Observed) (reports []config.Report, refusals []string) {
	for _, key := range slices.Sorted(maps.Keys(seen.Answers)) {
		if key != keyStatus && !strings.HasPrefix(key, keyStatus+"/") {
			continue
		}
		answer := seen.Answers[key]
		var r config.Report
		if why := observe.Read(answer, &r); why != "" {
			refusals = append(refusals, why)
			continue
		}
		reports = append(reports, r)
	}
	slices.Sort(refusals)
	return reports, slices.Compact(refusals)
}

func judge(in component.Input, seen component.Observed, reports []config.Report, refusals []string) component.Health {
	kb := in.KubeBot
	wanted := int(ptr.Deref(kb.Spec.Alerting.Responder.Replicas, replicas))
	if len(reports) < wanted || len(refusals) > 0 {
		message := fmt.Sprintf("%d of %d replicas of the responder answer", min(len(reports), wanted), wanted)
		if len(refusals) > 0 {
			message += ": one " + strings.Join(refusals, ", one ")
		}
		if trouble := observe.DeploymentTrouble(seen, naming.Object(kb, name)); trouble != "" {
			return observe.NotReady(v1alpha1.ReasonProgressing, observe.With(message+"; "+trouble, seen.Pods))
		}
		return observe.NotReady(v1alpha1.ReasonNotAnswering, observe.With(message, seen.Pods))
	}
	if health, ok := judgeWatchdog(kb, seen, reports); !ok {
		return health
	}
	message := "the responder answers"
	if proof.ExpectsAlerts(kb) {
		message += " and gets the watchdog alert"
	}
	if problems := problems(reports); problems != "" {
		message += "; " + problems
	}
	return observe.Ready(message)
}

func problems(reports []config.Report) string {
	var all []string
	for _, r := range reports {
		all = append(all, r.Problems...)
	}
	slices.Sort(all)
	return strings.Join(slices.Compact(all), " ")
}

// judgeWatchdog says whether the watchdog alert came through the whole path of late. A new responder gets time for it.
func judgeWatchdog(kb *v1alpha1.KubeBot, seen component.Observed, reports []config.Report) (component.Health, bool) {
	if !proof.ExpectsAlerts(kb) {
		return component.Health{}, true
	}
	var last time.Time
	for _, r := range reports {
		if r.WatchdogSeen.After(last) {
			last = r.WatchdogSeen
		}
	}
	if !last.IsZero() && seen.Now.Sub(last) <= watchdogPatience {
		return component.Health{}, true
	}
	d, found := observe.Find[appsv1.Deployment](seen, "Deployment", naming.Object(kb, name))
	if last.IsZero() && found && seen.Now.Sub(d.CreationTimestamp.Time) <= watchdogPatience {
		return observe.NotReady(v1alpha1.ReasonProgressing, "the responder answers and waits for the first watchdog alert"), false
	}
	advice := "see the conditions of Prometheus, Alertmanager and the rules"
	m := kb.Spec.Metrics
	switch {
	case m.Prometheus.Mode == v1alpha1.ModeExternal:
		advice = fmt.Sprintf("the external Prometheus must evaluate an alert named %s that always fires, and send it to Alertmanager", alert.Watchdog)
	case m.Alertmanager.Mode == v1alpha1.ModeExternal:
		advice = fmt.Sprintf("the external Alertmanager must send the alert %s to %s, repeated at least every minute",
			alert.Watchdog, endpoints.ResponderWebhook(kb))
	}
	return observe.NotReady(v1alpha1.ReasonWatchdogMissing, "the watchdog alert does not reach the responder, so other alerts may not either: "+advice), false
}
