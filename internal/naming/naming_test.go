package naming_test

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/kubebot/kubebot/internal/naming"
)

func TestBoundedNamesStayValidAndApart(t *testing.T) {
	if got := naming.Bounded("main-prometheus", 41); got != "main-prometheus" {
		t.Errorf("a short name becomes %s", got)
	}
	long := "a-name-of-forty-characters-the-longest-o"
	one, other := naming.Bounded(long+"-alertmanager", 39), naming.Bounded(long+"-alertmanagers", 39)
	if one == other {
		t.Errorf("two names become one, %s", one)
	}
	for _, name := range []string{one, naming.Bounded(strings.Repeat("a-", 40), 30), naming.Bounded(strings.Repeat("a.", 40), 31)} {
		if len(name) > 39 || len(validation.IsDNS1123Subdomain(name)) > 0 {
			t.Errorf("%q is no good name", name)
		}
	}
}

func TestOwnersNeedNoRightToHoldTheKubeBot(t *testing.T) {
	want := metav1.OwnerReference{APIVersion: "kubebot.io/v1alpha1", Kind: "KubeBot", Name: "main", UID: "u"}
	if got := naming.Owner("main", "u"); got != want {
		t.Errorf("an owner is %+v", got)
	}
	got := naming.Controller("main", "u")
	if got.Controller == nil || !*got.Controller {
		t.Errorf("a controller is %+v", got)
	}
	if got.Controller = nil; got != want {
		t.Errorf("a controller is %+v", got)
	}
}

func TestImageUnderAnotherRegistry(t *testing.T) {
	for _, c := range []struct{ ref, registry, want string }{
		{"quay.io/prometheus/prometheus:v1", "", "quay.io/prometheus/prometheus:v1"},
		{"quay.io/prometheus/prometheus:v1", "mirror.corp/k8s", "mirror.corp/k8s/prometheus/prometheus:v1"},
		{"localhost/a:v1", "mirror.corp", "mirror.corp/a:v1"},
		{"registry:5000/a:v1", "mirror.corp", "mirror.corp/a:v1"},
		{"library/busybox", "mirror.corp", "mirror.corp/library/busybox"},
		{"busybox", "mirror.corp", "mirror.corp/busybox"},
	} {
		if got := naming.Image(c.ref, c.registry); got != c.want {
			t.Errorf("Image(%s, %s) = %s, want %s", c.ref, c.registry, got, c.want)
		}
	}
}
