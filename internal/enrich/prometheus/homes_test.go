package prometheus

import (
	"testing"

	"github.com/kubebot/kubebot/internal/diagnosis"
)

func TestWorkloadsOfOneNameGiveTheSameHomeEachTime(t *testing.T) {
	kind := func(k string) diagnosis.Object {
		return diagnosis.Object{APIVersion: "apps/v1", Kind: k, Namespace: "shop", Name: "cart"}
	}
	h := homes{pods: map[string]diagnosis.Object{"cart-0": kind("StatefulSet"), "cart-5d9f8-x2k": kind("Deployment"), "cart-1": kind("StatefulSet")}}
	for range 50 {
		if got := h.workloads()["cart"]; got != kind("Deployment") {
			t.Fatalf("got %s, want the Deployment", got)
		}
	}
}
