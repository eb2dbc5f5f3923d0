// Package gateway finds routes and Gateways of the Gateway API that lead nowhere: what they refer to does not exist, or
// their controller says in a condition that it can't serve them.
package gateway

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubebot/kubebot/internal/diagnosis"
	"github.com/kubebot/kubebot/internal/diagnosis/service"
)

// Detector finds wrong routes and Gateways.
var Detector = diagnosis.Detector{
	Name: "gateway", Doc: "routes of the Gateway API whose Gateway, Service or port does not exist, and what controllers refuse",
	Detect: detect,
}

// pending is how long a controller may take to look at what is new.
const pending = time.Minute

// Reasons of conditions that have a sentence of their own, as the Gateway API defines them.
const (
	notAllowed      = "NotAllowedByListeners"
	noHostname      = "NoMatchingListenerHostname"
	noParent        = "NoMatchingParent"
	backendNotFound = "BackendNotFound"
	notPermitted    = "RefNotPermitted"
	invalidCert     = "InvalidCertificateRef"
	isPending       = "Pending"
	noAddress       = "AddressNotAssigned"
	notValid        = "ListenersNotValid"
)

func detect(f *diagnosis.Facts) []diagnosis.Finding {
	var out []diagnosis.Finding
	for i := range f.Gateways {
		g := &f.Gateways[i]
		routes := attached(f, g)
		if asked := f.Subject.Kind == "Gateway" && g.Name == f.Subject.Name && g.Namespace == f.NS(); asked || len(routes) > 0 {
			out = append(out, gateway(f, g, routes)...)
		}
	}
	for i := range f.Routes {
		if r := &f.Routes[i]; concerns(f, r) {
			out = append(out, parents(f, r)...)
			out = append(out, backends(f, r)...)
			out = append(out, conditions(f, r)...)
		}
	}
	return out
}

// concerns tells whether the route leads to what was asked: it is the subject, it attaches to the Gateway that is, or a
// backend of it leads there.
func concerns(f *diagnosis.Facts, r *diagnosis.Route) bool {
	switch f.Subject.Kind {
	case "HTTPRoute", "GRPCRoute":
		return f.Subject.Kind == r.Kind && f.Subject.Name == r.Name
	case "Gateway":
		return slices.ContainsFunc(r.Spec.ParentRefs, func(p diagnosis.ParentRef) bool {
			ns, name, ok := p.Gateway(r.Namespace)
			return ok && ns == f.NS() && name == f.Subject.Name
		})
	}
	return slices.ContainsFunc(services(r), func(b backend) bool { return b.namespace == r.Namespace && service.Leads(f, b.name) })
}

// attached are the routes that concern what was asked and name the Gateway.
func attached(f *diagnosis.Facts, g *diagnosis.Gateway) []*diagnosis.Route {
	var out []*diagnosis.Route
	for i := range f.Routes {
		r := &f.Routes[i]
		if concerns(f, r) && slices.ContainsFunc(r.Spec.ParentRefs, func(p diagnosis.ParentRef) bool { return names(p, r, g) }) {
			out = append(out, r)
		}
	}
	return out
}

// names tells whether a reference of a route names the Gateway.
func names(p diagnosis.ParentRef, r *diagnosis.Route, g *diagnosis.Gateway) bool {
	ns, name, ok := p.Gateway(r.Namespace)
	return ok && ns == g.Namespace && name == g.Name
}

func object(r *diagnosis.Route) diagnosis.Object {
	return diagnosis.Object{APIVersion: r.APIVersion, Kind: r.Kind, Namespace: r.Namespace, Name: r.Name}
}

func objectOf(g *diagnosis.Gateway) diagnosis.Object {
	return diagnosis.Object{APIVersion: g.APIVersion, Kind: "Gateway", Namespace: g.Namespace, Name: g.Name}
}

