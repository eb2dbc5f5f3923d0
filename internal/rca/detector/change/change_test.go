package change_test

import (
	"testing"
	"time"

	"github.com/kubebot/kubebot/internal/rca"
	"github.com/kubebot/kubebot/internal/rca/detector/change"
	"github.com/kubebot/kubebot/internal/rca/rcatest"
)

func TestRecentChangesCountMore(t *testing.T) {
	s := rcatest.Scenario{}.Snapshot()
	at := func(before time.Duration) int64 { return rcatest.Alarm.Add(-before).UnixNano() }
	s.Changes = []rca.Change{
		{Time: at(3 * time.Hour), Workload: "front", Kind: "config", Summary: "old"},
		{Time: at(90 * time.Second), Workload: "stock", Kind: "config", Summary: "pool size 1"},
		{Time: at(100 * time.Second), Workload: "cart", Kind: "image", Summary: "v2"},
		{Time: at(-2 * time.Minute), Workload: "late", Kind: "config"},
	}
	v := rca.NewView(s, 4)
	stock, front := rcatest.Find(change.Detector(), v, "stock"), rcatest.Find(change.Detector(), v, "front")
	if stock == nil || stock.Kind != rca.KindConfig || stock.Values["recent"] < 0.9 {
		t.Errorf("stock %+v", stock)
	}
	if front == nil || front.Values["recent"] > 0.01 {
		t.Errorf("front %+v", front)
	}
	if cart := rcatest.Find(change.Detector(), v, "cart"); cart == nil || cart.Kind != rca.KindCode {
		t.Errorf("cart %+v, want a new image to speak for its code", cart)
	}
	if late := rcatest.Find(change.Detector(), v, "late"); late != nil {
		t.Errorf("a change after the onset counts: %+v", late)
	}
}
