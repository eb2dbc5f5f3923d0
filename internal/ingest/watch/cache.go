// Package watch sees workload states and warning events by itself: it keeps a trimmed cache of the cluster, tells who
// owns what, and turns bad states into alerts named like the default rules, long before a rule can fire. Alerts follow
// the states: they fire while a state is bad and end when it heals, whatever was missed in between.
package watch

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/internal/naming"
)

// templateHash is the label by which a Deployment names its ReplicaSets' pods.
const templateHash = "pod-template-hash"

// maxMessage of a state that is kept, in bytes.
const maxMessage = 400

// Objects returns how the watched objects are cached: only what the watch needs of each, and of the events only
// warnings.
func Objects() map[client.Object]cache.ByObject {
	return map[client.Object]cache.ByObject{
		&corev1.Pod{}:         {Transform: trimming(trimPod)},
		&corev1.Node{}:        {Transform: trimming(trimNode)},
		&corev1.Event{}:       {Transform: trimming(trimEvent), Field: fields.OneTermEqualSelector("type", corev1.EventTypeWarning)},
		&appsv1.Deployment{}:  {Transform: trimming(trimDeployment)},
		&appsv1.StatefulSet{}: {Transform: trimming(trimStatefulSet)},
		&appsv1.DaemonSet{}:   {Transform: trimming(trimDaemonSet)},
		&batchv1.Job{}:        {Transform: trimming(trimJob)},
		replicaSets():         {Transform: trimming(trimMetadata)},
	}
}

func replicaSets() *metav1.PartialObjectMetadata {
	m := &metav1.PartialObjectMetadata{}
	m.SetGroupVersionKind(appsv1.SchemeGroupVersion.WithKind("ReplicaSet"))
	return m
}

// trimming makes a transform of the cache; objects of another type are left as they are.
func trimming[T client.Object](trim func(T) T) toolscache.TransformFunc {
	return func(obj any) (any, error) {
		if object, ok := obj.(T); ok {
			return trim(object), nil
		}
		return obj, nil
	}
}

// metadata keeps what identifies an object and its owner.
func metadata(o metav1.ObjectMeta) metav1.ObjectMeta {
	kept := metav1.ObjectMeta{
		Name: o.Name, Namespace: o.Namespace, UID: o.UID, ResourceVersion: o.ResourceVersion,
		CreationTimestamp: o.CreationTimestamp, DeletionTimestamp: o.DeletionTimestamp,
	}
	for _, owner := range o.OwnerReferences {
		if owner.Controller != nil && *owner.Controller {
			kept.OwnerReferences = append(kept.OwnerReferences, metav1.OwnerReference{
				APIVersion: owner.APIVersion, Kind: owner.Kind, Name: owner.Name, Controller: owner.Controller,
			})
		}
	}
	if hash, ok := o.Labels[templateHash]; ok {
		kept.Labels = map[string]string{templateHash: hash}
	}
	return kept
}

func trimMetadata(m *metav1.PartialObjectMetadata) *metav1.PartialObjectMetadata {
	return &metav1.PartialObjectMetadata{TypeMeta: m.TypeMeta, ObjectMeta: metadata(m.ObjectMeta)}
}

func trimPod(p *corev1.Pod) *corev1.Pod {
	kept := &corev1.Pod{TypeMeta: p.TypeMeta, ObjectMeta: metadata(p.ObjectMeta)}
	kept.Spec.NodeName, kept.Spec.RestartPolicy = p.Spec.NodeName, p.Spec.RestartPolicy
	for _, c := range p.Spec.Containers {
		kept.Spec.Containers = append(kept.Spec.Containers, corev1.Container{Name: c.Name, Image: c.Image})
	}
	for _, c := range p.Spec.InitContainers {
		kept.Spec.InitContainers = append(kept.Spec.InitContainers, corev1.Container{Name: c.Name, Image: c.Image, RestartPolicy: c.RestartPolicy})
	}
	kept.Status.Phase, kept.Status.Reason, kept.Status.Message = p.Status.Phase, p.Status.Reason, short(p.Status.Message)
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady || c.Type == corev1.PodScheduled || c.Type == corev1.DisruptionTarget {
			c.Message = short(c.Message)
			kept.Status.Conditions = append(kept.Status.Conditions, c)
		}
	}
	kept.Status.ContainerStatuses = trimContainers(p.Status.ContainerStatuses)
	kept.Status.InitContainerStatuses = trimContainers(p.Status.InitContainerStatuses)
	return kept
}

