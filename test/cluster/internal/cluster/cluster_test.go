package cluster

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kubebot/kubebot/test/cluster/internal/host"
)

func TestNamesThatCannotBePartOfPathsAreRefused(t *testing.T) {
	for name, ok := range map[string]bool{
		"dev": true, "a": true, "e2e-1": true, strings.Repeat("a", 20): true,
		"": false, "-a": false, "a-": false, "A": false, "a/b": false, "..": false, "a.b": false, strings.Repeat("a", 21): false,
	} {
		if err := CheckName(name); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestAddressesOfClustersNeverOverlap(t *testing.T) {
	var all []netip.Prefix
	for i := range maxClusters {
		p := Plan{Name: "x", Index: i}
		pods, services := netip.MustParsePrefix(p.PodCIDR()), netip.MustParsePrefix(p.ServiceCIDR())
		node := netip.PrefixFrom(netip.MustParseAddr(p.NodeIP()), 24).Masked()
		for _, ip := range []string{p.ServiceIP(), p.DNSIP()} {
			if !services.Contains(netip.MustParseAddr(ip)) {
				t.Errorf("%s is not in %s", ip, services)
			}
		}
		if !pods.Overlaps(netip.MustParsePrefix(p.NodePodCIDR())) {
			t.Errorf("%s is not in %s", p.NodePodCIDR(), pods)
		}
		all = append(all, pods, services, node)
	}
	for i, a := range all {
		for _, b := range all[i+1:] {
			if a.Overlaps(b) {
				t.Errorf("%s overlaps %s", a, b)
			}
		}
	}
}

func TestClustersMadeAtOnceGetIndexesOfTheirOwn(t *testing.T) {
	base := t.TempDir()
	var wg sync.WaitGroup
	states := make([]*State, 8)
	for i := range states {
		wg.Go(func() {
			s, err := allocate(base, Options{Name: fmt.Sprintf("c%d", i)})
			if err != nil {
				t.Error(err)
			}
			states[i] = s
		})
	}
	wg.Wait()
	seen := map[int]bool{}
	for _, s := range states {
		if s == nil || seen[s.Index] {
			t.Fatalf("index taken twice: %+v", states)
		}
		seen[s.Index] = true
	}
	if err := os.RemoveAll(filepath.Join(base, "c3")); err != nil {
		t.Fatal(err)
	}
	again, err := allocate(base, Options{Name: "late"})
	if err != nil || again.Index != states[3].Index {
		t.Errorf("index %+v (%v), want the free %d", again, err, states[3].Index)
	}
}

func TestStateSurvivesSavingAndMissingOneIsNotExist(t *testing.T) {
	base := t.TempDir()
	s, err := allocate(base, Options{Name: "a", AuditLog: "/x", RestartMax: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	self, err := host.Lookup(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	s.Daemons["live"] = Daemon{Process: self, Args: []string{"a", "b c"}, Run: []string{"--netns=x"}}
	s.Daemons["dead"] = Daemon{Process: host.Process{PID: self.PID, Start: self.Start + 1}}
	if err := s.Save(base); err != nil {
		t.Fatal(err)
	}
	got, err := Load(base, "a")
	if err != nil || got.Options != s.Options || got.Daemons["live"].Process != self || got.Daemons["live"].Args[1] != "b c" {
		t.Errorf("loaded %+v (%v)", got, err)
	}
	if dead := got.Dead(); !slices.Equal(dead, []string{"dead"}) {
		t.Errorf("dead %v", dead)
	}
	if _, err := Load(base, "b"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error of a missing state: %v", err)
	}
}

func TestALockWhoseFileWasRemovedIsTakenAgain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sub", ".lock")
	count, most := 0, 0
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			release, err := lock(file)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			count++
			most = max(most, count)
			mu.Unlock()
			time.Sleep(time.Millisecond)
			mu.Lock()
			count--
			mu.Unlock()
			if err := os.Remove(file); err != nil {
				t.Error(err)
			}
			release()
		})
	}
	wg.Wait()
	if most != 1 {
		t.Errorf("%d held the lock at once", most)
	}
}

func TestCertificatesAreValidForTheAddressesInUse(t *testing.T) {
	p := Plan{Name: "a", Index: 3, Base: t.TempDir()}
	if err := os.MkdirAll(p.Dir(), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := writePKI(p); err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	ca, err := os.ReadFile(p.Path("pki/ca.crt"))
	if err != nil || !roots.AppendCertsFromPEM(ca) {
		t.Fatal("no authority", err)
	}
	for file, names := range map[string][]string{
		"apiserver":      {"127.0.0.1", p.NodeIP(), p.ServiceIP(), "kubernetes.default.svc"},
		"kubelet-server": {p.NodeIP(), p.NodeName()},
		"etcd":           {"127.0.0.1"},
	} {
		pair, err := tls.LoadX509KeyPair(p.Path("pki", file+".crt"), p.Path("pki", file+".key"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: name}); err != nil {
				t.Errorf("%s for %s: %v", file, name, err)
			}
		}
	}
	if err := writeKubeconfigs(p, 12345); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{p.Kubeconfig(): "https://127.0.0.1:12345", p.InsideKubeconfig(): p.InsideURL()} {
		data, err := os.ReadFile(file)
		if err != nil || !strings.Contains(string(data), want) {
			t.Errorf("%s does not name %s (%v)", file, want, err)
		}
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s can be read by others: %v %v", file, info.Mode(), err)
		}
	}
}

