package transport_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/notify/transport"
)

func api(addresses ...string) *transport.ClusterAPI {
	c := &transport.ClusterAPI{}
	var list []netip.AddrPort
	for _, a := range addresses {
		list = append(list, netip.MustParseAddrPort(a))
	}
	c.Set(list)
	return c
}

func TestAddressesOfTheMachineAndTheClusterAreRefused(t *testing.T) {
	g := &transport.Guard{API: api("10.96.0.1:0", "192.0.2.10:6443", "[2001:db8::1]:443")}
	for address, want := range map[string]v1alpha1.Target{
		"127.0.0.1:80": v1alpha1.TargetLoopback, "127.9.9.9:80": v1alpha1.TargetLoopback, "[::1]:80": v1alpha1.TargetLoopback,
		"0.0.0.0:80": v1alpha1.TargetLoopback, "0.1.2.3:80": v1alpha1.TargetLoopback, "[::]:80": v1alpha1.TargetLoopback,
		"[::ffff:127.0.0.1]:80": v1alpha1.TargetLoopback, "[64:ff9b::7f00:1]:80": v1alpha1.TargetLoopback, "[::127.0.0.1]:80": v1alpha1.TargetLoopback,
		"169.254.169.254:80": v1alpha1.TargetLinkLocal, "[fe80::1%eth0]:80": v1alpha1.TargetLinkLocal, "[fd00:ec2::254]:80": v1alpha1.TargetLinkLocal,
		"[::ffff:169.254.169.254]:80": v1alpha1.TargetLinkLocal, "100.100.100.200:80": v1alpha1.TargetLinkLocal, "224.0.0.1:80": v1alpha1.TargetLinkLocal,
		"10.96.0.1:443": v1alpha1.TargetClusterAPI, "10.96.0.1:80": v1alpha1.TargetClusterAPI, "192.0.2.10:6443": v1alpha1.TargetClusterAPI,
		"[::ffff:10.96.0.1]:443": v1alpha1.TargetClusterAPI, "[2001:db8::1]:443": v1alpha1.TargetClusterAPI,
		"192.0.2.10:443": "", "10.96.0.2:443": "", "8.8.8.8:443": "", "[2001:db8::2]:443": "", "192.168.1.1:80": "", "[64:ff9b::808:808]:443": "",
	} {
		var forbidden *transport.Forbidden
		err := g.Check(t.Context(), netip.MustParseAddrPort(address))
		switch {
		case want == "" && err != nil:
			t.Errorf("%s is refused: %v", address, err)
		case want != "" && (!errors.As(err, &forbidden) || forbidden.Target != want):
			t.Errorf("%s: %v, want %s", address, err, want)
		}
		if want != "" {
			if err := (&transport.Guard{API: g.API, Allow: []v1alpha1.Target{want}}).Check(t.Context(), netip.MustParseAddrPort(address)); err != nil {
				t.Errorf("%s is refused though %s is allowed: %v", address, want, err)
			}
		}
	}
}

func TestAddressesOfTheStackAreRefusedOnlyWhereTheGuardKnowsThem(t *testing.T) {
	inStack := func(_ context.Context, a netip.Addr) (bool, error) {
		if a == netip.MustParseAddr("10.96.0.9") {
			return false, errors.New("not read")
		}
		return a == netip.MustParseAddr("10.96.0.7"), nil
	}
	everything := []v1alpha1.Target{v1alpha1.TargetLoopback, v1alpha1.TargetLinkLocal, v1alpha1.TargetClusterAPI}
	team := &transport.Guard{Allow: everything, InStack: inStack}
	for address, want := range map[string]string{
		"10.96.0.7:9090": "TargetForbidden", "[::ffff:10.96.0.7]:443": "TargetForbidden", "[64:ff9b::a60:7]:80": "TargetForbidden",
		"10.96.0.8:9090": "", "10.96.0.9:80": "CallFailed",
	} {
		got := ""
		if err := team.Check(t.Context(), netip.MustParseAddrPort(address)); err != nil {
			why := transport.Explain(err)
			if got = why.Word; got == "TargetForbidden" && (!why.NeedsPerson || strings.Contains(why.Detail, "allowTargets")) {
				t.Errorf("%s: %+v", address, why)
			}
		}
		if got != want {
			t.Errorf("%s: %q, want %q", address, got, want)
		}
		if err := (&transport.Guard{}).Check(t.Context(), netip.MustParseAddrPort(address)); err != nil {
			t.Errorf("%s is refused by a guard that knows no stack: %v", address, err)
		}
	}
}

// A name that leads to a good address when it is checked and to another when it is called must not pass: what counts is
// the address of the call, and that of each one.
func TestANameThatChangesItsAddressDoesNotPass(t *testing.T) {
	var called atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called.Add(1) }))
	defer server.Close()
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	guarded, err := transport.New(transport.Options{Guard: &transport.Guard{}})
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"localhost", "127.0.0.1", "[::ffff:127.0.0.1]", "0.0.0.0", "2130706433", "0x7f.1"} {
		_, err := get(t, guarded, "http://"+host+":"+port)
		if err == nil {
			t.Errorf("%s passed", host)
		}
		if why := transport.Explain(err); strings.HasPrefix(host, "127") && (why.Word != "TargetForbidden" || !why.NeedsPerson || !strings.Contains(why.Detail, "allowTargets")) {
			t.Errorf("%s: %+v", host, why)
		}
	}
	if called.Load() != 0 {
		t.Errorf("%d calls arrived", called.Load())
	}
	allowing, err := transport.New(transport.Options{Guard: &transport.Guard{Allow: []v1alpha1.Target{v1alpha1.TargetLoopback}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := get(t, allowing, server.URL); err != nil || called.Load() != 1 {
		t.Errorf("an allowed address: %v after %d calls", err, called.Load())
	}
}

// A proxy may be anywhere, but what it is asked for is looked at.
func TestAProxyIsNoWayAround(t *testing.T) {
	addr, asked := proxy(t, "127.0.0.1:1")
	t.Setenv("HTTP_PROXY", addr)
	t.Setenv("HTTPS_PROXY", addr)
	t.Setenv("NO_PROXY", "")
	client, err := transport.New(transport.Options{Guard: &transport.Guard{API: api("10.96.0.1:0")}})
	if err != nil {
		t.Fatal(err)
	}
	for _, url := range []string{"http://169.254.169.254/latest", "http://10.96.0.1/", "http://kubernetes.default.svc/", "http://metadata.google.internal/", "http://[::1]/"} {
		if _, err := get(t, client, url); transport.Explain(err).Word != "TargetForbidden" {
			t.Errorf("%s: %v", url, err)
		}
	}
	if _, err := get(t, client, "http://hooks.example.com/"); err != nil {
		t.Errorf("through the proxy: %v", err)
	}
	if len(asked) != 1 {
		t.Fatalf("the proxy was asked %d times", len(asked))
	}
	if got := <-asked; got != "GET hooks.example.com" {
		t.Errorf("the proxy was asked for %s", got)
	}
}

func TestNoGuardRefusesNothing(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	conn, err := (*transport.Guard)(nil).Dial(context.Background(), "tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
}
