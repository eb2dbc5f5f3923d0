package grafana

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
)

func FuzzHealthSurvivesEveryReport(f *testing.F) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	f.Add([]byte(`{"configHash":"x","looked":"2026-01-02T03:04:00Z","dataSources":4,"dashboards":10}`), 200)
	f.Add([]byte(`{"trouble":"nonsense","message":"\u0000","problems":["a",""]}`), 200)
	f.Add([]byte(`[]`), 500)
	in := spec(v1alpha1.DashboardsSpec{})
	f.Fuzz(func(t *testing.T, body []byte, status int) {
		h := Component{}.Health(in, component.Observed{Now: now, Objects: deployment(1), Answers: map[string]component.Answer{keyReport: {Status: status, Body: body}}})
		if h.Status == "" || h.Reason == "" || h.Message == "" || h.Status == metav1.ConditionTrue && status != 200 {
			t.Errorf("status %d: %+v", status, h)
		}
	})
}
