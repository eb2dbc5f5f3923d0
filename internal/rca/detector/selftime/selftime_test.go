package selftime_test

import (
	"testing"
	"time"

	"github.com/kubebot/kubebot/internal/rca/detector/selftime"
	"github.com/kubebot/kubebot/internal/rca/rcatest"
)

func TestSlowCalleeIsNotTheCallersOwnTime(t *testing.T) {
	v := rcatest.Scenario{StockDelay: 200 * time.Millisecond}.View()
	stock := rcatest.Find(selftime.Detector(), v, "stock")
	if stock == nil || stock.Values["share"] < 0.5 {
		t.Fatalf("finding %+v, want most of the extra time at stock", stock)
	}
	if front := rcatest.Find(selftime.Detector(), v, "front"); front != nil && front.Values["share"] > 0.1 {
		t.Errorf("front has %v of stock's time", front.Values)
	}
}
