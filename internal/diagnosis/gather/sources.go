package gather

import (
	"context"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// namespaceSources list what runs in a namespace, and the limits there.
func (r *reader) namespaceSources(ns string) []source {
	f, c := r.facts, r.client
	return []source{
		into(r, "Pod", &f.Pods, func(ctx context.Context, o metav1.ListOptions) ([]corev1.Pod, string, error) {
			l, err := c.CoreV1().Pods(ns).List(ctx, o)
			if err != nil {
				return nil, "", err
			}
			return l.Items, l.Continue, nil
		}),
		into(r, "ReplicaSet", &f.ReplicaSets, func(ctx context.Context, o metav1.ListOptions) ([]appsv1.ReplicaSet, string, error) {
			l, err := c.AppsV1().ReplicaSets(ns).List(ctx, o)
			if err != nil {
				return nil, "", err
			}
			return l.Items, l.Continue, nil
		}),
		into(r, "ControllerRevision", &f.ControllerRevisions, func(ctx context.Context, o metav1.ListOptions) ([]appsv1.ControllerRevision, string, error) {
			l, err := c.AppsV1().ControllerRevisions(ns).List(ctx, o)
			if err != nil {
				return nil, "", err
			}
			return l.Items, l.Continue, nil
		}),
		into(r, "Deployment", &r.deployments, func(ctx context.Context, o metav1.ListOptions) ([]appsv1.Deployment, string, error) {
			l, err := c.AppsV1().Deployments(ns).List(ctx, o)
			if err != nil {
				return nil, "", err
			}
			return l.Items, l.Continue, nil
		}),
		into(r, "StatefulSet", &r.statefulSets, func(ctx context.Context, o metav1.ListOptions) ([]appsv1.StatefulSet, string, error) {
			l, err := c.AppsV1().StatefulSets(ns).List(ctx, o)
			if err != nil {
				return nil, "", err
			}
			return l.Items, l.Continue, nil
		}),
		into(r, "DaemonSet", &r.daemonSets, func(ctx context.Context, o metav1.ListOptions) ([]appsv1.DaemonSet, string, error) {
			l, err := c.AppsV1().DaemonSets(ns).List(ctx, o)
			if err != nil {
				return nil, "", err
			}
			return l.Items, l.Continue, nil
		}),
		into(r, "Job", &f.Jobs, func(ctx context.Context, o metav1.ListOptions) ([]batchv1.Job, string, error) {
			l, err := c.BatchV1().Jobs(ns).List(ctx, o)
			if err != nil {
				return nil, "", err
			}
			return l.Items, l.Continue, nil
		}),
		into(r, "CronJob", &f.CronJobs, func(ctx context.Context, o metav1.ListOptions) ([]batchv1.CronJob, string, error) {
			l, err := c.BatchV1().CronJobs(ns).List(ctx, o)
			if err != nil {
				return nil, "", err
			}
			return l.Items, l.Continue, nil
		}),
		into(r, "ResourceQuota", &f.Quotas, func(ctx context.Context, o metav1.ListOptions) ([]corev1.ResourceQuota, string, error) {
			l, err := c.CoreV1().ResourceQuotas(ns).List(ctx, o)
			if err != nil {
				return nil, "", err
			}
			return l.Items, l.Continue, nil
		}),
		into(r, "LimitRange", &f.LimitRanges, func(ctx context.Context, o metav1.ListOptions) ([]corev1.LimitRange, string, error) {
			l, err := c.CoreV1().LimitRanges(ns).List(ctx, o)
			if err != nil {
				return nil, "", err
			}
			return l.Items, l.Continue, nil
		}),
		into(r, "PersistentVolumeClaim", &f.Claims, func(ctx context.Context, o metav1.ListOptions) ([]corev1.PersistentVolumeClaim, string, error) {
			l, err := c.CoreV1().PersistentVolumeClaims(ns).List(ctx, o)
			if err != nil {
				return nil, "", err
			}
			return l.Items, l.Continue, nil
		}),
		into(r, "PodDisruptionBudget", &f.Budgets, func(ctx context.Context, o metav1.ListOptions) ([]policyv1.PodDisruptionBudget, string, error) {
			l, err := c.PolicyV1().PodDisruptionBudgets(ns).List(ctx, o)
			if err != nil {
				return nil, "", err
			}
			return l.Items, l.Continue, nil
		}),
		into(r, "HorizontalPodAutoscaler", &f.Autoscalers, func(ctx context.Context, o metav1.ListOptions) ([]autoscalingv2.HorizontalPodAutoscaler, string, error) {
			l, err := c.AutoscalingV2().HorizontalPodAutoscalers(ns).List(ctx, o)
			if err != nil {
				return nil, "", err
			}
			return l.Items, l.Continue, nil
		}),
		into(r, "StorageClass", &f.StorageClasses, func(ctx context.Context, o metav1.ListOptions) ([]storagev1.StorageClass, string, error) {
			l, err := c.StorageV1().StorageClasses().List(ctx, o)
			if err != nil {
				return nil, "", err
			}
			return l.Items, l.Continue, nil
		}),
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
		into(r, "Service", &f.Services, func(ctx context.Context, o metav1.ListOptions) ([]corev1.Service, string, error) {
			l, err := c.CoreV1().Services(ns).List(ctx, o)
			if err != nil {
				return nil, "", err
			}
			return l.Items, l.Continue, nil
		}),
		into(r, "EndpointSlice", &f.EndpointSlices, func(ctx context.Context, o metav1.ListOptions) ([]discoveryv1.EndpointSlice, string, error) {
			l, err := c.DiscoveryV1().EndpointSlices(ns).List(ctx, o)
			if err != nil {
				return nil, "", err
			}
			return l.Items, l.Continue, nil
		}),
		into(r, "Ingress", &f.Ingresses, func(ctx context.Context, o metav1.ListOptions) ([]networkingv1.Ingress, string, error) {
			l, err := c.NetworkingV1().Ingresses(ns).List(ctx, o)
			if err != nil {
				return nil, "", err
			}
			return l.Items, l.Continue, nil
		}),
		into(r, "IngressClass", &f.IngressClasses, func(ctx context.Context, o metav1.ListOptions) ([]networkingv1.IngressClass, string, error) {
			l, err := c.NetworkingV1().IngressClasses().List(ctx, o)
			if err != nil {
				return nil, "", err
			}
			return l.Items, l.Continue, nil
		}),
		into(r, "NetworkPolicy", &f.Policies, func(ctx context.Context, o metav1.ListOptions) ([]networkingv1.NetworkPolicy, string, error) {
			l, err := c.NetworkingV1().NetworkPolicies(ns).List(ctx, o)
			if err != nil {
				return nil, "", err
			}
			return l.Items, l.Continue, nil
		}),
	}
}
