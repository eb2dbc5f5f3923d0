package responder

import (
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/pipeline/config"
)

// receiverTroubles are the reasons for which a receiver does not get what it should, the worst first.
var receiverTroubles = []string{
	v1alpha1.ReasonSecretMissing,
	v1alpha1.ReasonReceiverRefused,
	v1alpha1.ReasonUndelivered,
}

// receiversReady sums up what the replicas say of the receivers. Without Slack's history a receiver works, with one
// promise less, which the message says.
func receiversReady(kb *v1alpha1.KubeBot, reports []config.Report) metav1.Condition {
	c := metav1.Condition{Type: v1alpha1.ConditionReceiversReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonReady}
	receivers := kb.Spec.Alerting.Receivers
	switch {
	case len(receivers) == 0:
		c.Reason = v1alpha1.ReasonNoReceivers
		c.Message = "spec.alerting.receivers is empty: incidents are recorded and nothing is pushed; add a receiver to get messages"
		return c
	case len(reports) == 0:
		c.Status, c.Reason = metav1.ConditionUnknown, v1alpha1.ReasonNotAnswering
		c.Message = "the responder does not answer, so nothing is known of the receivers"
		return c
	}
	var reasons, messages []string
	for _, r := range receivers {
		report, found := worst(r.Name, reports)
		switch {
		case !found:
			reasons, messages = append(reasons, v1alpha1.ReasonProgressing), append(messages, r.Name+": the responder does not know it yet")
		case report.Reason != "":
			reasons, messages = append(reasons, report.Reason), append(messages, strings.TrimSuffix(r.Name+": "+report.Message, ": "))
		}
	}
	if len(reasons) == 0 {
		c.Message = "every receiver has its credentials and takes messages"
		return c
	}
	slices.SortStableFunc(reasons, func(a, b string) int { return rank(a) - rank(b) })
	c.Reason, c.Message = reasons[0], strings.Join(messages, "; ")
	if c.Reason != v1alpha1.ReasonHistoryUnavailable {
		c.Status = metav1.ConditionFalse
	}
	return c
}

// worst returns the worst of what the replicas say of a receiver.
func worst(name string, reports []config.Report) (report config.ReceiverReport, found bool) {
	for _, r := range reports {
		for _, candidate := range r.Receivers {
			if candidate.Name == name && (!found || rank(candidate.Reason) < rank(report.Reason)) {
				report, found = candidate, true
			}
		}
	}
	return report, found
}

// rank orders reasons, the worst first: troubles, what is unknown, a lesser promise, none.
func rank(reason string) int {
	if i := slices.Index(receiverTroubles, reason); i >= 0 {
		return i
	}
	switch reason {
	case "":
		return len(receiverTroubles) + 2
	case v1alpha1.ReasonHistoryUnavailable:
		return len(receiverTroubles) + 1
	}
	return len(receiverTroubles)
}
