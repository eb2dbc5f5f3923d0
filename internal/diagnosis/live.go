package diagnosis

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// Live is an object as it was read from the API server, or nil where the facts do not hold it whole.
func (f *Facts) Live(o Object) runtime.Object {
	if o == f.Workload.Object {
		return f.Workload.Live
	}
	switch o.Kind {
	case "Pod":
		if pod := named(f.Pods, o); pod != nil {
			return pod
		}
		return named(f.Neighbours, o)
	case "ReplicaSet":
		return named(f.ReplicaSets, o)
	case "Job":
		return named(f.Jobs, o)
	case "CronJob":
		return named(f.CronJobs, o)
	case "Service":
		return named(f.Services, o)
	case "Ingress":
		return named(f.Ingresses, o)
	case "NetworkPolicy":
		return named(f.Policies, o)
	case "HorizontalPodAutoscaler":
		return named(f.Autoscalers, o)
	case "ResourceQuota":
		return named(f.Quotas, o)
	case "PodDisruptionBudget":
		return named(f.Budgets, o)
	case "PersistentVolumeClaim":
		return named(f.Claims, o)
	case "PersistentVolume":
		return named(f.Volumes, o)
	case "HTTPRoute", "GRPCRoute":
		for i := range f.Routes {
			if r := &f.Routes[i]; r.Kind == o.Kind && r.Name == o.Name && r.Namespace == o.Namespace {
				return r.Live
			}
		}
	case "Node":
		return named(f.Nodes, o)
	}
	return nil
}

// named finds the object of a name in its namespace.
func named[T any, P interface {
	*T
	runtime.Object
	metav1.Object
}](list []T, o Object) runtime.Object {
	for i := range list {
		if p := P(&list[i]); p.GetName() == o.Name && p.GetNamespace() == o.Namespace {
			return p
		}
	}
	return nil
}
