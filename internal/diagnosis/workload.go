package diagnosis

import (
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
)

// Condition is a condition of any kind of workload.
type Condition struct {
	Type, Status, Reason, Message string
}

// Workload is what all kinds of workloads have in common.
type Workload struct {
	Object
	// Live is the object as it was read.
	Live runtime.Object
	UID  string
	Meta metav1.ObjectMeta
	// Template of the pods; TemplatePath is its JSON pointer in the object.
	Template     corev1.PodTemplateSpec
	TemplatePath string
	Selector     *metav1.LabelSelector
	// Desired is how many pods are wanted, Ready how many are, Updated how many run the present template.
	Desired, Ready, Updated int32
	// Old is how many pods of earlier templates a Deployment still has: a rollout that makes a new pod first ends an old
	// one once the new one is ready.
	Old            int32
	Paused         bool
	Conditions     []Condition
	ClaimTemplates []corev1.PersistentVolumeClaim
}

// WorkloadOf returns what is common to workloads of an object, and whether the object is one.
func WorkloadOf(o runtime.Object) (Workload, bool) {
	w, ok := common(o)
	if ok {
		w.Live = o
	}
	return w, ok
}

func common(o runtime.Object) (Workload, bool) {
	switch w := o.(type) {
	case *appsv1.Deployment:
		out := workload("apps/v1", "Deployment", w.ObjectMeta, w.Spec.Template, w.Spec.Selector, w.Spec.Replicas)
		out.Ready, out.Updated, out.Paused = w.Status.ReadyReplicas, w.Status.UpdatedReplicas, w.Spec.Paused
		out.Old = max(w.Status.Replicas-w.Status.UpdatedReplicas, 0)
		for _, c := range w.Status.Conditions {
			out.Conditions = append(out.Conditions, Condition{string(c.Type), string(c.Status), c.Reason, c.Message})
		}
		return out, true
	case *appsv1.ReplicaSet:
		out := workload("apps/v1", "ReplicaSet", w.ObjectMeta, w.Spec.Template, w.Spec.Selector, w.Spec.Replicas)
		out.Ready, out.Updated = w.Status.ReadyReplicas, w.Status.Replicas
		for _, c := range w.Status.Conditions {
			out.Conditions = append(out.Conditions, Condition{string(c.Type), string(c.Status), c.Reason, c.Message})
		}
		return out, true
	case *appsv1.StatefulSet:
		out := workload("apps/v1", "StatefulSet", w.ObjectMeta, w.Spec.Template, w.Spec.Selector, w.Spec.Replicas)
		out.Ready, out.Updated, out.ClaimTemplates = w.Status.ReadyReplicas, w.Status.UpdatedReplicas, w.Spec.VolumeClaimTemplates
		return out, true
	case *appsv1.DaemonSet:
		out := workload("apps/v1", "DaemonSet", w.ObjectMeta, w.Spec.Template, w.Spec.Selector, &w.Status.DesiredNumberScheduled)
		out.Ready, out.Updated = w.Status.NumberReady, w.Status.UpdatedNumberScheduled
		return out, true
	case *batchv1.Job:
		return jobWorkload(w), true
	case *batchv1.CronJob:
		none := int32(0)
		out := workload("batch/v1", "CronJob", w.ObjectMeta, w.Spec.JobTemplate.Spec.Template, nil, &none)
		out.TemplatePath = "/spec/jobTemplate/spec/template"
		return out, true
	case *corev1.Pod:
		one := int32(1)
		out := workload("v1", "Pod", w.ObjectMeta, corev1.PodTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{Labels: w.Labels, Annotations: w.Annotations}, Spec: w.Spec,
		}, nil, &one)
		out.TemplatePath = ""
		if PodReady(w) {
			out.Ready = 1
		}
		out.Updated = 1
		return out, true
	}
	return Workload{}, false
}

func jobWorkload(w *batchv1.Job) Workload {
	out := workload("batch/v1", "Job", w.ObjectMeta, w.Spec.Template, w.Spec.Selector, w.Spec.Parallelism)
	if w.Status.Ready != nil {
		out.Ready = *w.Status.Ready
	}
	if w.Status.CompletionTime != nil || (w.Spec.Suspend != nil && *w.Spec.Suspend) {
		out.Desired = 0
	}
	out.Updated = w.Status.Active
	for _, c := range w.Status.Conditions {
		out.Conditions = append(out.Conditions, Condition{string(c.Type), string(c.Status), c.Reason, c.Message})
	}
	return out
}

func workload(version, kind string, meta metav1.ObjectMeta, template corev1.PodTemplateSpec, selector *metav1.LabelSelector, replicas *int32) Workload {
	w := Workload{
		Object: Object{APIVersion: version, Kind: kind, Namespace: meta.Namespace, Name: meta.Name},
		UID:    string(meta.UID), Meta: meta, Template: template, TemplatePath: "/spec/template", Selector: selector, Desired: 1,
	}
	if replicas != nil {
		w.Desired = *replicas
	}
	return w
}

// Exists tells whether the facts are about a workload at all; a Service may have none.
func (w Workload) Exists() bool { return w.Name != "" }

// Satisfied tells whether the workload has all the pods it wants, of the present template and ready. A CronJob wants none
// of its own, so it always is.
func (w Workload) Satisfied() bool {
	return w.Ready >= w.Desired && w.Updated >= w.Desired && w.Old == 0
}

// Condition returns the condition of a type, or an empty one.
func (w Workload) Condition(kind string) Condition {
	for _, c := range w.Conditions {
		if c.Type == kind {
			return c
		}
	}
	return Condition{}
}

// Selects tells whether the workload's selector matches the labels.
func (w Workload) Selects(set map[string]string) bool {
	if w.Selector == nil {
		return false
	}
	s, err := metav1.LabelSelectorAsSelector(w.Selector)
	return err == nil && !s.Empty() && s.Matches(labels.Set(set))
}

// SpecPath is a JSON pointer below the pod's specification in the workload.
func (w Workload) SpecPath(below string) string { return w.TemplatePath + "/spec" + below }
