package diagnosis

import (
	"cmp"
	"reflect"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// Live is an object as it was read from the API server, or nil where the facts do not hold it whole.
func (f *Facts) Live(o Object) runtime.Object {
	if o == f.Workload.Object {
		return f.Workload.Live
	}
	return cmp.Or(
		named(f.Pods, o), named(f.Neighbours, o), named(f.Nodes, o),
		named(f.ReplicaSets, o), named(f.Jobs, o), named(f.CronJobs, o), named(f.Autoscalers, o), named(f.Budgets, o),
		named(f.Services, o), named(f.Ingresses, o), named(f.Policies, o), f.liveRoute(o),
		named(f.Claims, o), named(f.Volumes, o), named(f.Quotas, o),
	)
}

func (f *Facts) liveRoute(o Object) runtime.Object {
	for i := range f.Routes {
		if r := &f.Routes[i]; r.Kind == o.Kind && r.Name == o.Name && r.Namespace == o.Namespace {
			return r.Live
		}
	}
	return nil
}

// named finds the object of a name in its namespace, if the list is of its kind, which the Go type is called after.
func named[T any, P interface {
	*T
	runtime.Object
	metav1.Object
}](list []T, o Object) runtime.Object {
	if o.Kind != reflect.TypeFor[T]().Name() {
		return nil
	}
	for i := range list {
		if p := P(&list[i]); p.GetName() == o.Name && p.GetNamespace() == o.Namespace {
			return p
		}
	}
	return nil
}
