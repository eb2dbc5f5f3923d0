package gateway

import (
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubebot/kubebot/internal/diagnosis"
)

// withoutAddress is the score of a Gateway without an address for what is behind it: where nothing gives addresses to Services
// that ask for one, it is reached in another way.
const withoutAddress = 0.4

// gateway finds what a controller says against a Gateway and those of its listeners that the routes use; all listeners
// where there is no route.
func gateway(f *diagnosis.Facts, g *diagnosis.Gateway, routes []*diagnosis.Route) []diagnosis.Finding {
	var out []diagnosis.Finding
	for i, l := range g.Spec.Listeners {
		if f.Subject.Kind != "Gateway" && !slices.ContainsFunc(routes, func(r *diagnosis.Route) bool { return uses(r, g, l) }) {
			continue
		}
		at := slices.IndexFunc(g.Status.Listeners, func(s diagnosis.ListenerStatus) bool { return s.Name == l.Name })
		if at < 0 {
			continue
		}
		out = append(out, listener(f, g, i, g.Status.Listeners[at].Conditions)...)
	}
	if x, ok := unclaimed(f, g); ok {
		return append(out, x)
	}
	for _, c := range refused(f, g.ObjectMeta, g.Status.Conditions) {
		shut := slices.ContainsFunc(out, func(x diagnosis.Finding) bool { return x.Score == diagnosis.ScoreCertain })
		if shut || c.Reason == notValid && (len(out) > 0 || f.Subject.Kind != "Gateway") {
			break // that of a listener says more, and what follows from it is no news
		}
		x := finding(g, "status.conditions", c.Reason, says(objectOf(g).String(), c),
			fmt.Sprintf("The controller of %s can't serve it (condition %s is %s): %s", in(g.Namespace, g.Name, f.NS()), c.Type, c.Status, message(c)))
		if c.Reason == noAddress && f.Subject.Kind != "Gateway" {
			x.Score = withoutAddress
		}
		out = append(out, x)
	}
	return out
}

func finding(g *diagnosis.Gateway, field, value, evidence, sentence string) diagnosis.Finding {
	return diagnosis.Finding{
		Kind: diagnosis.KindConfig, Object: objectOf(g), Field: field, Value: value, Score: diagnosis.ScoreCertain, Sentence: sentence,
		Evidence: []string{evidence},
		Fix:      diagnosis.Fix{Explanation: "Mend what the message names.", Commands: []string{show(g.Namespace, g.Name)}},
	}
}

// unclaimed is for a Gateway that no controller has looked at: its condition is the one that the API server gives to a new
// one.
func unclaimed(f *diagnosis.Facts, g *diagnosis.Gateway) (diagnosis.Finding, bool) {
	i := slices.IndexFunc(g.Status.Conditions, func(c metav1.Condition) bool { return c.Type == "Accepted" })
	if i < 0 || g.Status.Conditions[i].Status != metav1.ConditionUnknown || f.Now.Sub(g.CreationTimestamp.Time) < pending {
		return diagnosis.Finding{}, false
	}
	class := g.Spec.GatewayClassName
	out := finding(g, "spec.gatewayClassName", class, says(objectOf(g).String(), g.Status.Conditions[i]),
		fmt.Sprintf("No controller has taken up %s (spec.gatewayClassName: %s)", in(g.Namespace, g.Name, f.NS()), class))
	out.Score = diagnosis.ScoreStrong
	out.Fix = diagnosis.Fix{Explanation: "See whether the GatewayClass exists, and whether its controller runs.",
		Commands: []string{diagnosis.Kubectl("", "get", "gatewayclasses."+diagnosis.GatewayGroup)}}
	return out, true
}

// uses tells whether a route may attach to a listener of the Gateway.
func uses(r *diagnosis.Route, g *diagnosis.Gateway, l diagnosis.Listener) bool {
	return slices.ContainsFunc(r.Spec.ParentRefs, func(p diagnosis.ParentRef) bool {
		return names(p, r, g) && (p.SectionName == nil || *p.SectionName == l.Name) && (p.Port == nil || *p.Port == l.Port)
	}) && (l.Hostname == "" || len(r.Spec.Hostnames) == 0 || slices.ContainsFunc(r.Spec.Hostnames, func(h string) bool { return meet(h, l.Hostname) }))
}

// meet tells whether two hostnames, which may begin with a wildcard label, have a name in common.
func meet(a, b string) bool {
	restA, wildA := strings.CutPrefix(a, "*")
	restB, wildB := strings.CutPrefix(b, "*")
	switch {
	case wildA && wildB:
		return strings.HasSuffix(restA, restB) || strings.HasSuffix(restB, restA)
	case wildA:
		return strings.HasSuffix(b, restA)
	case wildB:
		return strings.HasSuffix(a, restB)
	}
	return a == b
}

