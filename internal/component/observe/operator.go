package observe

import (
	"fmt"
	"time"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
)

// operatorPatience is how long the Prometheus Operator may leave an object alone before that is called a trouble: far
// above the seconds that a start of the operator takes.
const operatorPatience = time.Minute

// OperatorTrouble says what keeps the Prometheus Operator from running an object of its own kind; ok when nothing does.
func OperatorTrouble(now time.Time, kind string, meta metav1.ObjectMeta, conditions []monitoringv1.Condition) (health component.Health, ok bool) {
	var reconciled *monitoringv1.Condition
	for i := range conditions {
		if conditions[i].Type == monitoringv1.Reconciled {
			reconciled = &conditions[i]
		}
	}
	switch {
	case reconciled == nil && now.Sub(meta.CreationTimestamp.Time) > operatorPatience:
		return NotReady(v1alpha1.ReasonOperatorNotActing, fmt.Sprintf("the Prometheus Operator has not acted on the %s %s: "+
			"see that it runs and watches the namespace %s (chart value prometheusOperator.install)", kind, meta.Name, meta.Namespace)), false
	case reconciled == nil:
		return NotReady(v1alpha1.ReasonProgressing, fmt.Sprintf("the Prometheus Operator has not acted on the %s %s yet", kind, meta.Name)), false
	case reconciled.Status == monitoringv1.ConditionFalse:
		return NotReady(v1alpha1.ReasonNotAnswering, fmt.Sprintf("the Prometheus Operator can't run the %s %s: %s", kind, meta.Name, reconciled.Message)), false
	}
	return component.Health{}, true
}
