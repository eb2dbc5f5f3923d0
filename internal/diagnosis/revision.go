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
	switch all := f.versions(); len(all) {
	case 0:
		return nil, nil
	case 1:
		return all[0], nil
	default:
		return all[0], all[1]
	}
}

// versions are the workload's revisions, the present one first.
func (f *Facts) versions() []*Version {
	if f.Workload.Kind == "StatefulSet" || f.Workload.Kind == "DaemonSet" {
		return f.controllerVersions()
	}
	sets := slices.SortedStableFunc(slices.Values(f.ReplicaSets), func(a, b appsv1.ReplicaSet) int { return cmp.Compare(Revision(&b), Revision(&a)) })
	var out []*Version
	for i := range sets {
		rs := &sets[i]
		out = append(out, &Version{
			Kind: "ReplicaSet", Name: rs.Name, MadeAt: rs.CreationTimestamp.Time, Revision: Revision(rs), Spec: rs.Spec.Template.Spec,
			Ready: rs.Status.ReadyReplicas, Back: rs.Annotations[RevisionHistory] != "",
		})
	}
	return out
}

// controllerVersions are those of a StatefulSet or DaemonSet; none where the last one reached no pod, as with the update
// strategy OnDelete.
func (f *Facts) controllerVersions() []*Version {
	list := slices.SortedStableFunc(slices.Values(f.ControllerRevisions),
		func(a, b appsv1.ControllerRevision) int { return cmp.Compare(b.Revision, a.Revision) })
	var out []*Version
	for i := range list {
		switch v := f.version(&list[i]); {
		case v != nil:
			out = append(out, v)
		case i < 2: // the difference of the last two is not known
			return nil
		}
	}
	if len(out) < 2 {
		return out
	}
	present, before := out[0], out[1]
	present.Back = present.MadeAt.Before(before.MadeAt) // one that is gone back to gets a new number and stays as old as it is
	awaited := f.Subject.Kind != "Pod" && len(f.Pods) < int(f.Workload.Desired)
	if !awaited && !slices.ContainsFunc(f.Pods, func(p corev1.Pod) bool { return f.runs(&p, present) }) {
		return nil
	}
	return out
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

// Any revision differs enough where all that it was is to come back.
func Any(*corev1.PodSpec) bool { return true }

// Earlier returns the revision to go back to: the newest one before the present with a ready pod that differs as wanted, for
// one that was a failed attempt itself has no ready pod. Where none is ready it is the revision before, if that differs.
func (f *Facts) Earlier(differs func(old *corev1.PodSpec) bool) *Version {
	all := f.versions()
	if len(all) < 2 {
		return nil
	}
	for _, v := range all[1:] {
		if v.Ready > 0 && differs(&v.Spec) {
			return v
		}
	}
	if before := all[1]; differs(&before.Spec) {
		return before
	}
	return nil
}

// Untried is a sentence, with a space before it, which says that nothing shows that the revision to go back to ran; it is
// empty where a pod of it is ready, or the rollout that took its place came to its end, or that is not known.
func (f *Facts) Untried(differs func(old *corev1.PodSpec) bool) string {
	v, progress := f.Earlier(differs), f.Workload.Condition("Progressing").Reason
	if v == nil || v.Ready > 0 || progress == "" || progress == "NewReplicaSetAvailable" {
		return ""
	}
	return fmt.Sprintf(" No pod of revision %d is ready, so nothing shows that it ran.", v.Revision)
}

// Undo returns the commands that go back to the earlier revision, if there is one that differs as wanted.
func (f *Facts) Undo(differs func(old *corev1.PodSpec) bool) []string {
	v := f.Earlier(differs)
	if v == nil {
		return nil
	}
	undo := Kubectl(f.NS(), "rollout", "undo", f.Workload.Arg(), fmt.Sprintf("--to-revision=%d", v.Revision))
	switch f.Workload.Kind {
	case "Deployment", "DaemonSet":
		return []string{undo}
	case "StatefulSet":
		return append([]string{undo}, f.release(f.versions()[0])...)
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