func TestSettingsFollowWhatTheMachineHas(t *testing.T) {
	p := Plan{Name: "a", Base: "/base"}
	bin := map[string]string{"ptp": "/cni", "runc": "/runc-1"}
	for _, m := range []machine{{mayRaiseOOM: true, overlay: true}, {}} {
		toml := containerdConfig(p, m, bin)
		if !strings.Contains(toml, fmt.Sprintf("restrict_oom_score_adj = %t", !m.mayRaiseOOM)) {
			t.Errorf("%+v: containerd is configured with\n%s", m, toml)
		}
		if strings.Contains(toml, `snapshotter = "overlayfs"`) != m.overlay {
			t.Errorf("%+v: containerd is configured with\n%s", m, toml)
		}
		for _, config := range []object{kubeletConfig(p, Options{}, m), proxyConfig(p, m)} {
			if _, set := config["oomScoreAdj"]; set == m.mayRaiseOOM {
				t.Errorf("%+v: %v", m, config["kind"])
			}
		}
	}
	if _, set := kubeletConfig(p, Options{}, machine{})["crashLoopBackOff"]; set {
		t.Error("the restart back-off is set without being asked for")
	}
	data, err := json.Marshal(kubeletConfig(p, Options{RestartMax: 10 * time.Second}, machine{}))
	if err != nil || !strings.Contains(string(data), `"maxContainerRestartPeriod":"10s"`) {
		t.Errorf("kubelet is configured with %s (%v)", data, err)
	}
}

func TestRelayPassesBothWaysAndTheEndOfEachSide(t *testing.T) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	pair := func() (near, far net.Conn) {
		near, err := net.Dial("tcp4", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		far, err = listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		return near, far
	}
	client, left := pair()
	right, server := pair()
	done := make(chan struct{})
	go func() { relay(left, right); left.Close(); right.Close(); close(done) }()
	if _, err := client.Write([]byte("question")); err != nil {
		t.Fatal(err)
	}
	if err := client.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(server); err != nil || string(got) != "question" {
		t.Fatalf("server read %q, %v", got, err)
	}
	if _, err := server.Write([]byte("answer")); err != nil {
		t.Fatal(err)
	}
	server.Close()
	if got, err := io.ReadAll(client); err != nil || string(got) != "answer" {
		t.Fatalf("client read %q, %v", got, err)
	}
	<-done
}

func TestTheWantedPortIsTakenOnlyIfItIsFree(t *testing.T) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	taken := listener.Addr().(*net.TCPAddr).Port
	if got, err := listenLoopback(taken); err != nil || got == taken || got == 0 {
		t.Errorf("port %d, %v while %d is taken", got, err, taken)
	}
	listener.Close()
	if got, err := listenLoopback(taken); err != nil || got != taken {
		t.Errorf("port %d, %v; want the free %d", got, err, taken)
	}
}

func TestWhatTheMachineWasIsRestored(t *testing.T) {
	dir := t.TempDir()
	empty, full := filepath.Join(dir, "empty"), filepath.Join(dir, "full")
	if err := errors.Join(os.Mkdir(empty, 0o755), os.MkdirAll(filepath.Join(full, "x"), 0o755)); err != nil {
		t.Fatal(err)
	}
	before{Made: []string{empty, full}}.restore()
	if _, err := os.Stat(empty); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder made for mounts is still there: %v", err)
	}
	if _, err := os.Stat(full); err != nil {
		t.Errorf("a folder in use was removed: %v", err)
	}
}
