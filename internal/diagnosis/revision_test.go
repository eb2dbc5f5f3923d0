package diagnosis

import (
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// revision is a ControllerRevision with one container.
func revision(name string, number int64, at time.Time) appsv1.ControllerRevision {
	return appsv1.ControllerRevision{
		ObjectMeta: metav1.ObjectMeta{Name: name, CreationTimestamp: metav1.NewTime(at)}, Revision: number,
		Data: runtime.RawExtension{Raw: []byte(`{"spec":{"template":{"spec":{"containers":[{"name":"app","image":"` + name + `"}]}}}}`)},
	}
}

func TestARevisionThatWasGoneBackToIsOlderThanTheOneBefore(t *testing.T) {
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	f := &Facts{Workload: Workload{Object: Object{Kind: "DaemonSet", Name: "agent"}, Desired: 1}, Subject: Object{Kind: "DaemonSet", Name: "agent"}}
	f.ControllerRevisions = []appsv1.ControllerRevision{revision("agent-b", 2, noon), revision("agent-a", 3, noon.Add(-time.Hour))}
	present, before := f.Revisions()
	if before == nil || !present.Back || present.Name != "agent-a" || before.Revision != 2 || present.Spec.Containers[0].Image != "agent-a" {
		t.Errorf("got %+v, %+v", present, before)
	}
	f.ControllerRevisions[1].CreationTimestamp = metav1.NewTime(noon.Add(time.Minute))
	if present, _ := f.Revisions(); present == nil || present.Back {
		t.Errorf("a new revision counts as gone back to: %+v", present)
	}
	f.ControllerRevisions[0].Data.Raw = []byte(`{"spec":"?"}`)
	if present, before := f.Revisions(); present != nil || before != nil {
		t.Errorf("a revision that can't be read: %+v, %+v", present, before)
	}
}
