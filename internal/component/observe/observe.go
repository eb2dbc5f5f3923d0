// Package observe reads what was seen of a component: live objects, pods, answers. Everything here is pure, and nothing
// it says holds times, addresses or generated names.
package observe

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
)

// Find returns the live object of the type and name, or false. It also finds it as unstructured of the kind.
func Find[T any, P interface {
	*T
	client.Object
}](seen component.Observed, kind, name string) (P, bool) {
	for _, o := range seen.Objects {
		if o.GetName() != name {
			continue
		}
		if typed, ok := o.(P); ok {
			return typed, true
		}
		u, ok := o.(*unstructured.Unstructured)
		if !ok || u.GetKind() != kind {
			continue
		}
		typed := P(new(T))
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, typed); err == nil {
			return typed, true
		}
	}
	return nil, false
}

// Unanswered says why an answer is not one with status 200, or is empty.
func Unanswered(a component.Answer) string {
	switch a.Status {
	case 200:
		return ""
	case 0:
		return "does not answer"
	}
	return fmt.Sprintf("answers with HTTP status %d", a.Status)
}

// Read reads the JSON of an answer with status 200, or says what is wrong with it.
func Read(a component.Answer, into any) string {
	switch why := Unanswered(a); {
	case why != "":
		return why
	case a.TooLarge:
		return fmt.Sprintf("answers with more than %d MiB", len(a.Body)>>20)
	case json.Unmarshal(a.Body, into) != nil:
		return "answers with something that is not its format"
	}
	return ""
}

// DeploymentTrouble says what keeps a Deployment from being complete, or is empty.
func DeploymentTrouble(seen component.Observed, name string) string {
	d, ok := Find[appsv1.Deployment](seen, "Deployment", name)
	switch {
	case !ok:
		return fmt.Sprintf("the Deployment %s does not exist yet", name)
	case d.Status.ObservedGeneration < d.Generation || d.Spec.Replicas == nil,
		d.Status.UpdatedReplicas < *d.Spec.Replicas, d.Status.AvailableReplicas < *d.Spec.Replicas:
		return fmt.Sprintf("%d of %d pods of the Deployment %s are up to date and available",
			min(d.Status.UpdatedReplicas, d.Status.AvailableReplicas), wanted(d), name)
	}
	return ""
}

func wanted(d *appsv1.Deployment) int32 {
	if d.Spec.Replicas == nil {
		return 1
	}
	return *d.Spec.Replicas
}

// StatefulSetTrouble says what keeps a StatefulSet from being complete, or is empty.
func StatefulSetTrouble(seen component.Observed, name string) string {
	s, ok := Find[appsv1.StatefulSet](seen, "StatefulSet", name)
	if !ok {
		return fmt.Sprintf("the StatefulSet %s does not exist yet", name)
	}
	replicas := int32(1)
	if s.Spec.Replicas != nil {
		replicas = *s.Spec.Replicas
	}
	switch {
	case s.Status.ObservedGeneration < s.Generation:
		return fmt.Sprintf("the StatefulSet %s was not acted on yet", name)
	case s.Status.UpdatedReplicas < replicas, s.Status.AvailableReplicas < replicas:
		return fmt.Sprintf("%d of %d pods of the StatefulSet %s are up to date and available",
			min(s.Status.UpdatedReplicas, s.Status.AvailableReplicas), replicas, name)
	}
	return ""
}

// PodTrouble says why containers of pods wait, such as "prometheus: ImagePullBackOff", and why pods can't be scheduled;
// it is empty when nothing is known.
func PodTrouble(pods []corev1.Pod) string {
	var troubles []string
	for _, p := range pods {
		for _, c := range p.Status.Conditions {
			if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
				troubles = append(troubles, "a pod can't be scheduled: "+c.Reason)
			}
		}
		for _, s := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
			if w := s.State.Waiting; w != nil && w.Reason != "" && w.Reason != "PodInitializing" && w.Reason != "ContainerCreating" {
				troubles = append(troubles, s.Name+": "+w.Reason)
			}
		}
	}
	slices.Sort(troubles)
	return strings.Join(slices.Compact(troubles), ", ")
}

// With adds what is known of the pods to a message.
func With(message string, pods []corev1.Pod) string {
	if trouble := PodTrouble(pods); trouble != "" {
		return message + " (" + trouble + ")"
	}
	return message
}

// Ready returns the health of a component that is well.
func Ready(message string) component.Health {
	return component.Health{Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonReady, Message: message}
}

// NotReady returns the health of a component that is not.
func NotReady(reason, message string) component.Health {
	return component.Health{Status: metav1.ConditionFalse, Reason: reason, Message: message}
}

// Disabled returns the health of a component that is switched off, which the summary Ready leaves out by its reason.
func Disabled(what, field string) component.Health {
	return NotReady(v1alpha1.ReasonDisabled, fmt.Sprintf("%s is switched off by %s", what, field))
}
