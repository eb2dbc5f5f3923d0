// Package admission finds pods that an admission webhook or policy rejects, and webhooks that can't be reached.
package admission

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/kubebot/kubebot/internal/diagnosis"
)

// Detector finds rejections by admission.
var Detector = diagnosis.Detector{Name: "admission", Doc: "admission webhooks and policies that reject pods, or that can't be reached", Detect: detect}

// Messages have several lines: Kyverno and Gatekeeper write each violation on one of its own.
var (
	unreached = regexp.MustCompile(`(?s)failed calling webhook "([^"]+)": (.*)$`)
	webhook   = regexp.MustCompile(`(?s)https?://([a-z0-9-]+)\.([a-z0-9-]+)\.svc(?:\.[a-z.]+)?:(\d+)[^"]*"?: (.*)$`)
	untrusted = regexp.MustCompile(`x509: `)
	denied    = regexp.MustCompile(`(?s)admission webhook "([^"]+)" denied the request(?: without explanation)?:?(.*)$`)
	policy    = regexp.MustCompile(`(?s)ValidatingAdmissionPolicy '([^']+)'.*? denied request: (.*)$`)
	// preamble is how Kyverno begins: it names the pod, which is another each time.
	preamble = regexp.MustCompile(`^\s*resource \S+ was blocked due to the following policies\s*`)
)

// Reads tells whether the detector explains what is said of pods that can't be made.
func Reads(message string) bool {
	return unreached.MatchString(message) || denied.MatchString(message) || policy.MatchString(message)
}

func detect(f *diagnosis.Facts) []diagnosis.Finding {
	var out []diagnosis.Finding
	for _, e := range f.Creations() {
		base := diagnosis.Finding{Kind: diagnosis.KindConfig, Score: diagnosis.ScoreCertain, Evidence: []string{diagnosis.EventEvidence(&e)}}
		if m := unreached.FindStringSubmatch(e.Message); m != nil {
			out = appendNew(out, unreachable(f, base, m[1], m[2]))
		} else if m := denied.FindStringSubmatch(e.Message); m != nil {
			out = appendNew(out, refused(f, base, "Admission webhook "+m[1], m[2]))
		} else if m := policy.FindStringSubmatch(e.Message); m != nil {
			out = appendNew(out, refused(f, base, "ValidatingAdmissionPolicy "+m[1], m[2]))
		}
	}
	return out
}

// appendNew adds a finding unless a later event told of the same webhook or policy: messages name pods and addresses, so
// that the same trouble reads differently each time.
func appendNew(found []diagnosis.Finding, x diagnosis.Finding) []diagnosis.Finding {
	if slices.ContainsFunc(found, func(o diagnosis.Finding) bool { return o.Field == x.Field && o.Value == x.Value }) {
		return found
	}
	return append(found, x)
}

func unreachable(f *diagnosis.Facts, out diagnosis.Finding, name, why string) diagnosis.Finding {
	out.Kind = diagnosis.KindDependency
	out.Object = diagnosis.Object{APIVersion: "admissionregistration.k8s.io/v1", Kind: "WebhookConfiguration", Name: name}
	out.Field, out.Value = "webhooks["+name+"].clientConfig", name
	out.Fix = diagnosis.Fix{Explanation: "Bring the webhook's service up; if it is gone for good, delete its webhook configuration.",
		Commands: []string{diagnosis.Kubectl("", "get", "validatingwebhookconfigurations,mutatingwebhookconfigurations",
			"-o", "custom-columns=KIND:.kind,NAME:.metadata.name,WEBHOOKS:.webhooks[*].name")}}
	where := ""
	if m := webhook.FindStringSubmatch(why); m != nil {
		where = fmt.Sprintf(" at Service %s/%s port %s", m[2], m[1], m[3])
		why = m[4]
		out.Object = diagnosis.Object{APIVersion: "v1", Kind: "Service", Namespace: m[2], Name: m[1]}
		out.Fix.Commands = append([]string{
			diagnosis.Kubectl(m[2], "get", "service", m[1], "-o", "wide"),
			diagnosis.Kubectl(m[2], "get", "endpointslices", "-l", "kubernetes.io/service-name="+m[1]),
		}, out.Fix.Commands...)
	}
	if untrusted.MatchString(why) {
		return refusedCertificate(f, out, name, where, why)
	}
	out.Sentence = fmt.Sprintf("Admission webhook %s can't be reached%s (%s), so %s can't make its pods",
		name, where, diagnosis.Shorten(why, 160), f.Workload.Object)
	return out
}

// refusedCertificate is a webhook that answers, but with a certificate that the API server does not take.
func refusedCertificate(f *diagnosis.Facts, out diagnosis.Finding, name, where, why string) diagnosis.Finding {
	out.Kind = diagnosis.KindCertificate
	_, why, _ = strings.Cut(why, "x509: ")
	out.Sentence = fmt.Sprintf("The API server does not accept the certificate of admission webhook %s%s (%s), so %s can't make its pods",
		name, where, diagnosis.Shorten(why, 160), f.Workload.Object)
	out.Fix.Commands = out.Fix.Commands[len(out.Fix.Commands)-1:] // the webhook configurations
	switch {
	case strings.Contains(why, "expired or is not yet valid"):
		out.Fix.Explanation = "Renew the certificate of the webhook's service, and see why it was not renewed by itself."
	case strings.Contains(why, "certificate is valid for"), strings.Contains(why, "not valid for any names"), strings.Contains(why, "legacy Common Name"):
		out.Fix.Explanation = "Issue the webhook's service a certificate that has the name by which the API server calls it."
		if out.Object.Kind == "Service" {
			out.Fix.Explanation = strings.TrimSuffix(out.Fix.Explanation, ".") + fmt.Sprintf(": %s.%s.svc.", out.Object.Name, out.Object.Namespace)
		}
	default:
		out.Field += ".caBundle"
		out.Fix.Explanation = "Put the authority that issued the certificate of the webhook's service into caBundle of the webhook configuration. Where a controller does that, as cert-manager's CA injector, see what it logs."
	}
	return out
}

func refused(f *diagnosis.Facts, out diagnosis.Finding, who, why string) diagnosis.Finding {
	out.Object, out.Field, out.Value = f.Workload.Object, "spec.template", who
	if why = strings.TrimSpace(preamble.ReplaceAllString(why, "")); why == "" {
		why = "it gives no reason"
	}
	out.Sentence = strings.TrimSuffix(fmt.Sprintf("%s rejects the pods of %s: %s", who, f.Workload.Object, diagnosis.Shorten(why, 240)), ".")
	out.Fix = diagnosis.Fix{Explanation: "Change the pod template as the message asks.",
		Commands: []string{diagnosis.Kubectl(f.NS(), "edit", f.Workload.Arg())}}
	return out
}
