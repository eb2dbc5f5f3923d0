package gather

import (
	"slices"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	fakediscovery "k8s.io/client-go/discovery/fake"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/kubebot/kubebot/internal/diagnosis"
)

// gatewayObject is an object of the Gateway API.
func gatewayObject(kind, namespace, name string, spec, status map[string]any) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": gatewayVersion.String(), "kind": kind, "metadata": map[string]any{"namespace": namespace, "name": name, "generation": int64(2)},
		"spec": spec, "status": status,
	}}
}

// withGateways are clients of a cluster that has the kinds of the Gateway API.
func withGateways(t *testing.T, objects ...*unstructured.Unstructured) (*fake.Clientset, *dynamicfake.FakeDynamicClient) {
	t.Helper()
	client := fake.NewClientset(deployment())
	var served []metav1.APIResource
	lists := map[schema.GroupVersionResource]string{}
	for kind, name := range gatewayResources {
		served = append(served, metav1.APIResource{Name: name, Kind: kind}, metav1.APIResource{Name: name + "/status", Kind: kind})
		lists[gatewayVersion.WithResource(name)] = kind + "List"
	}
	client.Discovery().(*fakediscovery.FakeDiscovery).Resources = []*metav1.APIResourceList{{GroupVersion: gatewayVersion.String(), APIResources: served}}
	other := dynamicfake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), lists)
	for _, o := range objects { // made, not given at first: the fake guesses that more than one Gateway are gatewaies
		_, err := other.Resource(gatewayVersion.WithResource(gatewayResources[o.GetKind()])).Namespace(o.GetNamespace()).Create(t.Context(), o, metav1.CreateOptions{})
		must(t, err)
	}
	other.ClearActions()
	return client, other
}

func TestRoutesAndTheirGatewaysAreRead(t *testing.T) {
	condition := map[string]any{"type": "Accepted", "status": "False", "reason": "Refused", "message": "password=hunter2", "lastTransitionTime": "2026-11-21T04:00:00Z"}
	route := gatewayObject("HTTPRoute", "shop", "front", map[string]any{"parentRefs": []any{
		map[string]any{"name": "public", "namespace": "infra"}, map[string]any{"name": "gone", "namespace": "infra"}, map[string]any{"name": "own"}},
		"rules": []any{map[string]any{"backendRefs": []any{map[string]any{"name": "web", "port": int64(80)}}}}},
		map[string]any{"parents": []any{map[string]any{"parentRef": map[string]any{"name": "public", "namespace": "infra"}, "conditions": []any{condition}}}})
	client, other := withGateways(t, route, gatewayObject("GRPCRoute", "shop", "calls", nil, nil), gatewayObject("HTTPRoute", "stock", "theirs", nil, nil),
		gatewayObject("Gateway", "infra", "public", map[string]any{"gatewayClassName": "example"}, nil), gatewayObject("Gateway", "infra", "unused", nil, nil), gatewayObject("Gateway", "shop", "own", nil, nil))
	for _, subject := range []diagnosis.Object{{Kind: "Deployment", Namespace: "shop", Name: "web"}, {Kind: "HTTPRoute", Namespace: "shop", Name: "front"}} {
		f, err := Facts(t.Context(), client, subject, Options{Dynamic: other})
		must(t, err)
		var got []string
		for _, r := range f.Routes {
			got = append(got, r.Kind+" "+r.Namespace+"/"+r.Name)
		}
		for _, g := range f.Gateways {
			got = append(got, g.Kind+" "+g.Namespace+"/"+g.Name)
		}
		if want := []string{"GRPCRoute shop/calls", "HTTPRoute shop/front", "Gateway infra/public", "Gateway shop/own"}; !slices.Equal(got, want) {
			t.Fatalf("got %v, want %v", got, want)
		}
		front := f.Routes[1]
		if port := front.Spec.Rules[0].BackendRefs[0].Port; *port != 80 || front.Status.Parents[0].Conditions[0].Message != "password=***" || f.Gateways[0].Spec.GatewayClassName != "example" {
			t.Errorf("got %+v", front)
		}
		live, ok := f.Live(diagnosis.Object{APIVersion: gatewayVersion.String(), Kind: "HTTPRoute", Namespace: "shop", Name: "front"}).(*unstructured.Unstructured)
		if !ok || live.GetName() != "front" || live.GetGeneration() != 2 {
			t.Errorf("the route as it was read: %+v", live)
		}
		if len(f.Unread) > 0 {
			t.Errorf("unread: %+v", f.Unread)
		}
	}
}

func TestAClusterWithoutGatewaysIsNotAskedForThem(t *testing.T) {
	_, other := withGateways(t)
	f, err := Facts(t.Context(), fake.NewClientset(deployment()), diagnosis.Object{Kind: "Deployment", Namespace: "shop", Name: "web"}, Options{Dynamic: other})
	must(t, err)
	if len(other.Actions()) > 0 || len(f.Unread) > 0 {
		t.Errorf("asked %v, unread %+v", other.Actions(), f.Unread)
	}
}

func TestGatewaysThatMayNotBeReadAreNamed(t *testing.T) {
	client, other := withGateways(t, gatewayObject("HTTPRoute", "shop", "front", map[string]any{"parentRefs": []any{map[string]any{"name": "public", "namespace": "infra"}}}, nil))
	forbid := func(action clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewForbidden(action.GetResource().GroupResource(), "", nil)
	}
	other.PrependReactor("list", "grpcroutes", forbid)
	other.PrependReactor("get", "gateways", forbid)
	f, err := Facts(t.Context(), client, diagnosis.Object{Kind: "Deployment", Namespace: "shop", Name: "web"}, Options{Dynamic: other})
	must(t, err)
	want := []diagnosis.Unread{{Kind: "GRPCRoute", Namespace: "shop", Reason: "forbidden"}, {Kind: "Gateway", Namespace: "infra", Name: "public", Reason: "forbidden"}}
	public, own := diagnosis.Object{Kind: "Gateway", Namespace: "infra", Name: "public"}, diagnosis.Object{Kind: "Gateway", Namespace: "shop", Name: "public"}
	if !slices.Equal(f.Unread, want) || len(f.Routes) != 1 || f.KnowsObject(public) || !f.KnowsObject(own) {
		t.Errorf("unread %+v, want %+v; %d routes", f.Unread, want, len(f.Routes))
	}
}
