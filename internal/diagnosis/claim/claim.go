// Package claim finds PersistentVolumeClaims that do not exist or get no volume.
package claim

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/kubebot/kubebot/internal/diagnosis"
)

// Detector finds volume claims in trouble.
var Detector = diagnosis.Detector{
	Name: "claim", Doc: "volume claims that do not exist, have no storage class, get no volume or are being deleted", Detect: detect,
}

// user says who uses a claim: the end of a sentence.
type user struct {
	claim, says string
	object      diagnosis.Object
	ref         diagnosis.Reference
}

func detect(f *diagnosis.Facts) []diagnosis.Finding {
	var out []diagnosis.Finding
	for _, u := range users(f) {
		c := f.Claim(u.claim)
		switch {
		case c == nil && f.Knows("PersistentVolumeClaim"):
			out = append(out, missing(f, u))
		case c != nil && c.DeletionTimestamp != nil:
			out = append(out, deleted(f, c, u)...)
		case c == nil || c.Status.Phase == corev1.ClaimBound:
		case c.Status.Phase == corev1.ClaimLost:
			out = append(out, lost(f, c, u))
		default:
			out = append(out, pending(f, c, u)...)
		}
	}
	return out
}

func users(f *diagnosis.Facts) []user {
	var out []user
	if f.Subject.Kind == "PersistentVolumeClaim" {
		out = append(out, user{claim: f.Subject.Name, object: f.Subject})
	}
	w := f.Workload
	if !w.Exists() {
		return out
	}
	for _, r := range f.References() {
		if r.Kind == "PersistentVolumeClaim" {
			out = append(out, user{claim: r.Name, says: "; " + w.Object.String() + " " + r.Use, object: w.Object, ref: r})
		}
	}
	for _, t := range w.ClaimTemplates {
		for i := range f.Pods {
			out = append(out, user{claim: t.Name + "-" + f.Pods[i].Name,
				says: fmt.Sprintf("; pod %s of %s needs it", f.Pods[i].Name, w.Object), object: w.Object})
		}
	}
	return out
}

func missing(f *diagnosis.Facts, u user) diagnosis.Finding {
	out := diagnosis.Finding{
		Kind: diagnosis.KindConfig, Object: u.object, Field: u.ref.Field, Value: u.claim, Score: diagnosis.ScoreCertain,
		Sentence: fmt.Sprintf("PersistentVolumeClaim %s does not exist in namespace %s%s", u.claim, f.NS(), u.says),
		Evidence: []string{fmt.Sprintf("the API server has no PersistentVolumeClaim %s in namespace %s", u.claim, f.NS())},
		Fix:      diagnosis.Fix{Explanation: "Make the claim, with the size and class that the program needs."},
	}
	var names []string
	for _, c := range f.Claims {
		names = append(names, c.Name)
	}
	if near := diagnosis.Near(u.claim, names); near != "" && u.ref.Path != "" && u.object.Kind != "Pod" && u.object.Kind != "Job" {
		out.Fix = diagnosis.FixBy(fmt.Sprintf("Make the claim, or refer to the like-named %s, which exists.", near),
			[]diagnosis.Patch{diagnosis.JSONPatch(u.object, diagnosis.Replace(f.Workload.SpecPath(u.ref.Path), u.claim, near)...)})
		return out
	}
	manifest := fmt.Sprintf(
		`{"apiVersion":"v1","kind":"PersistentVolumeClaim","metadata":{"name":%q,"namespace":%q},"spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1Gi"}}}}`,
		u.claim, f.NS())
	out.Fix.Commands = []string{"echo " + diagnosis.Quote(manifest) + " | " + diagnosis.Kubectl("", "apply", "-f", "-")}
	return out
}

func lost(f *diagnosis.Facts, c *corev1.PersistentVolumeClaim, u user) diagnosis.Finding {
	return diagnosis.Finding{
		Kind: diagnosis.KindDisk, Object: object(c), Field: "spec.volumeName", Value: c.Spec.VolumeName, Score: diagnosis.ScoreCertain,
		Sentence: fmt.Sprintf("PersistentVolumeClaim %s has lost its volume: PersistentVolume %s does not exist any more%s", c.Name, c.Spec.VolumeName, u.says),
		Evidence: []string{"the claim's phase is Lost"},
		Fix: diagnosis.Fix{
			Explanation: "Restore the volume from a backup, or delete the claim and let a new one be made; its data are gone then.",
			Commands:    []string{diagnosis.Kubectl(f.NS(), "describe", "pvc", c.Name)},
		},
	}
}

func object(c *corev1.PersistentVolumeClaim) diagnosis.Object {
	return diagnosis.Object{APIVersion: "v1", Kind: "PersistentVolumeClaim", Namespace: c.Namespace, Name: c.Name}
}

