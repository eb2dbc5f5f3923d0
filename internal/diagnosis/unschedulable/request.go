package unschedulable

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// request is what a pod requests of a resource, as the scheduler reckons: what runs together, which is all containers and
// sidecars or an init container with the sidecars before it, and the overhead of the pod's runtime class.
func request(p *corev1.Pod, name corev1.ResourceName) resource.Quantity {
	var sidecars, starting resource.Quantity
	for i := range p.Spec.InitContainers {
		c := &p.Spec.InitContainers[i]
		together := sidecars.DeepCopy()
		together.Add(c.Resources.Requests[name])
		if isSidecar(c) {
			sidecars = together
		}
		if together.Cmp(starting) > 0 {
			starting = together
		}
	}
	sum := sidecars
	for i := range p.Spec.Containers {
		sum.Add(p.Spec.Containers[i].Resources.Requests[name])
	}
	if starting.Cmp(sum) > 0 {
		sum = starting
	}
	if q, ok := ofPod(p, name); ok {
		sum = q
	}
	sum.Add(p.Spec.Overhead[name])
	return sum
}

// ofPod is what a pod requests for all of its containers together, which then counts.
func ofPod(p *corev1.Pod, name corev1.ResourceName) (resource.Quantity, bool) {
	if p.Spec.Resources == nil {
		return resource.Quantity{}, false
	}
	q, ok := p.Spec.Resources.Requests[name]
	return q, ok
}

func isSidecar(c *corev1.Container) bool {
	return c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
}

// greatest is the container, sidecars included, that requests most of a resource; nil where none requests any.
func greatest(p *corev1.Pod, name corev1.ResourceName) *corev1.Container {
	var out *corev1.Container
	consider := func(c *corev1.Container) {
		q, ok := c.Resources.Requests[name]
		if ok && (out == nil || q.Cmp(out.Resources.Requests[name]) > 0) {
			out = c
		}
	}
	for i := range p.Spec.Containers {
		consider(&p.Spec.Containers[i])
	}
	for i := range p.Spec.InitContainers {
		consider(&p.Spec.InitContainers[i])
	}
	return out
}
