package diagnosis

import (
	"cmp"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"
)

// The kinds of the Gateway API, with what detectors look at. A cluster need not have them.

// GatewayGroup is their group.
const GatewayGroup = "gateway.networking.k8s.io"

// Route is an HTTPRoute or GRPCRoute.
type Route struct {
	// Live is the object as it was read, with what this type leaves out; secrets in it are not masked.
	Live              runtime.Object `json:"-"`
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              RouteSpec   `json:"spec"`
	Status            RouteStatus `json:"status"`
}

// RouteSpec says what is sent where.
type RouteSpec struct {
	ParentRefs []ParentRef `json:"parentRefs"`
	Hostnames  []string    `json:"hostnames"`
	Rules      []RouteRule `json:"rules"`
}

// ParentRef names what a route attaches to: a Gateway, where nothing else is said.
type ParentRef struct {
	Group       *string `json:"group"`
	Kind        *string `json:"kind"`
	Namespace   *string `json:"namespace"`
	Name        string  `json:"name"`
	SectionName *string `json:"sectionName"`
	Port        *int32  `json:"port"`
}

// Gateway is the namespace and name of the Gateway that a route of a namespace attaches to, if it is one.
func (p ParentRef) Gateway(namespace string) (ns, name string, ok bool) {
	ok = (p.Group == nil || *p.Group == GatewayGroup) && (p.Kind == nil || *p.Kind == "Gateway")
	return cmp.Or(ptr.Deref(p.Namespace, ""), namespace), p.Name, ok
}

// Same tells whether two references of routes of a namespace name the same.
func (p ParentRef) Same(o ParentRef, namespace string) bool {
	ns, name, ok := p.Gateway(namespace)
	otherNS, otherName, otherOK := o.Gateway(namespace)
	return ns == otherNS && name == otherName && ok == otherOK && ptr.Deref(p.SectionName, "") == ptr.Deref(o.SectionName, "") && ptr.Equal(p.Port, o.Port)
}

// RouteRule is one rule of a route.
type RouteRule struct {
	BackendRefs []BackendRef `json:"backendRefs"`
}

// BackendRef names where a rule sends calls: a Service, where nothing else is said.
type BackendRef struct {
	Group     *string `json:"group"`
	Kind      *string `json:"kind"`
	Namespace *string `json:"namespace"`
	Name      string  `json:"name"`
	Port      *int32  `json:"port"`
	Weight    *int32  `json:"weight"`
}

// Service is the namespace and name of the Service that gets calls from a route of a namespace, if it is one.
func (b BackendRef) Service(namespace string) (ns, name string, ok bool) {
	ok = ptr.Deref(b.Group, "") == "" && (b.Kind == nil || *b.Kind == "Service") && (b.Weight == nil || *b.Weight > 0)
	return cmp.Or(ptr.Deref(b.Namespace, ""), namespace), b.Name, ok
}

// RouteStatus is what the controllers of the parents say.
type RouteStatus struct {
	Parents []RouteParent `json:"parents"`
}

// RouteParent is what the controller of one parent says.
type RouteParent struct {
	ParentRef  ParentRef          `json:"parentRef"`
	Conditions []metav1.Condition `json:"conditions"`
}

// Gateway is where calls come in.
type Gateway struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              GatewaySpec   `json:"spec"`
	Status            GatewayStatus `json:"status"`
}

// GatewaySpec says where it listens.
type GatewaySpec struct {
	GatewayClassName string     `json:"gatewayClassName"`
	Listeners        []Listener `json:"listeners"`
}

// Listener is one port and hostname of a Gateway.
type Listener struct {
	Name          string         `json:"name"`
	Hostname      string         `json:"hostname"`
	Port          int32          `json:"port"`
	TLS           *ListenerTLS   `json:"tls"`
	AllowedRoutes *AllowedRoutes `json:"allowedRoutes"`
}

// ListenerTLS names the certificates.
type ListenerTLS struct {
	CertificateRefs []CertificateRef `json:"certificateRefs"`
}

// CertificateRef names a certificate: a Secret, where nothing else is said.
type CertificateRef struct {
	Kind      *string `json:"kind"`
	Namespace *string `json:"namespace"`
	Name      string  `json:"name"`
}

// AllowedRoutes says which routes may attach to a listener.
type AllowedRoutes struct {
	Namespaces *struct {
		From     string                `json:"from"`
		Selector *metav1.LabelSelector `json:"selector"`
	} `json:"namespaces"`
}

// From says routes of which namespaces may attach: All, Selector, None or Same, which is the default.
func (l Listener) From() string {
	if l.AllowedRoutes == nil || l.AllowedRoutes.Namespaces == nil {
		return "Same"
	}
	return cmp.Or(l.AllowedRoutes.Namespaces.From, "Same")
}

// GatewayStatus is what the controller says.
type GatewayStatus struct {
	Conditions []metav1.Condition `json:"conditions"`
	Listeners  []ListenerStatus   `json:"listeners"`
}

// ListenerStatus is what the controller says of a listener.
type ListenerStatus struct {
	Name       string             `json:"name"`
	Conditions []metav1.Condition `json:"conditions"`
}

// Gateway finds a Gateway of any namespace among those that were read: the namespace's, and those that its routes name.
func (f *Facts) Gateway(namespace, name string) *Gateway {
	for i := range f.Gateways {
		if g := &f.Gateways[i]; g.Namespace == namespace && g.Name == name {
			return g
		}
	}
	return nil
}
