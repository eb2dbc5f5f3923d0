package image

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubebot/kubebot/internal/diagnosis"
)

// login is what a pod lacks to log in to a registry: the image pull secrets that the kubelet could not get.
type login struct {
	secrets  []string
	evidence string
}

var notRetrieved = regexp.MustCompile(`image pull secrets \(([^)]+)\)`)

// lately is how old the kubelet's word may be: it says it before every pull, and its limit of events lets one through
// every 5 minutes.
const lately = 15 * time.Minute

// missingLogin takes the word of any pod of the workload: what the pods' nodes ask for is one Secret.
func missingLogin(f *diagnosis.Facts, p *corev1.Pod) login {
	var out login
	for i := range f.Events {
		e := &f.Events[i]
		if e.Reason != "FailedToRetrieveImagePullSecret" || f.Pod(e.InvolvedObject.Name) == nil || f.Now.Sub(diagnosis.EventTime(e)) > lately {
			continue
		}
		m := notRetrieved.FindStringSubmatch(e.Message)
		if m == nil {
			continue
		}
		for _, name := range strings.Split(m[1], ", ") {
			own := slices.Contains(p.Spec.ImagePullSecrets, corev1.LocalObjectReference{Name: name})
			if own && !slices.Contains(out.secrets, name) {
				out.secrets, out.evidence = append(out.secrets, name), diagnosis.EventEvidence(e)
			}
		}
	}
	return out
}

// explain says that the registry refuses access for want of the pull secret. Where the pod has others too, the missing one
// may be for another registry.
func (l login) explain(f *diagnosis.Facts, c diagnosis.Container, out diagnosis.Finding) diagnosis.Finding {
	registry, names := host(c.Spec.Image), strings.Join(l.secrets, ", ")
	out.Kind, out.Field, out.Value, out.Score = diagnosis.KindConfig, "imagePullSecrets", names, diagnosis.ScoreStrong
	if len(l.secrets) < len(c.Pod.Spec.ImagePullSecrets) {
		out.Score = diagnosis.ScoreLikely
	}
	out.Sentence = fmt.Sprintf("Image pull secret %s does not exist in namespace %s, and without it registry %s refuses image %s; %s of %s uses the image",
		names, f.NS(), registry, c.Spec.Image, c.Noun(), out.Object)
	out.Evidence = append(out.Evidence, l.evidence)
	if undo := l.undo(f); len(undo) > 0 {
		out.Fix = diagnosis.Fix{
			Explanation: "Make the Secret with a login for the registry, or go back to an earlier revision, which did not need it.",
			Commands:    undo,
		}
		return out
	}
	out.Fix = diagnosis.Fix{
		Explanation: "Make the Secret with a login for the registry; the kubelet then pulls the image by itself. USER and PASSWORD stand for the login.",
	}
	for _, name := range l.secrets {
		args := []string{"create", "secret", "docker-registry", name, "--docker-username=USER", "--docker-password=PASSWORD"}
		if registry != "docker.io" { // kubectl's default has another name
			args = append(args, "--docker-server="+registry)
		}
		out.Fix.Commands = append(out.Fix.Commands, diagnosis.Kubectl(f.NS(), args...))
	}
	return out
}

// undo goes back to the revision before where it was the present one's template that brought the secret in. A template that
// names none gets those of its ServiceAccount, in either revision.
func (l login) undo(f *diagnosis.Facts) []string {
	if !l.in(f.Workload.Template.Spec.ImagePullSecrets) {
		return nil
	}
	return f.Undo(func(old *corev1.PodSpec) bool {
		refs := old.ImagePullSecrets
		if account := f.ServiceAccount(cmp.Or(old.ServiceAccountName, "default")); len(refs) == 0 && account != nil {
			refs = account.ImagePullSecrets
		}
		return !l.in(refs)
	})
}

// in tells whether one of the secrets is among those that a pod or a ServiceAccount names.
func (l login) in(refs []corev1.LocalObjectReference) bool {
	return slices.ContainsFunc(refs, func(r corev1.LocalObjectReference) bool { return slices.Contains(l.secrets, r.Name) })
}
