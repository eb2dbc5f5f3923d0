package controllers_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/credentials"
	"github.com/kubebot/kubebot/internal/gather"
	"github.com/kubebot/kubebot/internal/naming"
)

// echo answers with what it is asked.
type echo struct{}

func (echo) Ask(_ context.Context, r gather.Request) component.Answer {
	return component.Answer{Status: 200, Body: []byte(fmt.Sprintf("%s %s %t", r.URL, r.Address, len(r.Credentials[credentials.KeyToken]) > 0))}
}

func TestObservationReachesHealth(t *testing.T) {
	var mu sync.Mutex
	var last component.Observed
	web := web()
	web.asks = []component.Question{
		{Key: "public", URL: "http://web"},
		{Key: "each", URL: "https://web:8443/status", Authenticated: true, ReplicasOf: "web-replicas"},
	}
	web.health = func(_ component.Input, seen component.Observed) component.Health {
		mu.Lock()
		defer mu.Unlock()
		last = seen
		return component.Health{
			Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonReady, Message: "well",
			Extra:        []metav1.Condition{{Type: "StorageEphemeral", Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonEmptyDir}},
			Endpoints:    []v1alpha1.Endpoint{{Name: "web", URL: "http://web"}},
			OmittedRules: []v1alpha1.OmittedRule{{Name: "A", Reason: "no B"}},
		}
	}
	b := newBench(t, web)
	b.options.Asker = echo{}
	ready := true
	b.create(&discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Namespace: b.ns, Name: "x", Labels: map[string]string{discoveryv1.LabelServiceName: "web-replicas"}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Endpoints: []discoveryv1.Endpoint{
			{Addresses: []string{"10.0.0.9"}, Conditions: discoveryv1.EndpointConditions{Ready: &ready}},
			{Addresses: []string{"10.0.0.3"}, Conditions: discoveryv1.EndpointConditions{Ready: &ready}},
			{Addresses: []string{"10.0.0.1"}, Conditions: discoveryv1.EndpointConditions{Ready: new(bool)}},
		},
	})
	pod := func(name string, labels map[string]string) {
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: b.ns, Name: name, Labels: labels}}
		p.Spec.Containers = []corev1.Container{{Name: "c", Image: "i"}}
		b.create(p)
	}
	kb := &v1alpha1.KubeBot{ObjectMeta: metav1.ObjectMeta{Namespace: b.ns, Name: "main"}}
	pod("own", naming.Selector(kb, "web"))
	pod("other-component", naming.Selector(kb, "else"))
	pod("foreign", map[string]string{"app.kubernetes.io/name": "web"})
	b.start()
	live := b.ready(b.kubebot(b.ns, "main"))

	b.eventually("everything to be seen", func() error {
		mu.Lock()
		defer mu.Unlock()
		if len(last.Pods) != 1 || last.Pods[0].Name != "own" {
			return fmt.Errorf("pods %v", len(last.Pods))
		}
		return nil
	})
	mu.Lock()
	seen := last
	mu.Unlock()
	want := map[string]string{
		"public": "http://web  false",
		"each/0": "https://web:8443/status 10.0.0.3 true",
		"each/1": "https://web:8443/status 10.0.0.9 true",
	}
	for key, body := range want {
		if got := string(seen.Answers[key].Body); got != body {
			t.Errorf("answer %s is %q, want %q", key, got, body)
		}
	}
	if len(seen.Answers) != len(want) {
		t.Errorf("answers %v", seen.Answers)
	}
	if !slices.ContainsFunc(seen.Objects, func(o client.Object) bool {
		d, ok := o.(*appsv1.Deployment)
		return ok && d.Name == "main-web" && d.UID != "" && *d.Spec.Replicas == 1
	}) {
		t.Errorf("the live Deployment is not among %d objects, in the type that Build returned", len(seen.Objects))
	}
	if len(live.Status.Endpoints) != 1 || len(live.Status.OmittedRules) != 1 || live.Status.ClusterName == "" {
		t.Errorf("status %+v", live.Status)
	}
	b.condition(kb, "StorageEphemeral", metav1.ConditionTrue, v1alpha1.ReasonEmptyDir)
	b.update(kb, func(kb *v1alpha1.KubeBot) { kb.Spec.ClusterName = "again" })
	b.ready(kb)
	mu.Lock()
	defer mu.Unlock()
	if last.Previous == nil || last.Previous.Message != "well" {
		t.Errorf("previous condition %+v", last.Previous)
	}
}
