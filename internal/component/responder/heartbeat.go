package responder

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/pipeline/config"
)

// heartbeatConfigured goes by the last heartbeat of any replica: Alertmanager gives each watchdog to one of them.
func heartbeatConfigured(kb *v1alpha1.KubeBot, reports []config.Report) metav1.Condition {
	c := metav1.Condition{Type: v1alpha1.ConditionHeartbeatConfigured, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonNoHeartbeat,
		Message: "no outside service notices when alerts stop to flow: set spec.alerting.heartbeat to a URL that expects a call each minute"}
	if kb.Spec.Alerting.Heartbeat == nil {
		return c
	}
	var last *config.HeartbeatReport
	for _, r := range reports {
		if h := r.Heartbeat; h != nil && (last == nil || h.At.After(last.At)) {
			last = h
		}
	}
	switch {
	case last == nil:
		c.Status, c.Reason, c.Message = metav1.ConditionUnknown, v1alpha1.ReasonProgressing,
			"no heartbeat was sent yet: the first follows the first watchdog alert"
	case last.Reason != "":
		c.Reason, c.Message = last.Reason, last.Message
	default:
		c.Status, c.Reason, c.Message = metav1.ConditionTrue, v1alpha1.ReasonReady, "the outside service took the last heartbeat"
	}
	return c
}