func trimContainers(list []corev1.ContainerStatus) []corev1.ContainerStatus {
	kept := make([]corev1.ContainerStatus, 0, len(list))
	for _, s := range list {
		kept = append(kept, corev1.ContainerStatus{
			Name: s.Name, Ready: s.Ready, RestartCount: s.RestartCount,
			State: trimState(s.State), LastTerminationState: trimState(s.LastTerminationState),
		})
	}
	return kept
}

// trimState keeps no message of a terminated container: it is the program's own text.
func trimState(s corev1.ContainerState) corev1.ContainerState {
	if s.Waiting != nil {
		s.Waiting = &corev1.ContainerStateWaiting{Reason: s.Waiting.Reason, Message: short(s.Waiting.Message)}
	}
	if t := s.Terminated; t != nil {
		s.Terminated = &corev1.ContainerStateTerminated{
			Reason: t.Reason, ExitCode: t.ExitCode, Signal: t.Signal, StartedAt: t.StartedAt, FinishedAt: t.FinishedAt,
		}
	}
	return s
}

func trimNode(n *corev1.Node) *corev1.Node {
	kept := &corev1.Node{TypeMeta: n.TypeMeta, ObjectMeta: metadata(n.ObjectMeta)}
	kept.Spec.Unschedulable = n.Spec.Unschedulable
	for _, c := range n.Status.Conditions {
		c.Message, c.LastHeartbeatTime = short(c.Message), metav1.Time{}
		kept.Status.Conditions = append(kept.Status.Conditions, c)
	}
	return kept
}

func trimEvent(e *corev1.Event) *corev1.Event {
	kept := &corev1.Event{TypeMeta: e.TypeMeta, ObjectMeta: metadata(e.ObjectMeta)}
	kept.Type, kept.Reason, kept.Message = e.Type, e.Reason, short(e.Message)
	kept.InvolvedObject = corev1.ObjectReference{
		Kind: e.InvolvedObject.Kind, Namespace: e.InvolvedObject.Namespace, Name: e.InvolvedObject.Name, UID: e.InvolvedObject.UID,
	}
	kept.FirstTimestamp, kept.LastTimestamp, kept.EventTime = e.FirstTimestamp, e.LastTimestamp, e.EventTime
	if e.Series != nil {
		kept.Series = &corev1.EventSeries{LastObservedTime: e.Series.LastObservedTime}
	}
	return kept
}

func trimDeployment(d *appsv1.Deployment) *appsv1.Deployment {
	kept := &appsv1.Deployment{TypeMeta: d.TypeMeta, ObjectMeta: metadata(d.ObjectMeta)}
	kept.Spec.Replicas, kept.Status.ReadyReplicas = d.Spec.Replicas, d.Status.ReadyReplicas
	for _, c := range d.Status.Conditions {
		if c.Type == appsv1.DeploymentProgressing {
			c.Message = short(c.Message)
			kept.Status.Conditions = append(kept.Status.Conditions, c)
		}
	}
	return kept
}

func trimStatefulSet(s *appsv1.StatefulSet) *appsv1.StatefulSet {
	kept := &appsv1.StatefulSet{TypeMeta: s.TypeMeta, ObjectMeta: metadata(s.ObjectMeta)}
	kept.Spec.Replicas, kept.Status.ReadyReplicas = s.Spec.Replicas, s.Status.ReadyReplicas
	return kept
}

func trimDaemonSet(d *appsv1.DaemonSet) *appsv1.DaemonSet {
	kept := &appsv1.DaemonSet{TypeMeta: d.TypeMeta, ObjectMeta: metadata(d.ObjectMeta)}
	kept.Status.NumberReady, kept.Status.DesiredNumberScheduled = d.Status.NumberReady, d.Status.DesiredNumberScheduled
	return kept
}

func trimJob(j *batchv1.Job) *batchv1.Job {
	kept := &batchv1.Job{TypeMeta: j.TypeMeta, ObjectMeta: metadata(j.ObjectMeta)}
	if j.Spec.Template.Labels[naming.LabelComponent] == naming.ComponentTrial {
		return kept // a configuration that was refused is said by the KubeBot's condition
	}
	for _, c := range j.Status.Conditions {
		if c.Type == batchv1.JobFailed || c.Type == batchv1.JobComplete {
			c.Message = short(c.Message)
			kept.Status.Conditions = append(kept.Status.Conditions, c)
		}
	}
	return kept
}

func short(s string) string {
	if len(s) <= maxMessage {
		return s
	}
	return fmt.Sprintf("%.*s", maxMessage, s)
}