// show prints a Gateway; its full name, for others have a kind of that name too.
func show(namespace, name string) string {
	return diagnosis.Kubectl(namespace, "get", "gateways."+diagnosis.GatewayGroup, name, "-o", "yaml")
}

// in names a Gateway as seen from a route's namespace.
func in(namespace, name, from string) string {
	if namespace == from {
		return "Gateway " + name
	}
	return fmt.Sprintf("Gateway %s of namespace %s", name, namespace)
}

// parents finds references to Gateways that do not exist.
func parents(f *diagnosis.Facts, r *diagnosis.Route) []diagnosis.Finding {
	var out []diagnosis.Finding
	for i, p := range r.Spec.ParentRefs {
		ns, name, ok := p.Gateway(r.Namespace)
		if !ok || !missing(f, ns, name) {
			continue
		}
		x := diagnosis.Finding{
			Kind: diagnosis.KindConfig, Object: object(r), Field: fmt.Sprintf("spec.parentRefs[%d].name", i), Value: name, Score: diagnosis.ScoreCertain,
			Sentence: fmt.Sprintf("Gateway %s does not exist in namespace %s; %s attaches to it (spec.parentRefs[%d])", name, ns, object(r), i),
			Fix: diagnosis.Fix{Explanation: "Make the Gateway, or name one that exists; one of another namespace needs parentRefs.namespace.",
				Commands: []string{diagnosis.Kubectl("", "get", "gateways."+diagnosis.GatewayGroup, "--all-namespaces")}},
		}
		if near := diagnosis.Near(name, gatewaysOf(f, ns)); near != "" {
			x.Fix = diagnosis.FixBy(fmt.Sprintf("Make the Gateway, or name the like-named %s, which exists.", near),
				[]diagnosis.Patch{diagnosis.JSONPatch(object(r), diagnosis.Replace(fmt.Sprintf("/spec/parentRefs/%d/name", i), name, near)...)})
		}
		out = append(out, x)
	}
	return out
}

// missing tells whether a Gateway is known not to exist.
func missing(f *diagnosis.Facts, namespace, name string) bool {
	return f.Gateway(namespace, name) == nil && f.KnowsObject(diagnosis.Object{Kind: "Gateway", Namespace: namespace, Name: name})
}

func gatewaysOf(f *diagnosis.Facts, namespace string) []string {
	var out []string
	for _, g := range f.Gateways {
		if g.Namespace == namespace {
			out = append(out, g.Name)
		}
	}
	return out
}

// backend is a Service that a rule of a route sends calls to, with where that stands.
type backend struct {
	namespace, name string
	port            *int32
	field, pointer  string
}

func services(r *diagnosis.Route) []backend {
	var out []backend
	for i, rule := range r.Spec.Rules {
		for j, b := range rule.BackendRefs {
			if ns, name, ok := b.Service(r.Namespace); ok {
				out = append(out, backend{ns, name, b.Port, fmt.Sprintf("spec.rules[%d].backendRefs[%d]", i, j),
					fmt.Sprintf("/spec/rules/%d/backendRefs/%d", i, j)})
			}
		}
	}
	return out
}

// backends finds Services and ports that do not exist, and, where the route was asked about, Services that can't answer.
func backends(f *diagnosis.Facts, r *diagnosis.Route) []diagnosis.Finding {
	var out []diagnosis.Finding
	told := map[string]bool{}
	for _, b := range services(r) {
		if b.namespace != r.Namespace || !f.Knows("Service") {
			continue
		}
		s := f.Service(b.name)
		if s == nil {
			out = append(out, noService(f, r, b))
			continue
		}
		if b.port != nil && len(s.Spec.Ports) > 0 && !slices.ContainsFunc(s.Spec.Ports, func(p corev1.ServicePort) bool { return p.Port == *b.port }) {
			out = append(out, noPort(r, b, s))
		}
		if why, down := service.Down(f, s); down && f.Subject.Kind == r.Kind && !told[s.Name] {
			told[s.Name] = true
			out = append(out, service.Blamed(s, fmt.Sprintf("%s sends calls to Service %s, which can't answer: %s", object(r), s.Name, why)))
		}
	}
	return out
}

