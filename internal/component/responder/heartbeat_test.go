package responder

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/pipeline/config"
)

func TestHeartbeatConfigured(t *testing.T) {
	beat := func(ago time.Duration, reason, message string) config.Report {
		return config.Report{Heartbeat: &config.HeartbeatReport{At: now.Add(-ago), Reason: reason, Message: message}}
	}
	on := &v1alpha1.HeartbeatSpec{URL: "https://hc-ping.com/x"}
	for name, c := range map[string]struct {
		spec    *v1alpha1.HeartbeatSpec
		reports []config.Report
		status  metav1.ConditionStatus
		reason  string
		part    string
	}{
		"none":                          {nil, nil, metav1.ConditionFalse, v1alpha1.ReasonNoHeartbeat, "spec.alerting.heartbeat"},
		"not sent yet":                  {on, []config.Report{{}, {}}, metav1.ConditionUnknown, v1alpha1.ReasonProgressing, "first"},
		"taken":                         {on, []config.Report{{}, beat(time.Minute, "", "")}, metav1.ConditionTrue, v1alpha1.ReasonReady, "took"},
		"refused":                       {on, []config.Report{beat(time.Minute, v1alpha1.ReasonReceiverRefused, "HTTP status 404")}, metav1.ConditionFalse, v1alpha1.ReasonReceiverRefused, "404"},
		"an older failure is forgotten": {on, []config.Report{beat(time.Hour, v1alpha1.ReasonReceiverRefused, "HTTP status 404"), beat(time.Minute, "", "")}, metav1.ConditionTrue, v1alpha1.ReasonReady, "took"},
	} {
		t.Run(name, func(t *testing.T) {
			in := input(v1alpha1.KubeBotSpec{Alerting: v1alpha1.AlertingSpec{Heartbeat: c.spec}})
			health := Component{}.Health(in, component.Observed{Now: now, Answers: answers(t, c.reports...)})
			for _, got := range health.Extra {
				if got.Type != v1alpha1.ConditionHeartbeatConfigured {
					continue
				}
				if got.Status != c.status || got.Reason != c.reason || !strings.Contains(got.Message, c.part) {
					t.Errorf("%s %s %q, want %s %s with %q", got.Status, got.Reason, got.Message, c.status, c.reason, c.part)
				}
				return
			}
			t.Errorf("no condition among %v", health.Extra)
		})
	}
}
