package pods_test

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/component/pods"
)

func TestImage(t *testing.T) {
	const ref = "quay.io/prometheus/prometheus:v3.15.0"
	digest := "@sha256:" + strings.Repeat("0a", 32)
	for name, c := range map[string]struct{ registry, image, want string }{
		"the default":                   {"", "", ref},
		"under the user's registry":     {"mirror.corp:5000/k8s", "", "mirror.corp:5000/k8s/prometheus/prometheus:v3.15.0"},
		"the user's, past the registry": {"mirror.corp", "docker.io/prom/prometheus:v3", "docker.io/prom/prometheus:v3"},
		"by digest":                     {"", "localhost:5000/prometheus:v3" + digest, "localhost:5000/prometheus:v3" + digest},
		"by name alone":                 {"", "prometheus", "prometheus"},
		"with a tag that is empty":      {"", "prometheus:", ""},
		"with capitals in the path":     {"", "quay.io/Prometheus", ""},
		"with a space":                  {"", "quay.io/a b", ""},
		"with a scheme":                 {"", "https://quay.io/prometheus", ""},
		"with a digest that is cut":     {"", "prometheus@sha256:abc", ""},
	} {
		t.Run(name, func(t *testing.T) {
			in := component.Input{KubeBot: &v1alpha1.KubeBot{ObjectMeta: metav1.ObjectMeta{Name: "main"}}}
			in.KubeBot.Spec.Images.Registry = c.registry
			got, err := pods.Image(in, "spec.x", ref, v1alpha1.PodSettings{Image: c.image})
			if got != c.want || (err != nil) != (c.want == "") {
				t.Errorf("Image = %q, %v, want %q", got, err, c.want)
			}
		})
	}
}

func FuzzImageTakesNothingThatYAMLOrAShellWouldRead(f *testing.F) {
	for _, seed := range []string{"a", "a/b:c", "a@sha256:0", "a\nb: c", "$(x)"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, image string) {
		in := component.Input{KubeBot: &v1alpha1.KubeBot{}}
		if got, err := pods.Image(in, "spec.x", "default:v1", v1alpha1.PodSettings{Image: image}); err == nil && strings.ContainsAny(got, " \t\r\n\"'$`{}#&*!|>%,\\") {
			t.Errorf("%q is taken as %q", image, got)
		}
	})
}

func TestVersion(t *testing.T) {
	digest := "@sha256:" + strings.Repeat("0a", 32)
	for image, want := range map[string]string{
		"quay.io/prometheus/prometheus:v3.16.1":          "v3.16.1",
		"quay.io/prometheus/prometheus:3.16.1":           "v3.16.1",
		"mirror.corp:5000/prometheus:v3.16.1-busybox":    "v3.16.1",
		"quay.io/prometheus/prometheus:v3.16.1" + digest: "v3.16.1",
		"quay.io/prometheus/prometheus:latest":           "v0.0.1",
		"mirror.corp:5000/prometheus":                    "v0.0.1",
		"quay.io/prometheus/prometheus" + digest:         "v0.0.1",
	} {
		if got := pods.Version(image, "v0.0.1"); got != want {
			t.Errorf("Version(%s) = %s, want %s", image, got, want)
		}
	}
}
