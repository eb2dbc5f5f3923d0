package transport

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/kubebot/kubebot/api/v1alpha1"
)

// Stack is the namespace of KubeBot's own stack. Only the guards of receivers that teams name know it, and nobody can
// allow it.
const Stack v1alpha1.Target = "Stack"

// Forbidden means that a receiver's address leads where no receiver may be unless it is allowed there.
type Forbidden struct {
	// Target is where it leads.
	Target v1alpha1.Target
}

// Error implements error. It names no address.
func (f *Forbidden) Error() string {
	if f.Target == Stack {
		return "the address leads to " + places[f.Target] + ", where no receiver of an AlertRoute may be"
	}
	return "the address leads to " + places[f.Target] + ", where no receiver may be unless it is allowed"
}

var places = map[v1alpha1.Target]string{
	v1alpha1.TargetLoopback:   "the responder's own pod (loopback)",
	v1alpha1.TargetLinkLocal:  "a link-local address, where clouds hand out the node's credentials",
	v1alpha1.TargetClusterAPI: "the cluster's own API server",
	Stack:                     "the namespace of KubeBot's own stack",
}

// metadata are addresses outside of the link-local ones at which clouds serve the credentials of a node: EC2 by IPv6
// and Alibaba Cloud.
var metadata = []netip.Addr{netip.MustParseAddr("fd00:ec2::254"), netip.MustParseAddr("100.100.100.200")}

// embedding are the prefixes of IPv6 addresses that carry an IPv4 address in their last 4 bytes: NAT64 (RFC 6052) and
// the deprecated IPv4-compatible ones (RFC 4291, 2.5.5.1).
var embedding = []netip.Prefix{netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("::/96")}

// ClusterAPI holds the addresses of the cluster's own API server. It is safe for concurrent use; nil and the zero value
// hold none.
type ClusterAPI struct {
	addresses atomic.Pointer[[]netip.AddrPort]
}

// Set replaces the addresses. Port 0 stands for every port.
func (c *ClusterAPI) Set(addresses []netip.AddrPort) {
	own := slices.Clone(addresses)
	c.addresses.Store(&own)
}

func (c *ClusterAPI) has(at netip.AddrPort) bool {
	if c == nil || c.addresses.Load() == nil {
		return false
	}
	return slices.ContainsFunc(*c.addresses.Load(), func(a netip.AddrPort) bool {
		return a.Addr().Unmap() == at.Addr() && (a.Port() == 0 || a.Port() == at.Port())
	})
}

// Guard keeps calls from addresses that belong to the machine and the cluster rather than to a receiver. It looks at
// the address that is dialled, after DNS, so that a name that changes its address does not pass.
type Guard struct {
	// Allow names what is not refused.
	Allow []v1alpha1.Target
	// API are the addresses of the cluster's own API server.
	API *ClusterAPI
	// InStack tells whether an address is one of KubeBot's own namespace. The NetworkPolicies there let the responder in,
	// so that a team whose receivers lead there could do what the policies keep it from. Nil for receivers that may.
	InStack func(ctx context.Context, address netip.Addr) (bool, error)
}

// Check refuses an address with a *Forbidden. It fails as InStack does.
func (g *Guard) Check(ctx context.Context, at netip.AddrPort) error {
	at = netip.AddrPortFrom(plain(at.Addr()), at.Port())
	if target := g.target(at); target != "" && !slices.Contains(g.Allow, target) {
		return &Forbidden{Target: target}
	}
	if g.InStack == nil {
		return nil
	}
	in, err := g.InStack(ctx, at.Addr())
	if err == nil && in {
		return &Forbidden{Target: Stack}
	}
	return err
}

// plain is the IPv4 address that an IPv6 address carries, else the address itself, without a zone.
func plain(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if a.Is6() && a != netip.IPv6Loopback() && a != netip.IPv6Unspecified() &&
		slices.ContainsFunc(embedding, func(p netip.Prefix) bool { return p.Contains(a) }) {
		bytes := a.As16()
		return netip.AddrFrom4([4]byte(bytes[12:]))
	}
	return a
}

func (g *Guard) target(at netip.AddrPort) v1alpha1.Target {
	a := at.Addr()
	switch {
	case a.IsLoopback(), a.IsUnspecified(), a.Is4() && a.As4()[0] == 0:
		return v1alpha1.TargetLoopback
	case a.IsLinkLocalUnicast(), a.IsLinkLocalMulticast(), a.IsInterfaceLocalMulticast(), slices.Contains(metadata, a):
		return v1alpha1.TargetLinkLocal
	case g.API.has(at):
		return v1alpha1.TargetClusterAPI
	}
	return ""
}

// checkURL refuses what a URL says by itself, for calls through a proxy, which resolves the name where nobody here sees
// it: addresses, and the names that mean this machine and the API server everywhere.
func (g *Guard) checkURL(ctx context.Context, u *url.URL) error {
	host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	port := uint16(443)
	if n, err := net.LookupPort("tcp", u.Port()); err == nil && n > 0 {
		port = uint16(n)
	} else if u.Scheme == "http" {
		port = 80
	}
	if a, err := netip.ParseAddr(host); err == nil {
		return g.Check(ctx, netip.AddrPortFrom(a, port))
	}
	name := v1alpha1.Target("")
	switch {
	case host == "localhost" || strings.HasSuffix(host, ".localhost"):
		name = v1alpha1.TargetLoopback
	case host == "kubernetes" || host == "kubernetes.default" || host == "kubernetes.default.svc" || strings.HasPrefix(host, "kubernetes.default.svc."):
		name = v1alpha1.TargetClusterAPI
	case host == "metadata" || host == "metadata.google.internal":
		name = v1alpha1.TargetLinkLocal
	}
	if name == "" || slices.Contains(g.Allow, name) {
		return nil
	}
	return &Forbidden{Target: name}
}

// Dial connects as net.Dialer does, except to what the guard refuses; a nil guard refuses nothing.
func (g *Guard) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{Timeout: DialTimeout, KeepAlive: 15 * time.Second}
	if g != nil {
		d.ControlContext = func(ctx context.Context, _, resolved string, _ syscall.RawConn) error {
			at, err := netip.ParseAddrPort(resolved)
			if err != nil {
				return fmt.Errorf("read the address that was resolved: %w", err)
			}
			return g.Check(ctx, at)
		}
	}
	return d.DialContext(ctx, network, address)
}