func noService(f *diagnosis.Facts, r *diagnosis.Route, b backend) diagnosis.Finding {
	out := diagnosis.Finding{
		Kind: diagnosis.KindConfig, Object: object(r), Field: b.field + ".name", Value: b.name, Score: diagnosis.ScoreCertain,
		Sentence: fmt.Sprintf("Service %s does not exist in namespace %s; %s sends calls to it (%s)", b.name, b.namespace, object(r), b.field),
		Fix: diagnosis.Fix{Explanation: "Make the Service, or name one that exists.",
			Commands: []string{diagnosis.Kubectl(b.namespace, "get", "services")}},
	}
	if near := diagnosis.Near(b.name, service.Names(f)); near != "" {
		out.Fix = diagnosis.FixBy(fmt.Sprintf("Make the Service, or name the like-named %s, which exists.", near),
			[]diagnosis.Patch{diagnosis.JSONPatch(object(r), diagnosis.Replace(b.pointer+"/name", b.name, near)...)})
	}
	return out
}

func noPort(r *diagnosis.Route, b backend, s *corev1.Service) diagnosis.Finding {
	var has []string
	for _, p := range s.Spec.Ports {
		has = append(has, fmt.Sprint(p.Port))
	}
	same := diagnosis.Operation{Op: "test", Path: b.pointer + "/name", Value: b.name}
	return diagnosis.Finding{
		Kind: diagnosis.KindConfig, Object: object(r), Field: b.field + ".port", Value: fmt.Sprint(*b.port), Score: diagnosis.ScoreCertain,
		Sentence: fmt.Sprintf("Service %s has no port %d, it has %s; %s sends calls to it (%s)", s.Name, *b.port, strings.Join(has, ", "), object(r), b.field),
		Fix: diagnosis.FixBy("Name a port that the Service has.", []diagnosis.Patch{diagnosis.JSONPatch(object(r),
			append([]diagnosis.Operation{same}, diagnosis.Replace(b.pointer+"/port", *b.port, s.Spec.Ports[0].Port)...)...)}),
	}
}

// refused are the conditions by which a controller refuses the present generation of an object.
func refused(f *diagnosis.Facts, m metav1.ObjectMeta, list []metav1.Condition) []metav1.Condition {
	var out []metav1.Condition
	for _, c := range list {
		bad := c.Status == metav1.ConditionFalse && (c.Type == "Accepted" || c.Type == "ResolvedRefs" || c.Type == "Programmed") ||
			c.Status == metav1.ConditionTrue && c.Type == "Conflicted"
		early := c.Reason == isPending && f.Now.Sub(c.LastTransitionTime.Time) < pending
		if bad && !early && present(m, c) {
			out = append(out, c)
		}
	}
	return out
}

// present tells whether a condition is about the present generation of an object.
func present(m metav1.ObjectMeta, c metav1.Condition) bool {
	return c.ObservedGeneration == 0 || c.ObservedGeneration >= m.Generation
}

// says is a condition as evidence.
func says(of string, c metav1.Condition) string {
	return fmt.Sprintf("condition %s of %s is %s (%s): %s", c.Type, of, c.Status, c.Reason, diagnosis.Shorten(c.Message, 300))
}

// message is what a controller says, as the end of a sentence.
func message(c metav1.Condition) string {
	return strings.TrimRight(diagnosis.Shorten(cmp.Or(c.Message, c.Reason), 240), ".")
}

