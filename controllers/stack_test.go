package controllers_test

import (
	"fmt"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component/registry"
)

// TestWholeStackIsAppliedAndRests applies the real components. Nothing runs their pods, so none answers; but every
// object must be accepted by the API server, and the passes that follow must not write.
func TestWholeStackIsAppliedAndRests(t *testing.T) {
	b := newBench(t, registry.All()...)
	t.Cleanup(b.installOperator())
	b.start()
	kb := b.kubebot(b.ns, "main")
	live := &v1alpha1.KubeBot{}
	b.eventually("a condition of every component", func() error {
		b.get(live, b.ns, "main")
		for _, c := range registry.All() {
			if meta.FindStatusCondition(live.Status.Conditions, c.ConditionType()) == nil {
				return fmt.Errorf("%s is missing", c.ConditionType())
			}
		}
		return nil
	})
	// What the first looks say comes late on a busy machine.
	b.quietFor(observed)
	for range 3 { // an unready stack is looked at every 5 seconds
		b.update(kb, func(kb *v1alpha1.KubeBot) {
			kb.Annotations = map[string]string{"touched": time.Now().String()}
			kb.Spec.Suspend = false
		})
		time.Sleep(observed)
	}
	if writes := b.writes.Take(); len(writes) > 0 {
		t.Errorf("writes at rest: %v", writes)
	}
	b.stop()
	b.start()
	time.Sleep(2 * observed)
	if writes := b.writes.Take(); len(writes) > 0 {
		t.Errorf("writes of a manager that starts anew: %v", writes)
	}
	b.get(live, b.ns, "main")
	for _, c := range live.Status.Conditions {
		t.Logf("%s %s %s: %s", c.Type, c.Status, c.Reason, c.Message)
		if c.Reason == v1alpha1.ReasonApplyFailed || c.Reason == v1alpha1.ReasonInvalidSpec || c.Reason == v1alpha1.ReasonCRDsMissing {
			t.Errorf("%s: %s: %s", c.Type, c.Reason, c.Message)
		}
	}
	t.Logf("%d objects", len(live.Status.Inventory))
}

// observed is longer than the time between two looks at a stack that is not ready.
const observed = 5500 * time.Millisecond
