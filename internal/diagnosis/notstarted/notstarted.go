// Package notstarted finds pods that a node refuses or can't start, and those that are ready but for a readiness gate. The
// kubelet says why; what it says of missing ConfigMaps, Secrets, images and volumes other detectors explain.
package notstarted

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/kubebot/kubebot/internal/diagnosis"
)

// Detector finds pods that do not start.
var Detector = diagnosis.Detector{
	Name: "notstarted", Doc: "pods that a node refuses or can't start: network, user, command, hook, devices; and readiness gates",
	Detect: detect,
}

func detect(f *diagnosis.Facts) []diagnosis.Finding {
	if f.Subject.Kind == "Node" {
		return sandboxes(f) // the rest is no trouble of the node's
	}
	var out []diagnosis.Finding
	for _, c := range f.Containers() {
		if c.Pod.DeletionTimestamp != nil {
			continue
		}
		if x, ok := hook(f, c); ok {
			out = append(out, x)
		} else if x, ok := container(f, c); ok {
			out = append(out, x)
		}
	}
	out = append(out, sandboxes(f)...)
	for i := range f.Pods {
		if x, ok := gate(f, &f.Pods[i]); ok {
			out = append(out, x)
		}
	}
	return append(out, refusal(f)...)
}

// whose says whose pods are meant.
func whose(f *diagnosis.Facts) string {
	switch {
	case !f.Workload.Exists():
		return "its pods"
	case f.Workload.Kind == "Pod":
		return f.Workload.String()
	}
	return "pods of " + f.Workload.String()
}

func node(p *corev1.Pod) diagnosis.Object {
	return diagnosis.Object{APIVersion: "v1", Kind: "Node", Name: p.Spec.NodeName}
}

func describe(p *corev1.Pod) string { return diagnosis.Kubectl(p.Namespace, "describe", "pod", p.Name) }
