// Package ingress finds Ingresses that lead nowhere: their Services do not exist or can't answer, or no controller serves
// them.
package ingress

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/kubebot/kubebot/internal/diagnosis"
	"github.com/kubebot/kubebot/internal/diagnosis/service"
)

// Detector finds wrong backends and classes.
var Detector = diagnosis.Detector{
	Name: "ingress", Doc: "Ingresses whose Service, port or class does not exist, or whose Service has nothing to send to",
	Detect: detect,
}

// backend is one backend with where it stands.
type backend struct {
	service *networkingv1.IngressServiceBackend
	field   string
	pointer string
	route   string
}

func detect(f *diagnosis.Facts) []diagnosis.Finding {
	if !f.Knows("Service") {
		return nil
	}
	var out []diagnosis.Finding
	for i := range f.Ingresses {
		in := &f.Ingresses[i]
		list := backends(in)
		if !concerns(f, in, list) {
			continue
		}
		for _, b := range list {
			if x, ok := check(f, in, b); ok {
				out = append(out, x)
			}
		}
		if f.Subject.Kind == "Ingress" {
			out = append(out, down(f, in, list)...)
		}
		if x, ok := class(f, in); ok {
			out = append(out, x)
		}
	}
	return out
}

func backends(in *networkingv1.Ingress) []backend {
	var out []backend
	if b := in.Spec.DefaultBackend; b != nil && b.Service != nil {
		out = append(out, backend{b.Service, "spec.defaultBackend.service", "/spec/defaultBackend/service", "everything else"})
	}
	for i, r := range in.Spec.Rules {
		if r.HTTP == nil {
			continue
		}
		for j, p := range r.HTTP.Paths {
			if p.Backend.Service != nil {
				out = append(out, backend{p.Backend.Service, fmt.Sprintf("spec.rules[%d].http.paths[%d].backend.service", i, j),
					fmt.Sprintf("/spec/rules/%d/http/paths/%d/backend/service", i, j), cmp.Or(r.Host+p.Path, "everything")})
			}
		}
	}
	return out
}

// concerns tells whether the Ingress leads to what was asked: it is the subject, or a backend of it leads there.
func concerns(f *diagnosis.Facts, in *networkingv1.Ingress, list []backend) bool {
	if f.Subject.Kind == "Ingress" {
		return f.Subject.Name == in.Name
	}
	return slices.ContainsFunc(list, func(b backend) bool { return service.Leads(f, b.service.Name) })
}

func object(in *networkingv1.Ingress) diagnosis.Object {
	return diagnosis.Object{APIVersion: "networking.k8s.io/v1", Kind: "Ingress", Namespace: in.Namespace, Name: in.Name}
}

func check(f *diagnosis.Facts, in *networkingv1.Ingress, b backend) (diagnosis.Finding, bool) {
	out := diagnosis.Finding{Kind: diagnosis.KindConfig, Object: object(in), Score: diagnosis.ScoreCertain}
	s := f.Service(b.service.Name)
	if s == nil {
		out.Field, out.Value = b.field+".name", b.service.Name
		out.Sentence = fmt.Sprintf("Service %s does not exist in namespace %s; Ingress %s sends %s to it", b.service.Name, in.Namespace, in.Name, b.route)
		out.Fix = diagnosis.Fix{Explanation: "Make the Service, or name one that exists.",
			Commands: []string{diagnosis.Kubectl(in.Namespace, "get", "services")}}
		if near := diagnosis.Near(b.service.Name, service.Names(f)); near != "" {
			out.Fix = diagnosis.FixBy(fmt.Sprintf("Make the Service, or name the like-named %s, which exists.", near),
				[]diagnosis.Patch{diagnosis.JSONPatch(object(in), diagnosis.Replace(b.pointer+"/name", b.service.Name, near)...)})
		}
		return out, true
	}
	port := b.service.Port
	if slices.ContainsFunc(s.Spec.Ports, func(p corev1.ServicePort) bool {
		return port.Name != "" && p.Name == port.Name || port.Name == "" && p.Port == port.Number
	}) || len(s.Spec.Ports) == 0 {
		return out, false
	}
	asked := port.Name
	if asked == "" {
		asked = fmt.Sprint(port.Number)
	}
	out.Field, out.Value = b.field+".port", asked
	out.Sentence = fmt.Sprintf("%s; Ingress %s sends %s to it", service.NoPort(s, asked), in.Name, b.route)
	same := diagnosis.Operation{Op: "test", Path: b.pointer + "/name", Value: s.Name} // or the place is another element's by then
	change := diagnosis.Replace(b.pointer+"/port", port, networkingv1.ServiceBackendPort{Number: s.Spec.Ports[0].Port})
	out.Fix = diagnosis.FixBy("Name a port that the Service has.",
		[]diagnosis.Patch{diagnosis.JSONPatch(object(in), append([]diagnosis.Operation{same}, change...)...)})
	return out, true
}

