package fluentbit

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"go.opentelemetry.io/collector/pdata/plog"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/testutil/servicename"
)

// Of a pod that nothing but its own name tells of they have none: the collector gives them that.
func TestLinesHaveTheNameOfTheService(t *testing.T) {
	dir, r := t.TempDir(), newReceiver(t)
	n := newNode(t, r, v1alpha1.FluentBitSpec{})
	api := httptest.NewServer(http.FileServer(http.Dir(dir)))
	t.Cleanup(api.Close)
	k := n.config.Pipeline.Filters[0].(kubernetes)
	k.KubeURL = api.URL
	n.config.Pipeline.Filters[0] = k
	cases := servicename.Cases()
	for _, c := range cases {
		pod := corev1.Pod{
			TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: c.Name, UID: "0f0f0f0f-0000-4000-8000-000000000000", Labels: c.Labels, Annotations: c.Annotations},
		}
		if c.Owner.Name != "" {
			pod.OwnerReferences = []metav1.OwnerReference{c.Owner}
		}
		text, err := json.Marshal(pod)
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, "api", "v1", "namespaces", "shop", "pods", c.Name), string(text))
		write(t, n.logFile("shop", c.Name, "app"), "2026-01-02T03:04:05.678901234Z stdout F of "+c.Name+"\n")
	}
	n.start(t)
	for _, c := range cases {
		eventually(t, func() string {
			if r.count("of "+c.Name) == 0 {
				return "no line has come of " + c.Name
			}
			return ""
		})
	}
	n.stop(t)
	got := map[string]string{}
	each(r.merged(), func(_ plog.ResourceLogs, record plog.LogRecord) {
		if service, ok := record.Attributes().Get("service.name"); ok {
			got[record.Body().AsString()] = service.AsString()
		}
	})
	for _, c := range cases {
		want := c.Want
		if want == c.Name {
			want = ""
		}
		if service := got["of "+c.Name]; service != want {
			t.Errorf("%s is of %q, want %q", c.Name, service, want)
		}
	}
}
