package diagnosis

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

// Every object has the same name: only its kind tells it from the others.
func TestLiveFindsObjectsByKindNamespaceAndName(t *testing.T) {
	m := metav1.ObjectMeta{Namespace: "shop", Name: "web"}
	cluster := metav1.ObjectMeta{Name: "web"}
	pod, deployment, route := corev1.Pod{ObjectMeta: m}, &appsv1.Deployment{ObjectMeta: m}, &unstructured.Unstructured{}
	f := &Facts{
		Workload: Workload{Object: Object{Kind: "Deployment", Namespace: "shop", Name: "web"}, Live: deployment},
		Pods:     []corev1.Pod{pod}, Neighbours: []corev1.Pod{{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "db"}}},
		Nodes: []corev1.Node{{ObjectMeta: cluster}}, ReplicaSets: []appsv1.ReplicaSet{{ObjectMeta: m}},
		Jobs: []batchv1.Job{{ObjectMeta: m}}, CronJobs: []batchv1.CronJob{{ObjectMeta: m}},
		Autoscalers: []autoscalingv2.HorizontalPodAutoscaler{{ObjectMeta: m}}, Budgets: []policyv1.PodDisruptionBudget{{ObjectMeta: m}},
		Services: []corev1.Service{{ObjectMeta: m}}, Ingresses: []networkingv1.Ingress{{ObjectMeta: m}},
		Policies: []networkingv1.NetworkPolicy{{ObjectMeta: m}}, Claims: []corev1.PersistentVolumeClaim{{ObjectMeta: m}},
		Volumes: []corev1.PersistentVolume{{ObjectMeta: cluster}}, Quotas: []corev1.ResourceQuota{{ObjectMeta: m}},
		Routes: []Route{{TypeMeta: metav1.TypeMeta{Kind: "HTTPRoute"}, ObjectMeta: m, Live: route}},
	}
	for kind, want := range map[string]runtime.Object{
		"Deployment": deployment, "Pod": &f.Pods[0], "Node": nil, "ReplicaSet": &f.ReplicaSets[0], "Job": &f.Jobs[0], "CronJob": &f.CronJobs[0],
		"HorizontalPodAutoscaler": &f.Autoscalers[0], "PodDisruptionBudget": &f.Budgets[0], "Service": &f.Services[0],
		"Ingress": &f.Ingresses[0], "NetworkPolicy": &f.Policies[0], "PersistentVolumeClaim": &f.Claims[0], "PersistentVolume": nil,
		"ResourceQuota": &f.Quotas[0], "HTTPRoute": route, "GRPCRoute": nil, "ConfigMap": nil,
	} {
		if got := f.Live(Object{Kind: kind, Namespace: "shop", Name: "web"}); got != want {
			t.Errorf("%s: got %T %p", kind, got, got)
		}
	}
	for o, want := range map[Object]runtime.Object{
		{Kind: "Node", Name: "web"}:                    &f.Nodes[0],
		{Kind: "PersistentVolume", Name: "web"}:        &f.Volumes[0],
		{Kind: "Pod", Namespace: "shop", Name: "db"}:   &f.Neighbours[0],
		{Kind: "Pod", Namespace: "other", Name: "web"}: nil,
	} {
		if got := f.Live(o); got != want {
			t.Errorf("%s: got %T %p", o, got, got)
		}
	}
}