// down blames the Services that can't answer what the Ingress sends to them.
func down(f *diagnosis.Facts, in *networkingv1.Ingress, list []backend) []diagnosis.Finding {
	var out []diagnosis.Finding
	told := map[string]bool{}
	for _, b := range list {
		s := f.Service(b.service.Name)
		if s == nil || told[s.Name] {
			continue
		}
		told[s.Name] = true
		if why, down := service.Down(f, s); down {
			out = append(out, service.Blamed(s, fmt.Sprintf("Ingress %s sends %s to Service %s, which can't answer: %s", in.Name, b.route, s.Name, why)))
		}
	}
	return out
}

const (
	// classAnnotation named the class before there was a field for it.
	classAnnotation = "kubernetes.io/ingress.class"
	// served is how long a controller may take to say in the status where it serves an Ingress.
	served = 5 * time.Minute
)

// class finds an Ingress that no controller serves.
func class(f *diagnosis.Facts, in *networkingv1.Ingress) (diagnosis.Finding, bool) {
	if !f.Knows("IngressClass") {
		return diagnosis.Finding{}, false
	}
	var names []string
	for _, c := range f.IngressClasses {
		names = append(names, c.Name)
	}
	name := in.Spec.IngressClassName
	out := diagnosis.Finding{Kind: diagnosis.KindConfig, Object: object(in), Field: "spec.ingressClassName",
		Fix: diagnosis.Fix{Explanation: "Install the ingress controller, or name a class that exists.",
			Commands: []string{diagnosis.Kubectl("", "get", "ingressclasses")}}}
	switch {
	case name != nil && !slices.Contains(names, *name):
		out.Value, out.Score = *name, diagnosis.ScoreStrong
		out.Sentence = fmt.Sprintf("IngressClass %s does not exist, so no controller serves Ingress %s", *name, in.Name)
	case name == nil && unclaimed(f, in):
		out.Score = diagnosis.ScorePossible
		if f.Subject.Kind == "Ingress" {
			out.Score = diagnosis.ScoreLikely
		}
		out.Sentence = fmt.Sprintf(
			"Ingress %s names no class (spec.ingressClassName) and no IngressClass is the default, so no controller seems to serve it", in.Name)
		out.Evidence = []string{"its status.loadBalancer has no address"}
	default:
		return diagnosis.Finding{}, false
	}
	if len(names) == 1 {
		out.Fix = diagnosis.FixBy("Install the ingress controller, or name the class that exists.", []diagnosis.Patch{diagnosis.JSONPatch(object(in),
			diagnosis.Operation{Op: "add", Path: "/spec/ingressClassName", Value: names[0]})})
	}
	return out, true
}

// unclaimed tells whether an Ingress without a class has found no controller: some serve such ones too, and then say where.
func unclaimed(f *diagnosis.Facts, in *networkingv1.Ingress) bool {
	_, annotated := in.Annotations[classAnnotation]
	return !annotated && len(in.Status.LoadBalancer.Ingress) == 0 && f.Now.Sub(in.CreationTimestamp.Time) > served &&
		!slices.ContainsFunc(f.IngressClasses, func(c networkingv1.IngressClass) bool {
			return c.Annotations[networkingv1.AnnotationIsDefaultIngressClass] == "true"
		})
}
