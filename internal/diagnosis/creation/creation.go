// Package creation finds pods that can't be made for a reason that no other detector reads: it gives the controller's words.
package creation

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubebot/kubebot/internal/diagnosis"
	"github.com/kubebot/kubebot/internal/diagnosis/admission"
	"github.com/kubebot/kubebot/internal/diagnosis/missingref"
	"github.com/kubebot/kubebot/internal/diagnosis/podsecurity"
	"github.com/kubebot/kubebot/internal/diagnosis/quota"
)

// Detector finds refusals that nothing else explains.
var Detector = diagnosis.Detector{
	Name: "creation", Doc: "pods that can't be made for another reason than admission, quotas, Pod Security and missing accounts",
	Detect: detect,
}

var (
	// attempt is what controllers put before what the API server answers, with the names of pods and claims.
	attempt = regexp.MustCompile(
		`^(?:Error creating(?: job)?: |(?i:create) \S+ \S+ (?:for Pod \S+ )?in StatefulSet \S+ failed error: |\[?failed to create PVC \S+: )+`)
	// refusal is how the API server says no to an object, which it names.
	refusal = regexp.MustCompile(`(?s)^[a-zA-Z.]+(?: "[^"]*")? is (forbidden|invalid): (.*)$`)
)

func detect(f *diagnosis.Facts) []diagnosis.Finding {
	var out []diagnosis.Finding
	told := map[string]bool{}
	for _, e := range f.Creations() {
		maker := e.InvolvedObject.Kind + " " + e.InvolvedObject.Name
		if told[maker] {
			continue // the newest event of each tells what is so now
		}
		told[maker] = true
		if !explained(f, &e) && !passing(f, &e) {
			out = append(out, explain(f, &e))
		}
	}
	return out
}

// explained tells whether another detector reads the event.
func explained(f *diagnosis.Facts, e *corev1.Event) bool {
	return admission.Reads(e.Message) || missingref.Reads(f, e.Message) || podsecurity.Reads(e.Message) || quota.Reads(f, e)
}

// passing tells that the API server did not refuse the object, and that it made a pod since: in the same second, as the
// controllers try again at once.
func passing(f *diagnosis.Facts, e *corev1.Event) bool {
	return !refusal.MatchString(attempt.ReplaceAllString(e.Message, "")) && slices.ContainsFunc(f.Pods, func(p corev1.Pod) bool {
		o := metav1.GetControllerOfNoCopy(&p)
		return o != nil && o.Kind == e.InvolvedObject.Kind && o.Name == e.InvolvedObject.Name &&
			!p.CreationTimestamp.Time.Before(diagnosis.EventTime(e).Truncate(time.Second))
	})
}

func explain(f *diagnosis.Facts, e *corev1.Event) diagnosis.Finding {
	out := diagnosis.Finding{
		Kind: diagnosis.KindConfig, Object: f.Workload.Object, Field: "spec.template", Score: diagnosis.ScoreStrong,
		Evidence: []string{diagnosis.EventEvidence(e)},
		Fix: diagnosis.Fix{Explanation: "Change what the message names, or allow it.",
			Commands: []string{diagnosis.Kubectl(f.NS(), "describe", f.Workload.Arg())}},
	}
	what, then := "pods", ""
	message, _, _ := strings.Cut(attempt.ReplaceAllString(e.Message, ""), ", failed to create PVC ") // the first of several
	switch {
	case e.InvolvedObject.Kind == "CronJob":
		what, out.Field = "Jobs", "spec.jobTemplate"
	case strings.HasPrefix(message, "persistentvolumeclaims "), strings.HasPrefix(message, "PersistentVolumeClaim "):
		what, out.Field = "claims", "spec.volumeClaimTemplates"
	}
	switch m := refusal.FindStringSubmatch(message); {
	case m == nil:
		out.Kind, out.Score, out.Field = diagnosis.KindUnknown, diagnosis.ScoreLikely, "" // the API server may only be busy
		out.Fix.Explanation = "See whether the message is still new; if it is, change what it names."
	case m[1] == "forbidden":
		then, message = ", because the API server forbids it", m[2]
	default:
		then, message = ", because they are invalid", m[2]
		out.Fix.Explanation = "Change what the message names."
		if what == "pods" {
			out.Fix.Explanation += " It is of the pod as it would be made: a LimitRange's defaults or an admission webhook may have put it there."
		}
	}
	out.Sentence = fmt.Sprintf("%s can't make its %s%s: %s",
		f.Workload.Object, what, then, strings.TrimRight(diagnosis.Shorten(message, 240), ". "))
	return out
}