// conditions finds what controllers say against a route.
func conditions(f *diagnosis.Facts, r *diagnosis.Route) []diagnosis.Finding {
	var out []diagnosis.Finding
	for at, status := range r.Status.Parents {
		i := slices.IndexFunc(r.Spec.ParentRefs, func(p diagnosis.ParentRef) bool { return p.Same(status.ParentRef, r.Namespace) })
		if i < 0 {
			continue // it attaches to something else by now
		}
		for _, c := range refused(f, r.ObjectMeta, status.Conditions) {
			if overruled(r, at, c) {
				continue
			}
			if x, ok := condition(f, r, i, c); ok {
				x.Kind, x.Score, x.Evidence = diagnosis.KindConfig, diagnosis.ScoreCertain, append(x.Evidence, says(object(r).String(), c))
				out = append(out, x)
			}
		}
	}
	return out
}

// overruled tells whether a condition of a parent's status is of a former controller: what that wrote stays when another
// takes up the parent, and the later word counts.
func overruled(r *diagnosis.Route, at int, c metav1.Condition) bool {
	return slices.ContainsFunc(slices.Delete(slices.Clone(r.Status.Parents), at, at+1), func(o diagnosis.RouteParent) bool {
		return o.ParentRef.Same(r.Status.Parents[at].ParentRef, r.Namespace) &&
			holds(r.ObjectMeta, o.Conditions, "Accepted", time.Time{}) && holds(r.ObjectMeta, o.Conditions, c.Type, c.LastTransitionTime.Time)
	})
}

// holds tells whether a condition is true of the present generation of an object, and became so at a time or later.
func holds(m metav1.ObjectMeta, list []metav1.Condition, kind string, since time.Time) bool {
	return slices.ContainsFunc(list, func(c metav1.Condition) bool {
		return c.Type == kind && c.Status == metav1.ConditionTrue && present(m, c) && !c.LastTransitionTime.Time.Before(since)
	})
}

// condition says what is refused of a route by the parent of the index.
func condition(f *diagnosis.Facts, r *diagnosis.Route, i int, c metav1.Condition) (diagnosis.Finding, bool) {
	p := r.Spec.ParentRefs[i]
	ns, name, ok := p.Gateway(r.Namespace)
	parent := in(ns, name, r.Namespace)
	if !ok && p.Kind != nil {
		parent = *p.Kind + " " + name
	}
	out := diagnosis.Finding{Object: object(r), Field: fmt.Sprintf("spec.parentRefs[%d]", i), Value: name,
		Fix: diagnosis.Fix{Explanation: "Mend what the message names.",
			Commands: []string{diagnosis.Kubectl(r.Namespace, "get", object(r).Arg(), "-o", "yaml")}}}
	switch c.Reason {
	case notAllowed:
		return shut(f, r, p), true
	case noHostname:
		out.Field, out.Value = "spec.hostnames", strings.Join(r.Spec.Hostnames, ", ")
		out.Sentence = fmt.Sprintf("No listener of %s takes a hostname of %s (spec.hostnames: %s)", parent, object(r), out.Value)
		out.Evidence = hostnames(f.Gateway(ns, name))
		out.Fix = diagnosis.Fix{Explanation: "Give the route a hostname that a listener takes, or the Gateway a listener for it.",
			Commands: []string{show(ns, name)}}
	case noParent:
		if !ok || missing(f, ns, name) {
			return out, false // that it does not exist is said already
		}
		out.Sentence = fmt.Sprintf("%s has no listener that %s names (%s)", parent, object(r), section(p, i))
		out.Evidence = hostnames(f.Gateway(ns, name))
		out.Fix = diagnosis.Fix{Explanation: "Name a listener that the Gateway has, or none to attach to all.", Commands: []string{show(ns, name)}}
	case backendNotFound:
		if slices.ContainsFunc(backends(f, r), func(x diagnosis.Finding) bool { return x.Object == out.Object }) {
			return out, false // which one, is said already
		}
		out.Field, out.Value = "spec.rules.backendRefs", ""
		out.Sentence = fmt.Sprintf("A backend of %s does not exist (spec.rules.backendRefs): %s", object(r), message(c))
	case notPermitted:
		out.Field, out.Value = "spec.rules.backendRefs", strings.Join(foreign(r), ", ")
		out.Sentence = fmt.Sprintf(
			"%s may not refer to a backend of another namespace (spec.rules.backendRefs), because no ReferenceGrant there allows it: %s",
			object(r), message(c))
		out.Fix.Explanation = "Make a ReferenceGrant in the backend's namespace that allows it, or move the route there."
	default:
		out.Sentence = fmt.Sprintf("%s refuses %s (spec.parentRefs[%d]; condition %s is %s): %s", parent, object(r), i, c.Type, c.Status, message(c))
		if c.Type == "ResolvedRefs" {
			out.Field, out.Value = "spec.rules.backendRefs", ""
			out.Sentence = fmt.Sprintf("%s refers to what its controller can't use (spec.rules.backendRefs; condition ResolvedRefs is False): %s",
				object(r), message(c))
		}
	}
	return out, true
}

