package apply

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"syscall"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/status"
)

func ref(namespace, kind, version, name string) v1alpha1.ObjectRef {
	return v1alpha1.ObjectRef{Group: "g", Version: version, Kind: kind, Namespace: namespace, Name: name}
}

func TestInventory(t *testing.T) {
	old := []v1alpha1.ObjectRef{ref("a", "K", "v1beta1", "x"), ref("a", "K", "v1", "y")}
	next := []v1alpha1.ObjectRef{ref("b", "K", "v1", "z"), ref("a", "K", "v1", "x")}
	union := Union(old, next)
	want := []v1alpha1.ObjectRef{ref("a", "K", "v1", "x"), ref("a", "K", "v1", "y"), ref("b", "K", "v1", "z")}
	if !reflect.DeepEqual(union, want) {
		t.Errorf("union %v, want %v: an object is one, whatever the version", union, want)
	}
	if got := Without(old, next); len(got) != 1 || got[0].Name != "y" {
		t.Errorf("without %v", got)
	}
	if got := Outside(union, "a"); len(got) != 1 || got[0].Name != "z" {
		t.Errorf("outside %v", got)
	}
}

func TestDesired(t *testing.T) {
	kb := &v1alpha1.KubeBot{ObjectMeta: metav1.ObjectMeta{Name: "main", Namespace: "kubebot", UID: "u"}}
	daemons := &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Name: "d", Namespace: "nodes", ResourceVersion: "1", UID: "x"}}
	daemons.Spec.Template.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
	for name, test := range map[string]struct {
		namespace string
		owner     metav1.OwnerReference
	}{
		"inside, the KubeBot owns it":              {"kubebot", *metav1.NewControllerRef(kb, v1alpha1.GroupVersion.WithKind("KubeBot"))},
		"outside, the KubeBot's namespace owns it": {"nodes", metav1.OwnerReference{APIVersion: "v1", Kind: "Namespace", Name: "kubebot", UID: "n"}},
	} {
		t.Run(name, func(t *testing.T) {
			daemons.Namespace = test.namespace
			u, err := Desired(kb, daemons, clientgoscheme.Scheme, "n")
			if err != nil {
				t.Fatal(err)
			}
			if got := u.GetOwnerReferences(); len(got) != 1 || !reflect.DeepEqual(got[0], test.owner) {
				t.Errorf("owners %+v", got)
			}
			if u.GetKind() != "DaemonSet" || u.GetLabels()["kubebot.io/name"] != "main" || u.GetLabels()["kubebot.io/namespace"] != "kubebot" {
				t.Errorf("%s with labels %v", u.GetKind(), u.GetLabels())
			}
			if _, found := u.Object["status"]; found || u.GetUID() != "" || u.GetResourceVersion() != "" {
				t.Error("what only the API server sets is applied")
			}
			volumes, _, _ := unstructured.NestedSlice(u.Object, "spec", "template", "spec", "volumes")
			if dir, ok := volumes[0].(map[string]any)["emptyDir"].(map[string]any); !ok || len(dir) != 0 {
				t.Errorf("volumes %v: an empty object has a meaning", volumes)
			}
		})
	}
}

func TestClaimable(t *testing.T) {
	kb := &v1alpha1.KubeBot{ObjectMeta: metav1.ObjectMeta{Name: "main", Namespace: "kubebot", UID: "u"}}
	yes := true
	for name, test := range map[string]struct {
		edit func(*unstructured.Unstructured)
		wait bool
		err  bool
	}{
		"nobody's": {edit: func(*unstructured.Unstructured) {}},
		"its own":  {edit: func(u *unstructured.Unstructured) { u.SetOwnerReferences(owners(kb, "kubebot", "")) }},
		"another controller's": {err: true, edit: func(u *unstructured.Unstructured) {
			u.SetOwnerReferences([]metav1.OwnerReference{{Kind: "Deployment", Name: "d", UID: "x", Controller: &yes}})
		}},
		"an earlier KubeBot's of this name": {err: true, wait: true, edit: func(u *unstructured.Unstructured) {
			u.SetOwnerReferences([]metav1.OwnerReference{{Kind: "KubeBot", Name: "main", UID: "x", Controller: &yes}})
		}},
		"another KubeBot's": {err: true, edit: func(u *unstructured.Unstructured) {
			u.SetLabels(map[string]string{"kubebot.io/name": "main", "kubebot.io/namespace": "elsewhere"})
		}},
		"being removed": {err: true, wait: true, edit: func(u *unstructured.Unstructured) {
			now := metav1.Now()
			u.SetDeletionTimestamp(&now)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			live := &unstructured.Unstructured{Object: map[string]any{"kind": "Service", "metadata": map[string]any{"name": "s", "namespace": "kubebot"}}}
			test.edit(live)
			err := claimable(kb, live)
			if (AsTaken(err) != nil) != (test.err && !test.wait) || (status.AsWait(err) != nil) != test.wait {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestMessageHoldsNothingRandom(t *testing.T) {
	broken := &url.Error{Op: "Patch", URL: "https://10.0.0.1", Err: fmt.Errorf("read tcp 10.1.1.1:43122->10.0.0.1:443: %w", syscall.ECONNRESET)}
	for name, test := range map[string]struct {
		err  error
		want string
	}{
		"an answer of the API server is told": {
			fmt.Errorf("apply Service a: %w", apierrors.NewForbidden(schema.GroupResource{Resource: "services"}, "a", errors.New("no"))),
			`apply Service a: services "a" is forbidden: no`,
		},
		"a broken connection":   {fmt.Errorf("apply Service a: %w", broken), "the API server can't be reached"},
		"no answer":             {fmt.Errorf("apply Service a: %w", context.DeadlineExceeded), "the API server did not answer in time"},
		"what is waited for":    {&status.WaitError{Message: "a is being removed"}, "a is being removed"},
		"any other is told too": {errors.New("Service a belongs to Deployment d"), "Service a belongs to Deployment d"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Message(test.err); got != test.want {
				t.Errorf("got %q", got)
			}
		})
	}
}
