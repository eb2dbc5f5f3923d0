package pods_test

import (
	"maps"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

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

func TestOwnImageIsWhereTheManagerRunsFrom(t *testing.T) {
	in := component.Input{KubeBot: &v1alpha1.KubeBot{}}
	in.KubeBot.Spec.Images.Registry = "mirror.corp/k8s"
	in.Install.Image = "mirror.corp/k8s/kubebot/kubebot:v0.1.0"
	for image, want := range map[string]string{"": in.Install.Image, "other.corp/kubebot:v2": "other.corp/kubebot:v2", "a b": ""} {
		got, err := pods.OwnImage(in, "spec.x", v1alpha1.PodSettings{Image: image})
		if got != want || (err != nil) != (want == "") {
			t.Errorf("OwnImage with %q = %q, %v, want %q", image, got, err, want)
		}
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

func TestPinnedBindsPodsToTheContentOfTheirConfiguration(t *testing.T) {
	build := func(level string) (*corev1.ConfigMap, *corev1.ConfigMap, *appsv1.Deployment) {
		meta := metav1.ObjectMeta{Namespace: "kubebot", Name: "main-web"}
		config := &corev1.ConfigMap{ObjectMeta: meta, Data: map[string]string{"level": level}}
		other := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "kubebot", Name: "main-env"}}
		web := &appsv1.Deployment{ObjectMeta: meta}
		for _, name := range []string{"main-web", "somebody-elses"} {
			web.Spec.Template.Spec.Volumes = append(web.Spec.Template.Spec.Volumes, corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{
				ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: name}},
			}})
		}
		if _, err := pods.Pinned([]client.Object{config, other, web}); err != nil {
			t.Fatal(err)
		}
		return config, other, web
	}
	info, other, web := build("info")
	if info.Name == "main-web" || !ptr.Deref(info.Immutable, false) {
		t.Errorf("the configuration that is mounted is %s, immutable: %t", info.Name, ptr.Deref(info.Immutable, false))
	}
	if mounts := web.Spec.Template.Spec.Volumes; mounts[0].ConfigMap.Name != info.Name || mounts[1].ConfigMap.Name != "somebody-elses" {
		t.Errorf("the pods mount %s and %s", mounts[0].ConfigMap.Name, mounts[1].ConfigMap.Name)
	}
	if other.Name != "main-env" || other.Immutable != nil {
		t.Errorf("a ConfigMap that no pod mounts became %s", other.Name)
	}
	if again, _, _ := build("info"); again.Name != info.Name {
		t.Errorf("the same content is called %s and %s", info.Name, again.Name)
	}
	if debug, _, _ := build("debug"); debug.Name == info.Name {
		t.Errorf("other content has the same name, %s", debug.Name)
	}
}

func TestPodsRunOnLinuxUnlessTheyChooseTheirNodes(t *testing.T) {
	for name, c := range map[string]struct {
		affinity *corev1.Affinity
		users    map[string]string
		want     map[string]string
	}{
		"as it is":                  {nil, nil, map[string]string{"kubernetes.io/os": "linux"}},
		"beside the user's":         {pods.Spread(nil), map[string]string{"disk": "ssd"}, map[string]string{"kubernetes.io/os": "linux", "disk": "ssd"}},
		"the user knows better":     {nil, map[string]string{"kubernetes.io/os": "freebsd"}, map[string]string{"kubernetes.io/os": "freebsd"}},
		"a DaemonSet":               {pods.RealNodes(), nil, nil},
		"a DaemonSet of some nodes": {pods.RealNodes(), map[string]string{"disk": "ssd"}, map[string]string{"disk": "ssd"}},
	} {
		t.Run(name, func(t *testing.T) {
			spec := corev1.PodSpec{Affinity: c.affinity}
			pods.Place(&spec, component.Input{KubeBot: &v1alpha1.KubeBot{}}, v1alpha1.PodSettings{NodeSelector: c.users})
			if !maps.Equal(spec.NodeSelector, c.want) {
				t.Errorf("the pod runs on nodes with %v, want %v", spec.NodeSelector, c.want)
			}
		})
	}
}
