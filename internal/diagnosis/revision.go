package diagnosis

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// RevisionHistory is the annotation by which the Deployment controller keeps the revisions that a ReplicaSet was before.
const RevisionHistory = "deployment.kubernetes.io/revision-history"

// Version is one revision of a workload's pods: a ReplicaSet of a Deployment, or a ControllerRevision of a StatefulSet or
// DaemonSet.
type Version struct {
	// Kind and Name of the object that holds it, made at MadeAt.
	Kind, Name string
	MadeAt     time.Time
	Revision   int
	Spec       corev1.PodSpec
	// Ready is how many of its pods are ready.
	Ready int32
	// Back says that it ran before and was gone back to.
	Back bool
}

// Revision is the revision number of a ReplicaSet, or 0.
func Revision(rs *appsv1.ReplicaSet) int {
	n := 0
	if _, err := fmt.Sscanf(rs.Annotations["deployment.kubernetes.io/revision"], "%d", &n); err != nil {
		return 0
	}
	return n
}

// Revisions returns the workload's present revision and the one before, which is nil in the first one.
func (f *Facts) Revisions() (present, before *Version) {
	if f.Workload.Kind == "StatefulSet" || f.Workload.Kind == "DaemonSet" {
		return f.controllerRevisions()
	}
	sets := slices.SortedStableFunc(slices.Values(f.ReplicaSets), func(a, b appsv1.ReplicaSet) int { return cmp.Compare(Revision(&b), Revision(&a)) })
	var out [2]*Version
	for i := range sets[:min(len(sets), 2)] {
		rs := &sets[i]
		out[i] = &Version{
			Kind: "ReplicaSet", Name: rs.Name, MadeAt: rs.CreationTimestamp.Time, Revision: Revision(rs), Spec: rs.Spec.Template.Spec,
			Ready: rs.Status.ReadyReplicas, Back: rs.Annotations[RevisionHistory] != "",
		}
	}
	return out[0], out[1]
}

// controllerRevisions are the last two of a StatefulSet or DaemonSet; none where the last one reached no pod, as with the
// update strategy OnDelete.
func (f *Facts) controllerRevisions() (present, before *Version) {
	list := slices.SortedStableFunc(slices.Values(f.ControllerRevisions), func(a, b appsv1.ControllerRevision) int { return cmp.Compare(b.Revision, a.Revision) })
	var out [2]*Version
	for i := range list[:min(len(list), 2)] {
		if out[i] = f.version(&list[i]); out[i] == nil {
			return nil, nil
		}
	}
	if present, before = out[0], out[1]; before == nil {
		return present, nil
	}
	present.Back = present.MadeAt.Before(before.MadeAt) // one that is gone back to gets a new number and stays as old as it is
	awaited := f.Subject.Kind != "Pod" && len(f.Pods) < int(f.Workload.Desired)
	if !awaited && !slices.ContainsFunc(f.Pods, func(p corev1.Pod) bool { return f.runs(&p, present) }) {
		return nil, nil
	}
	return present, before
}

// version reads a ControllerRevision, which holds the pod template as a patch; nil for one that can't be read.
func (f *Facts) version(r *appsv1.ControllerRevision) *Version {
	var data struct {
		Spec struct {
			Template corev1.PodTemplateSpec `json:"template"`
		} `json:"spec"`
	}
	if json.Unmarshal(r.Data.Raw, &data) != nil || len(data.Spec.Template.Spec.Containers) == 0 {
		return nil
	}
	out := &Version{Kind: "ControllerRevision", Name: r.Name, MadeAt: r.CreationTimestamp.Time, Revision: int(r.Revision), Spec: data.Spec.Template.Spec}
	for i := range f.Pods {
		if f.runs(&f.Pods[i], out) && PodReady(&f.Pods[i]) {
			out.Ready++
		}
	}
	return out
}

// runs tells whether a pod is of a ControllerRevision. Its label is the revision's name, of a DaemonSet without the
// DaemonSet's own.
func (f *Facts) runs(p *corev1.Pod, v *Version) bool {
	hash := p.Labels[appsv1.ControllerRevisionHashLabelKey]
	return hash != "" && (hash == v.Name || f.Workload.Name+"-"+hash == v.Name)
}

// Undo returns the commands that go back to the revision before, if there is one that differs as wanted.
func (f *Facts) Undo(differs func(old *corev1.PodSpec) bool) []string {
	present, before := f.Revisions()
	if before == nil || !differs(&before.Spec) {
		return nil
	}
	undo := Kubectl(f.NS(), "rollout", "undo", f.Workload.Arg(), fmt.Sprintf("--to-revision=%d", before.Revision))
	switch f.Workload.Kind {
	case "Deployment", "DaemonSet":
		return []string{undo}
	case "StatefulSet":
		return append([]string{undo}, f.release(present)...)
	}
	return nil
}

// release deletes the pods of a StatefulSet's revision that are not ready: it waits for them before it replaces them, also
// once it was gone back (kubernetes.io/docs/concepts/workloads/controllers/statefulset/#forced-rollback).
func (f *Facts) release(v *Version) []string {
	args := []string{"delete", "pod"}
	for i := range f.Pods {
		if f.runs(&f.Pods[i], v) && Unready(&f.Pods[i]) {
			args = append(args, f.Pods[i].Name)
		}
	}
	if len(args) == 2 {
		return nil
	}
	return []string{Kubectl(f.NS(), args...)}
}
