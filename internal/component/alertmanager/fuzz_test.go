package alertmanager

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
)

func FuzzHealthSurvivesEveryAnswer(f *testing.F) {
	f.Add([]byte(`{"config":{"original":"receivers:\n- name: kubebot-responder\n"}}`), 200)
	f.Add([]byte(`{"config":{"original":"receivers: &a [*a]"}}`), 200)
	f.Add([]byte(`{"config":null}`), 503)
	f.Fuzz(func(t *testing.T, body []byte, status int) {
		seen := component.Observed{Now: now, Objects: live(time.Hour), Answers: map[string]component.Answer{keyStatus: {Status: status, Body: body}}}
		for _, spec := range []v1alpha1.AlertmanagerSpec{{}, external} {
			h := Component{}.Health(input(spec), seen)
			if h.Status == "" || h.Reason == "" || h.Message == "" || h.Status == metav1.ConditionTrue && status != 200 {
				t.Errorf("status %d: %+v", status, h)
			}
		}
	})
}
