package status_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/status"
)

func TestPatcherWritesOnlyWhatChanged(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	kb := &v1alpha1.KubeBot{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "b"}}
	var patches []string
	c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(kb).WithStatusSubresource(kb).
		WithInterceptorFuncs(interceptor.Funcs{SubResourcePatch: func(
			ctx context.Context, c client.Client, sub string, obj client.Object, patch client.Patch, opts ...client.SubResourcePatchOption,
		) error {
			raw, err := patch.Data(obj)
			patches = append(patches, string(raw))
			return errors.Join(err, c.SubResource(sub).Patch(ctx, obj, patch, opts...))
		}}).Build()
	p := status.NewPatcher(c, kb)
	step := func(want bool, change func()) {
		t.Helper()
		change()
		if wrote, err := p.Patch(t.Context(), kb); err != nil || wrote != want {
			t.Fatalf("wrote %v (%v), want %v", wrote, err, want)
		}
	}
	step(false, func() {})
	step(true, func() { kb.Status.ClusterName = "one" })
	step(false, func() {})
	step(true, func() { kb.Status.ObservedGeneration = 3 })
	if want := []string{`{"status":{"clusterName":"one"}}`, `{"status":{"observedGeneration":3}}`}; fmt.Sprint(patches) != fmt.Sprint(want) {
		t.Errorf("patches %v, want %v", patches, want)
	}
	if err := c.Delete(t.Context(), kb.DeepCopy()); err != nil {
		t.Fatal(err)
	}
	step(false, func() { kb.Status.ClusterName = "two" })
}

func TestAStatusThatRepeatsWhatWasReadOverwritesNoNewerOne(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	kb := &v1alpha1.KubeBot{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "b"}}
	c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(kb).WithStatusSubresource(kb).Build()
	get := func() *v1alpha1.KubeBot {
		live := &v1alpha1.KubeBot{}
		if err := c.Get(t.Context(), client.ObjectKeyFromObject(kb), live); err != nil {
			t.Fatal(err)
		}
		return live
	}
	before, stale := get(), get()
	newer := status.NewPatcher(c, before)
	before.Status.ClusterName = "one"
	if _, err := newer.Patch(t.Context(), before); err != nil {
		t.Fatal(err)
	}
	old := status.NewPatcher(c, stale)
	stale.Status.ObservedGeneration = 3
	if wrote, err := old.PatchFresh(t.Context(), stale); wrote || !apierrors.IsConflict(err) {
		t.Errorf("wrote %v (%v), want a conflict", wrote, err)
	}
	before.Status.ObservedGeneration = 4
	if wrote, err := newer.PatchFresh(t.Context(), before); !wrote || err != nil {
		t.Errorf("wrote %v (%v) after a write of its own", wrote, err)
	}
	if live := get(); live.Status.ClusterName != "one" || live.Status.ObservedGeneration != 4 {
		t.Errorf("status %+v", live.Status)
	}
}

func TestErrorsKeepTheirMeaningWhenWrapped(t *testing.T) {
	stall := fmt.Errorf("admit: %w", &status.StallError{Reason: "R", Message: "m"})
	wait := fmt.Errorf("apply: %w", &status.WaitError{After: 1, Message: "m"})
	if got := status.AsStall(stall); got == nil || got.Reason != "R" || status.AsWait(stall) != nil {
		t.Errorf("stall is %v", got)
	}
	if got := status.AsWait(wait); got == nil || got.After != 1 || status.AsStall(wait) != nil {
		t.Errorf("wait is %v", got)
	}
}

func TestCutSplitsNoCharacter(t *testing.T) {
	for offset := range 4 {
		got := status.Cut(strings.Repeat("a", offset) + strings.Repeat("語", 600))
		if len(got) > status.MaxMessage || !utf8.ValidString(got) || !strings.HasSuffix(got, "…") {
			t.Errorf("%d bytes, valid %v", len(got), utf8.ValidString(got))
		}
	}
	if got := status.Cut("short"); got != "short" {
		t.Errorf("cut to %q", got)
	}
}