func pending(f *diagnosis.Facts, c *corev1.PersistentVolumeClaim, u user) []diagnosis.Finding {
	out := diagnosis.Finding{
		Kind: diagnosis.KindConfig, Object: object(c), Field: "spec.storageClassName", Score: diagnosis.ScoreCertain,
		Evidence: []string{"PersistentVolumeClaim " + c.Name + " is Pending"},
	}
	var classes []string
	standard := ""
	for _, s := range f.StorageClasses {
		classes = append(classes, s.Name)
		if s.Annotations["storageclass.kubernetes.io/is-default-class"] == "true" {
			standard = s.Name
		}
	}
	name := ptr.Deref(c.Spec.StorageClassName, standard) // no name is the default class, an empty one is none
	class := f.StorageClass(name)
	events := f.EventsOf("PersistentVolumeClaim", c.Name, string(c.UID))
	if class != nil { // it may have been made since
		events = slices.DeleteFunc(events, func(e corev1.Event) bool { return unclassed.MatchString(e.Message) })
	}
	if len(events) > 0 { // that a volume is waited for is said every few seconds, why it was not made more rarely
		warning := slices.IndexFunc(events, func(e corev1.Event) bool { return e.Type == corev1.EventTypeWarning })
		out.Evidence = append(out.Evidence, diagnosis.EventEvidence(&events[max(warning, 0)]))
	}
	switch {
	case !f.Knows("StorageClass"):
		out.Score, out.Kind = diagnosis.ScoreLikely, diagnosis.KindDisk
		out.Sentence = fmt.Sprintf("PersistentVolumeClaim %s gets no volume%s%s", c.Name, because(events), u.says)
		out.Fix = diagnosis.Fix{Explanation: "See the claim's events.", Commands: []string{diagnosis.Kubectl(f.NS(), "describe", "pvc", c.Name)}}
	case name == "" && c.Spec.StorageClassName != nil:
		out.Sentence = fmt.Sprintf("PersistentVolumeClaim %s asks for a volume without a storage class (storageClassName is empty), and none fits%s",
			c.Name, u.says)
		out.Fix = classless(f, c, classes, standard)
	case name == "":
		out.Sentence = fmt.Sprintf("PersistentVolumeClaim %s names no storage class and the cluster has no default one%s", c.Name, u.says)
		out.Fix = recreate(f, c, classes, standard)
	case name != "" && class == nil:
		out.Value = name
		out.Sentence = fmt.Sprintf("StorageClass %s does not exist; PersistentVolumeClaim %s asks for it (spec.storageClassName)%s", name, c.Name, u.says)
		out.Fix = recreate(f, c, classes, standard)
	default:
		return unmade(f, c, class, events, u, out)
	}
	return []diagnosis.Finding{out}
}

// classless is the fix of a claim that asks for no class, which many write for the default one.
func classless(f *diagnosis.Facts, c *corev1.PersistentVolumeClaim, classes []string, standard string) diagnosis.Fix {
	const explanation = "Make a PersistentVolume without a class that fits the claim"
	if standard == "" || c.Spec.VolumeName != "" {
		return diagnosis.Fix{Explanation: explanation + ".",
			Commands: []string{diagnosis.Kubectl("", "get", "persistentvolumes"), diagnosis.Kubectl(f.NS(), "describe", "pvc", c.Name)}}
	}
	out := recreate(f, c, classes, standard)
	out.Explanation = explanation + ", if it is meant for one. Otherwise make" + strings.TrimPrefix(out.Explanation, "Make")
	return out
}

// recreate makes the claim anew with a class that exists, or that of the volume which it names: the class of a claim can't be
// changed.
func recreate(f *diagnosis.Facts, c *corev1.PersistentVolumeClaim, classes []string, standard string) diagnosis.Fix {
	name := ""
	if c.Spec.StorageClassName != nil {
		name = *c.Spec.StorageClassName
	}
	class := standard
	if near := diagnosis.Near(name, classes); near != "" {
		class = near
	}
	for i := range f.Volumes {
		if v := &f.Volumes[i]; v.Name == c.Spec.VolumeName && v.Spec.StorageClassName != "" {
			class = v.Spec.StorageClassName
		}
	}
	if class == "" {
		return diagnosis.Fix{Explanation: "Make a storage class with a provisioner, or a PersistentVolume that fits the claim.",
			Commands: []string{diagnosis.Kubectl("", "get", "storageclass")}}
	}
	size := c.Spec.Resources.Requests[corev1.ResourceStorage]
	var modes []string
	for _, m := range c.Spec.AccessModes {
		modes = append(modes, fmt.Sprintf("%q", m))
	}
	named := ""
	out := diagnosis.Fix{Explanation: fmt.Sprintf(
		"Make the claim anew with StorageClass %s (a claim's class can't be changed; this one has no volume yet, and so no data).", class)}
	if v := c.Spec.VolumeName; v != "" {
		named = fmt.Sprintf(`"volumeName":%q,`, v)
		out.Explanation = fmt.Sprintf(
			"Make the claim anew with StorageClass %s (a claim's class can't be changed). It names PersistentVolume %s: with the reclaim policy Delete the data there go with the claim, so that is set to Retain first.",
			class, v)
		out = diagnosis.FixBy(out.Explanation, []diagnosis.Patch{retain(v)})
	}
	manifest := fmt.Sprintf(
		`{"apiVersion":"v1","kind":"PersistentVolumeClaim","metadata":{"name":%q,"namespace":%q},"spec":{%s"storageClassName":%q,"accessModes":[%s],"resources":{"requests":{"storage":%q}}}}`,
		c.Name, c.Namespace, named, class, strings.Join(modes, ","), size.String())
	out.Commands = append(out.Commands,
		diagnosis.Kubectl(f.NS(), "delete", "pvc", c.Name, "--wait", "--timeout=1m"), // what is still there when it is applied again would go after that
		"echo "+diagnosis.Quote(manifest)+" | "+diagnosis.Kubectl("", "apply", "-f", "-"))
	return out
}

// retain lets a volume stay with its data when its claim goes.
func retain(volume string) diagnosis.Patch {
	return diagnosis.Patch{
		Object: diagnosis.Object{APIVersion: "v1", Kind: "PersistentVolume", Name: volume}, Type: "merge",
		Body: `{"spec":{"persistentVolumeReclaimPolicy":"Retain"}}`,
	}
}
