package gather

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// namespaceSources list what runs in a namespace, and the limits there.
func (r *reader) namespaceSources(ns string) []source {
	f, c := r.facts, r.client
	return []source{
		into(r, "Pod", &f.Pods, c.CoreV1().Pods(ns).List),
		into(r, "ReplicaSet", &f.ReplicaSets, c.AppsV1().ReplicaSets(ns).List),
		into(r, "ControllerRevision", &f.ControllerRevisions, c.AppsV1().ControllerRevisions(ns).List),
		into(r, "Deployment", &r.deployments, c.AppsV1().Deployments(ns).List),
		into(r, "StatefulSet", &r.statefulSets, c.AppsV1().StatefulSets(ns).List),
		into(r, "DaemonSet", &r.daemonSets, c.AppsV1().DaemonSets(ns).List),
		into(r, "Job", &f.Jobs, c.BatchV1().Jobs(ns).List),
		into(r, "CronJob", &f.CronJobs, c.BatchV1().CronJobs(ns).List),
		into(r, "ResourceQuota", &f.Quotas, c.CoreV1().ResourceQuotas(ns).List),
		into(r, "LimitRange", &f.LimitRanges, c.CoreV1().LimitRanges(ns).List),
		into(r, "PersistentVolumeClaim", &f.Claims, c.CoreV1().PersistentVolumeClaims(ns).List),
		into(r, "PodDisruptionBudget", &f.Budgets, c.PolicyV1().PodDisruptionBudgets(ns).List),
		into(r, "HorizontalPodAutoscaler", &f.Autoscalers, c.AutoscalingV2().HorizontalPodAutoscalers(ns).List),
		into(r, "StorageClass", &f.StorageClasses, c.StorageV1().StorageClasses().List),
		{kind: "Namespace", name: ns, read: func(ctx context.Context) error {
			n, err := c.CoreV1().Namespaces().Get(ctx, ns, metav1.GetOptions{})
			if err == nil {
				f.Namespace = n
			}
			return err
		}},
	}
}

// networkSources list what leads to the pods of a namespace, or keeps calls from them.
func (r *reader) networkSources(ns string) []source {
	f, c := r.facts, r.client
	return []source{
		into(r, "Service", &f.Services, c.CoreV1().Services(ns).List),
		into(r, "EndpointSlice", &f.EndpointSlices, c.DiscoveryV1().EndpointSlices(ns).List),
		into(r, "Ingress", &f.Ingresses, c.NetworkingV1().Ingresses(ns).List),
		into(r, "IngressClass", &f.IngressClasses, c.NetworkingV1().IngressClasses().List),
		into(r, "NetworkPolicy", &f.Policies, c.NetworkingV1().NetworkPolicies(ns).List),
	}
}
