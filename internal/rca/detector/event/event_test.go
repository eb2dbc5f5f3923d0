package event_test

import (
	"testing"

	"github.com/kubebot/kubebot/internal/rca"
	"github.com/kubebot/kubebot/internal/rca/detector/event"
	"github.com/kubebot/kubebot/internal/rca/rcatest"
)

func TestReasonsNameTheKind(t *testing.T) {
	for reason, want := range map[string]rca.Kind{
		"OOMKilling": rca.KindMemory, "ErrImagePull": rca.KindImage, "FailedScheduling": rca.KindScheduling,
		"FailedMount": rca.KindConfig, "BackOff": rca.KindCode, "NodeNotReady": rca.KindNode, `Evicted: Usage of EmptyDir volume "data" exceeds the limit "64Mi"`: rca.KindDisk, "Pulled": "",
	} {
		s := rcatest.Scenario{}.Snapshot()
		s.Events = []rca.Event{{Time: s.Alarm, Workload: "stock", Reason: reason, Warning: true}}
		f := rcatest.Find(event.Detector(), rca.NewView(s, 4), "stock")
		if want == "" && f == nil {
			continue
		}
		if f == nil || f.Kind != want {
			t.Errorf("%s: %+v, want %s", reason, f, want)
		}
	}
}

func TestOldAndNormalEventsDoNotCount(t *testing.T) {
	s := rcatest.Scenario{}.Snapshot()
	s.Events = []rca.Event{
		{Time: s.Baseline[0].Start, Workload: "stock", Reason: "OOMKilling", Warning: true},
		{Time: s.Alarm, Workload: "stock", Reason: "OOMKilling"},
	}
	if got := event.Detector().Detect(rca.NewView(s, 4)); len(got) > 0 {
		t.Errorf("findings %+v", got)
	}
}
