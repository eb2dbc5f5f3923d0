package gather

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubebot/kubebot/internal/diagnosis"
)

// aliases are the names of kinds that kubectl knows.
var aliases = map[string]string{
	"pod": "Pod", "pods": "Pod", "po": "Pod",
	"deployment": "Deployment", "deployments": "Deployment", "deploy": "Deployment",
	"replicaset": "ReplicaSet", "replicasets": "ReplicaSet", "rs": "ReplicaSet",
	"statefulset": "StatefulSet", "statefulsets": "StatefulSet", "sts": "StatefulSet",
	"daemonset": "DaemonSet", "daemonsets": "DaemonSet", "ds": "DaemonSet",
	"job": "Job", "jobs": "Job",
	"cronjob": "CronJob", "cronjobs": "CronJob", "cj": "CronJob",
	"service": "Service", "services": "Service", "svc": "Service",
	"ingress": "Ingress", "ingresses": "Ingress", "ing": "Ingress",
	"httproute": "HTTPRoute", "httproutes": "HTTPRoute",
	"grpcroute": "GRPCRoute", "grpcroutes": "GRPCRoute",
	"gateway": "Gateway", "gateways": "Gateway", "gtw": "Gateway",
	"horizontalpodautoscaler": "HorizontalPodAutoscaler", "horizontalpodautoscalers": "HorizontalPodAutoscaler", "hpa": "HorizontalPodAutoscaler",
	"persistentvolumeclaim": "PersistentVolumeClaim", "persistentvolumeclaims": "PersistentVolumeClaim", "pvc": "PersistentVolumeClaim",
	"node": "Node", "nodes": "Node", "no": "Node",
}

// Kind returns the kind that a word of the command line means: deploy, pods, Deployment, deployments.apps.
func Kind(word string) (string, error) {
	short, _, _ := strings.Cut(strings.ToLower(word), ".")
	if kind, ok := aliases[short]; ok {
		return kind, nil
	}
	kinds := slices.Compact(slices.Sorted(maps.Values(aliases)))
	return "", fmt.Errorf("unknown kind %q; known are %s", word, strings.Join(kinds, ", "))
}

// versions of the kinds.
var versions = map[string]string{
	"Pod": "v1", "Service": "v1", "PersistentVolumeClaim": "v1", "Node": "v1",
	"Deployment": "apps/v1", "ReplicaSet": "apps/v1", "StatefulSet": "apps/v1", "DaemonSet": "apps/v1",
	"Job": "batch/v1", "CronJob": "batch/v1", "Ingress": "networking.k8s.io/v1", "HorizontalPodAutoscaler": "autoscaling/v2",
	"HTTPRoute": gatewayVersion.String(), "GRPCRoute": gatewayVersion.String(), "Gateway": gatewayVersion.String(),
}

// get reads one object of a kind.
func (r *reader) get(ctx context.Context, kind, namespace, name string) (runtime.Object, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	o := metav1.GetOptions{}
	switch kind {
	case "Pod":
		return r.client.CoreV1().Pods(namespace).Get(ctx, name, o)
	case "Deployment":
		return r.client.AppsV1().Deployments(namespace).Get(ctx, name, o)
	case "ReplicaSet":
		return r.client.AppsV1().ReplicaSets(namespace).Get(ctx, name, o)
	case "StatefulSet":
		return r.client.AppsV1().StatefulSets(namespace).Get(ctx, name, o)
	case "DaemonSet":
		return r.client.AppsV1().DaemonSets(namespace).Get(ctx, name, o)
	case "Job":
		return r.client.BatchV1().Jobs(namespace).Get(ctx, name, o)
	case "CronJob":
		return r.client.BatchV1().CronJobs(namespace).Get(ctx, name, o)
	case "Service":
		return r.client.CoreV1().Services(namespace).Get(ctx, name, o)
	case "Ingress":
		return r.client.NetworkingV1().Ingresses(namespace).Get(ctx, name, o)
	case "HTTPRoute", "GRPCRoute", "Gateway":
		return r.gateway(ctx, kind, namespace, name)
	case "HorizontalPodAutoscaler":
		return r.client.AutoscalingV2().HorizontalPodAutoscalers(namespace).Get(ctx, name, o)
	case "PersistentVolumeClaim":
		return r.client.CoreV1().PersistentVolumeClaims(namespace).Get(ctx, name, o)
	case "Node":
		return r.client.CoreV1().Nodes().Get(ctx, name, o)
	}
	return nil, fmt.Errorf("kind %s can't be asked about", kind)
}

// resolve reads the subject and finds the workload behind it.
func (r *reader) resolve(ctx context.Context) error {
	s := &r.facts.Subject
	if s.Kind == "Node" {
		s.Namespace = ""
	}
	o, err := r.get(ctx, s.Kind, s.Namespace, s.Name)
	if err != nil {
		return fmt.Errorf("read %s/%s in namespace %q: %w", strings.ToLower(s.Kind), s.Name, s.Namespace, err)
	}
	s.APIVersion = versions[s.Kind]
	if w, ok := diagnosis.WorkloadOf(o); ok {
		r.facts.Workload = r.climb(ctx, w)
		return nil
	}
	r.behind(ctx, o)
	return nil
}

// climb goes from a workload to its controllers, up to the one that a person made.
func (r *reader) climb(ctx context.Context, w diagnosis.Workload) diagnosis.Workload {
	for {
		owner := metav1.GetControllerOfNoCopy(&w.Meta)
		if owner == nil || versions[owner.Kind] == "" || owner.Kind == "Node" || gatewayResources[owner.Kind] != "" {
			return w
		}
		o, err := r.get(ctx, owner.Kind, w.Namespace, owner.Name)
		if err != nil {
			r.unread(owner.Kind, owner.Name, err)
			return w
		}
		up, ok := diagnosis.WorkloadOf(o)
		if !ok {
			return w
		}
		w = up
	}
}
