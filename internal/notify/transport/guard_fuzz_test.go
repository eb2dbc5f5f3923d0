package transport

import (
	"net"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/kubebot/kubebot/api/v1alpha1"
)

// FuzzGuard checks that no way to write an address of this machine or of the cluster's API passes.
func FuzzGuard(f *testing.F) {
	for _, address := range []string{
		"https://127.0.0.1/", "http://[::1]:80/", "http://[::ffff:127.0.0.1%25eth0]/", "http://[64:ff9b::7f00:1]/", "http://[::7f00:1]/", "http://0.0.0.0/",
		"http://169.254.169.254/latest", "http://[fe80::1%25eth0]/", "http://localhost./", "http://a.LOCALHOST/", "https://kubernetes.default.svc/", "https://10.96.0.1/",
		"http://127.1/", "http://[::]/", "https://hooks.example.com/", "http://metadata.google.internal/",
	} {
		f.Add(address)
	}
	api := &ClusterAPI{}
	api.Set([]netip.AddrPort{netip.MustParseAddrPort("10.96.0.1:443"), netip.MustParseAddrPort("[fd00::1]:0")})
	guard := &Guard{API: api}
	open := &Guard{API: api, Allow: []v1alpha1.Target{v1alpha1.TargetLoopback, v1alpha1.TargetLinkLocal, v1alpha1.TargetClusterAPI}}
	f.Fuzz(func(t *testing.T, address string) {
		u, err := url.Parse(address)
		if err != nil {
			return
		}
		refused := guard.checkURL(t.Context(), u) != nil
		if open.checkURL(t.Context(), u) != nil {
			t.Errorf("%q is refused although all is allowed", address)
		}
		host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
		if host == "localhost" && !refused {
			t.Errorf("%q passes", address)
		}
		host, _, _ = strings.Cut(host, "%")
		if ip := net.ParseIP(host); ip != nil && (ip.IsLoopback() || ip.IsLinkLocalUnicast() || ip.IsUnspecified()) && !refused {
			t.Errorf("%q passes", address)
		}
	})
}
