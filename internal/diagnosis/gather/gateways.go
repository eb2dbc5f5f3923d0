package gather

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kubebot/kubebot/internal/diagnosis"
	"github.com/kubebot/kubebot/internal/mask"
)

var (
	gatewayVersion = schema.GroupVersion{Group: diagnosis.GatewayGroup, Version: "v1"}
	// gatewayResources are the kinds of the Gateway API that are read, where the cluster has them.
	gatewayResources = map[string]string{"HTTPRoute": "httproutes", "GRPCRoute": "grpcroutes", "Gateway": "gateways"}
)

// maxGateways of other namespaces are read.
const maxGateways = 16

// errNoDynamic is of a caller that reads no kinds beside Kubernetes' own.
var errNoDynamic = errors.New("kinds of the Gateway API are not read here")

// gateways lists the routes and Gateways of a namespace. A cluster that has not their kinds is asked for none: it would
// refuse who may not read them, as if there were any.
func (r *reader) gateways(ns string) []source {
	if r.dynamic == nil {
		return nil
	}
	return []source{{kind: "Gateway", read: func(ctx context.Context) error {
		served, err := r.client.Discovery().ServerResourcesForGroupVersionWithContext(ctx, gatewayVersion.String())
		if err != nil {
			return err
		}
		for _, has := range served.APIResources {
			if gatewayResources[has.Kind] != has.Name {
				continue
			}
			if err := r.listGateways(ctx, ns, has.Kind); err != nil && !apierrors.IsNotFound(err) {
				r.unread(has.Kind, "", err)
			}
		}
		return nil
	}}}
}

// listGateways lists one kind of the Gateway API.
func (r *reader) listGateways(ctx context.Context, ns, kind string) error {
	list, err := listAll[unstructured.Unstructured](ctx, r.most, r.dynamic.Resource(gatewayVersion.WithResource(gatewayResources[kind])).Namespace(ns).List)
	for i := range list {
		if kind == "Gateway" {
			err = errors.Join(err, r.addGateway(&list[i]))
			continue
		}
		var route diagnosis.Route
		if bad := convert(&list[i], &route); bad != nil {
			err = errors.Join(err, bad)
			continue
		}
		for j := range route.Status.Parents {
			maskConditions(route.Status.Parents[j].Conditions)
		}
		list[i].SetManagedFields(nil)
		route.ManagedFields, route.Live = nil, &list[i]
		r.facts.Routes = append(r.facts.Routes, route)
	}
	return err
}

func (r *reader) addGateway(u *unstructured.Unstructured) error {
	var g diagnosis.Gateway
	if err := convert(u, &g); err != nil {
		return err
	}
	g.ManagedFields = nil
	maskConditions(g.Status.Conditions)
	for i := range g.Status.Listeners {
		maskConditions(g.Status.Listeners[i].Conditions)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.facts.Gateways = append(r.facts.Gateways, g)
	return nil
}

func convert(u *unstructured.Unstructured, to any) error {
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, to); err != nil {
		return fmt.Errorf("read %s %s: %w", u.GetKind(), u.GetName(), err)
	}
	return nil
}

func maskConditions(list []metav1.Condition) {
	for i := range list {
		list[i].Message = mask.Text(list[i].Message)
	}
}

// otherGateways read those Gateways of other namespaces that the namespace's routes name.
func (r *reader) otherGateways() []source {
	var out []source
	var seen []string
	for i := range r.facts.Routes {
		route := &r.facts.Routes[i]
		for _, p := range route.Spec.ParentRefs {
			ns, name, ok := p.Gateway(route.Namespace)
			if !ok || ns == route.Namespace || slices.Contains(seen, ns+"/"+name) {
				continue
			}
			seen = append(seen, ns+"/"+name)
			s := source{kind: "Gateway", namespace: ns, name: name, read: func(ctx context.Context) error {
				u, err := r.gateway(ctx, "Gateway", ns, name)
				if err != nil {
					return err
				}
				return r.addGateway(u)
			}}
			if len(out) == maxGateways {
				r.missed(s, fmt.Errorf("more than %d: the rest was not read", maxGateways))
				continue
			}
			out = append(out, s)
		}
	}
	return out
}

// gateway reads one object of the Gateway API.
func (r *reader) gateway(ctx context.Context, kind, ns, name string) (*unstructured.Unstructured, error) {
	if r.dynamic == nil {
		return nil, errNoDynamic
	}
	return r.dynamic.Resource(gatewayVersion.WithResource(gatewayResources[kind])).Namespace(ns).Get(ctx, name, metav1.GetOptions{})
}

// sortGateways puts what was read of the Gateway API into an order of its own.
func sortGateways(f *diagnosis.Facts) {
	slices.SortFunc(f.Routes, func(a, b diagnosis.Route) int { return strings.Compare(a.Kind+"/"+a.Name, b.Kind+"/"+b.Name) })
	slices.SortFunc(f.Gateways, func(a, b diagnosis.Gateway) int {
		return strings.Compare(a.Namespace+"/"+a.Name, b.Namespace+"/"+b.Name)
	})
}