// section is the part of a Gateway that a reference names.
func section(p diagnosis.ParentRef, i int) string {
	var parts []string
	if p.SectionName != nil {
		parts = append(parts, fmt.Sprintf("spec.parentRefs[%d].sectionName: %s", i, *p.SectionName))
	}
	if p.Port != nil {
		parts = append(parts, fmt.Sprintf("spec.parentRefs[%d].port: %d", i, *p.Port))
	}
	return cmp.Or(strings.Join(parts, ", "), fmt.Sprintf("spec.parentRefs[%d]", i))
}

// foreign are the Services of other namespaces that a route sends calls to.
func foreign(r *diagnosis.Route) []string {
	var out []string
	for _, b := range services(r) {
		if b.namespace != r.Namespace {
			out = append(out, b.namespace+"/"+b.name)
		}
	}
	return out
}

// shut is for a route that no listener of its Gateway lets in.
func shut(f *diagnosis.Facts, r *diagnosis.Route, p diagnosis.ParentRef) diagnosis.Finding {
	ns, name, _ := p.Gateway(r.Namespace)
	out := diagnosis.Finding{
		Object: diagnosis.Object{APIVersion: r.APIVersion, Kind: "Gateway", Namespace: ns, Name: name}, Field: "spec.listeners.allowedRoutes",
		Sentence: fmt.Sprintf("%s lets no route like %s of namespace %s attach (spec.listeners.allowedRoutes)",
			in(ns, name, r.Namespace), object(r), r.Namespace),
		Fix: diagnosis.Fix{
			Explanation: "Let the listener allow routes of that namespace and kind, if they are to be served there, or attach the route to another Gateway.",
			Commands:    []string{show(ns, name)},
		},
	}
	g := f.Gateway(ns, name)
	if g == nil {
		return out
	}
	var from []string
	for _, l := range g.Spec.Listeners {
		if p.SectionName != nil && l.Name != *p.SectionName {
			continue
		}
		from = append(from, l.From())
		out.Evidence = append(out.Evidence, fmt.Sprintf("listener %s allows routes of namespaces from: %s%s", l.Name, l.From(), labelsOf(l)))
	}
	slices.Sort(from)
	out.Value = strings.Join(slices.Compact(from), ", ")
	return out
}

// labelsOf are the labels of the namespaces whose routes a listener allows.
func labelsOf(l diagnosis.Listener) string {
	if l.From() != "Selector" {
		return ""
	}
	return " " + metav1.FormatLabelSelector(l.AllowedRoutes.Namespaces.Selector)
}

// hostnames are the listeners of a Gateway as evidence.
func hostnames(g *diagnosis.Gateway) []string {
	if g == nil {
		return nil
	}
	var out []string
	for _, l := range g.Spec.Listeners {
		out = append(out, fmt.Sprintf("listener %s has port %d and hostname %s", l.Name, l.Port, cmp.Or(l.Hostname, "*")))
	}
	return out
}