// listener says what is refused of one listener. That it is not programmed follows from what else is refused; one that is
// programmed serves calls all the same, but for what is refused.
func listener(f *diagnosis.Facts, g *diagnosis.Gateway, i int, conditions []metav1.Condition) []diagnosis.Finding {
	list := refused(f, g.ObjectMeta, conditions)
	if slices.ContainsFunc(list, func(c metav1.Condition) bool { return c.Type != "Programmed" }) {
		list = slices.DeleteFunc(list, func(c metav1.Condition) bool { return c.Type == "Programmed" })
	}
	serves := holds(g.ObjectMeta, conditions, "Programmed", time.Time{})
	var out []diagnosis.Finding
	for _, c := range list {
		x := unserved(f, g, i, c, serves)
		if serves {
			x.Score = diagnosis.ScoreLikely
		}
		out = append(out, x)
	}
	return out
}

// unserved says what a condition refuses of a listener that serves calls in part, or none.
func unserved(f *diagnosis.Facts, g *diagnosis.Gateway, i int, c metav1.Condition, serves bool) diagnosis.Finding {
	l, field := g.Spec.Listeners[i], fmt.Sprintf("spec.listeners[%d]", i)
	subject, effect := fmt.Sprintf("Listener %s of %s", l.Name, in(g.Namespace, g.Name, f.NS())), "can't be served"
	if serves {
		effect = "is served only in part"
	}
	out := finding(g, field, l.Name, says("listener "+l.Name, c),
		fmt.Sprintf("%s %s (%s; condition %s is %s): %s", subject, effect, field, c.Type, c.Status, message(c)))
	certs := certificates(g, l)
	if len(certs) == 0 || c.Reason != invalidCert && c.Reason != notPermitted {
		return out
	}
	which := "Secret " + certs[0]
	if len(certs) > 1 {
		which = "one of the Secrets " + strings.Join(certs, ", ")
	}
	out.Field, out.Value = field+".tls.certificateRefs", strings.Join(certs, ", ")
	if c.Reason == notPermitted {
		out.Sentence = fmt.Sprintf("%s may not use %s, as no ReferenceGrant in its namespace allows it, and %s (%s): %s",
			subject, which, effect, out.Field, message(c))
		out.Fix.Explanation = "Make a ReferenceGrant in the Secret's namespace that allows it, or a Secret in the Gateway's."
		return out
	}
	if len(l.TLS.CertificateRefs) == 1 && !serves {
		effect = "has no certificate"
	}
	out.Kind = diagnosis.KindCertificate
	out.Sentence = fmt.Sprintf("%s %s, because %s does not exist or holds no certificate (%s): %s", subject, effect, which, out.Field, message(c))
	out.Fix = certificate(g, l)
	return out
}

// certificates are the Secrets that a listener names, those of other namespaces with their namespace.
func certificates(g *diagnosis.Gateway, l diagnosis.Listener) []string {
	if l.TLS == nil {
		return nil
	}
	var out []string
	for _, c := range l.TLS.CertificateRefs {
		switch {
		case c.Kind != nil && *c.Kind != "Secret":
		case c.Namespace != nil && *c.Namespace != g.Namespace:
			out = append(out, *c.Namespace+"/"+c.Name)
		default:
			out = append(out, c.Name)
		}
	}
	return out
}

// certificate makes the Secret of a listener that has but one.
func certificate(g *diagnosis.Gateway, l diagnosis.Listener) diagnosis.Fix {
	out := diagnosis.Fix{Explanation: "Make the Secret with the certificate and its key, or name one that exists.",
		Commands: []string{show(g.Namespace, g.Name)}}
	if refs := l.TLS.CertificateRefs; len(refs) == 1 {
		namespace := g.Namespace
		if refs[0].Namespace != nil {
			namespace = *refs[0].Namespace
		}
		out.Explanation = "Make the Secret, or fill the one that is there, or name another. CERT and KEY stand for the files of the certificate and its key."
		out.Commands = []string{diagnosis.Kubectl(namespace, "create", "secret", "tls", refs[0].Name,
			"--cert=CERT", "--key=KEY", "--dry-run=client", "-o", "yaml") +
			" | " + diagnosis.Kubectl(namespace, "apply", "-f", "-")} // create alone refuses where the Secret is there and holds none
	}
	return out
}
