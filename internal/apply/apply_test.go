package apply

import (
	"context"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/kubebot/kubebot/api/v1alpha1"
)

// lagging is a cache that shows what it is told to; nil for nothing.
type lagging struct{ live *unstructured.Unstructured }

func (l *lagging) Object(_ context.Context, gvk schema.GroupVersionKind, key client.ObjectKey) (*unstructured.Unstructured, error) {
	if l.live == nil {
		return nil, apierrors.NewNotFound(schema.GroupResource{Group: gvk.Group, Resource: gvk.Kind}, key.Name)
	}
	return l.live, nil
}

func TestWhatWasWrittenIsSeenBeforeTheCacheHasIt(t *testing.T) {
	now, cache, writer := time.Now(), &lagging{}, fake.NewClientBuilder().Build()
	a := New(cache, writer, func() time.Time { return now })
	key := client.ObjectKey{Namespace: "b", Name: "a"}
	gvk := schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"}
	image := func() string {
		t.Helper()
		live, err := a.Object(t.Context(), gvk, key)
		if apierrors.IsNotFound(err) {
			return "none"
		}
		if err != nil {
			t.Fatal(err)
		}
		containers, _, _ := unstructured.NestedSlice(live.Object, "spec", "template", "spec", "containers")
		return containers[0].(map[string]any)["image"].(string)
	}
	write := func(image string) {
		t.Helper()
		desired := parse(t, wanted)
		containers, _, _ := unstructured.NestedSlice(desired.Object, "spec", "template", "spec", "containers")
		containers[0].(map[string]any)["image"] = image
		if err := unstructured.SetNestedSlice(desired.Object, containers, "spec", "template", "spec", "containers"); err != nil {
			t.Fatal(err)
		}
		if _, err := a.Apply(t.Context(), &v1alpha1.KubeBot{}, desired); err != nil {
			t.Fatal(err)
		}
	}
	caughtUp := func() {
		t.Helper()
		cache.live = &unstructured.Unstructured{}
		cache.live.SetGroupVersionKind(gvk)
		if err := writer.Get(t.Context(), key, cache.live); err != nil {
			t.Fatal(err)
		}
	}
	see := func(want, when string) {
		t.Helper()
		if got := image(); got != want {
			t.Errorf("%s: sees %s, want %s", when, got, want)
		}
	}
	see("none", "before")
	write("web:1")
	see("web:1", "made, and the cache has nothing")
	caughtUp()
	write("web:2")
	see("web:2", "changed, and the cache has the old one")
	old := cache.live.DeepCopy()
	caughtUp()
	see("web:2", "the cache has it")
	cache.live.SetResourceVersion("9999")
	if err := unstructured.SetNestedSlice(cache.live.Object, []any{map[string]any{"name": "web", "image": "web:3"}}, "spec", "template", "spec", "containers"); err != nil {
		t.Fatal(err)
	}
	see("web:3", "somebody else has changed it since")
	cache.live, now = old, now.Add(settle)
	see("web:1", "the cache does not catch up")
}
