//go:build cluster

// Tests that start real clusters, as root:
//
//	test/components/build cluster
//	cd test/cluster && CGO_ENABLED=0 go test -tags cluster -count=1 .
package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kubebot/kubebot/test/cluster/internal/cluster"
	"github.com/kubebot/kubebot/test/cluster/internal/host"
	"github.com/kubebot/kubebot/test/cluster/internal/image"
)

// The test binary is also the program of the test image: as a server, and as
// the client that the server's pod executes.
func TestMain(m *testing.M) {
	switch {
	case len(os.Args) == 2 && os.Args[1] == "serve":
		serve()
	case len(os.Args) == 3 && os.Args[1] == "get":
		get(os.Args[2])
	case len(os.Args) > 1 && strings.HasPrefix(os.Args[1], "internal-"):
		main()
	case os.Getenv("KUBEBOT_CLUSTER_TEST_MAIN") != "":
		main()
	default:
		os.Exit(m.Run())
	}
}

func serve() {
	fmt.Println("serving")
	err := http.ListenAndServe(":8080", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "hello %s\n", r.Host)
	}))
	fmt.Println(err)
	os.Exit(1)
}

func get(url string) {
	client := http.Client{Timeout: 5 * time.Second}
	resp, err := client.Get(url)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(os.Stdout, resp.Body); err != nil {
		os.Exit(1)
	}
}

// program runs this test binary as kubebot-cluster.
func program(t *testing.T, base string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, args...)
	cmd.Env = append(os.Environ(), "KUBEBOT_CLUSTER_TEST_MAIN=1", "KUBEBOT_CLUSTER_DIR="+base)
	return cmd
}

func must(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %v\n%s%s", cmd.Args, err, out.String(), errs.String())
	}
	return out.String()
}

// newBase is a folder of clusters with a short path, which sockets need, whose
// clusters are gone after the test.
func newBase(t *testing.T, names ...string) string {
	t.Helper()
	base, err := os.MkdirTemp("/var/tmp", "kc")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, name := range names {
			if err := cluster.Down(base, name, ""); err != nil {
				t.Error(err)
			}
		}
		if err := os.RemoveAll(base); err != nil {
			t.Error(err)
		}
	})
	return base
}

func kubectl(t *testing.T, base, name string, args ...string) *exec.Cmd {
	t.Helper()
	cache, err := cluster.CacheDir()
	if err != nil {
		t.Fatal(err)
	}
	kubeconfig := cluster.Plan{Name: name, Base: base}.Kubeconfig()
	return exec.Command(filepath.Join(cache, "bin", "kubectl"), append([]string{"--kubeconfig", kubeconfig}, args...)...)
}

// assertGone checks that nothing of a cluster is left on the machine.
func assertGone(t *testing.T, p cluster.Plan, pids []int) {
	t.Helper()
	for _, file := range []string{p.Dir(), p.Netns()} {
		if _, err := os.Stat(file); !os.IsNotExist(err) {
			t.Errorf("%s is still there (%v)", file, err)
		}
	}
	cgroups, err := host.DetectCgroups()
	if err != nil {
		t.Fatal(err)
	}
	for _, root := range cgroups.Roots {
		if _, err := os.Stat(filepath.Join(root, p.Cgroup())); !os.IsNotExist(err) {
			t.Errorf("cgroup %s is still in %s (%v)", p.Cgroup(), root, err)
		}
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(mounts), p.Dir()) {
		t.Errorf("mounts of %s are left:\n%s", p.Dir(), mounts)
	}
	for _, pid := range pids {
		if _, err := host.Lookup(pid); err == nil {
			t.Errorf("process %d still runs", pid)
		}
	}
}

const workload = `
apiVersion: v1
kind: Namespace
metadata: {name: t, labels: {pod-security.kubernetes.io/enforce: restricted}}
---
apiVersion: v1
kind: Pod
metadata: {name: server, namespace: t, labels: {app: server}}
spec:
  securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
  containers:
  - name: server
    image: example.test/server:v1
    args: [serve]
    securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
    readinessProbe: {httpGet: {path: /, port: 8080}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: server, namespace: t}
spec: {selector: {app: server}, ports: [{port: 80, targetPort: 8080}]}
`

func TestClustersServePodsSideBySideAndLeaveNothing(t *testing.T) {
	base := newBase(t, "one", "two")
	audit := filepath.Join(t.TempDir(), "audit.log")
	must(t, program(t, base, "up", "--name", "one", "--audit-log", audit))
	must(t, program(t, base, "up", "--name", "two"))
	must(t, program(t, base, "up", "--name", "two"))

	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	tarball := filepath.Join(t.TempDir(), "server.tar")
	if err := image.WriteFile(tarball, image.Spec{Ref: "example.test/server:v1", Binary: self, Target: "/server", User: "65534"}); err != nil {
		t.Fatal(err)
	}
	must(t, program(t, base, "load", "--name", "one", tarball))
	apply := kubectl(t, base, "one", "apply", "-f", "-")
	apply.Stdin = strings.NewReader(workload)
	must(t, apply)
	must(t, kubectl(t, base, "one", "-n", "t", "wait", "--for=condition=Ready", "pod/server", "--timeout=60s"))

	t.Run("a pod reaches a Service by name", func(t *testing.T) {
		if got := getService(t, base); got != "hello server.t.svc\n" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("a pod reaches nothing outside, at once", func(t *testing.T) {
		begin := time.Now()
		cmd := kubectl(t, base, "one", "-n", "t", "exec", "server", "--", "/server", "get", "http://192.0.2.1/")
		if out, err := cmd.Output(); err == nil || !strings.Contains(string(out), "refused") {
			t.Errorf("got %q (%v) after %s, want a refused connection", out, err, time.Since(begin))
		}
	})
	t.Run("logs", func(t *testing.T) {
		if got := must(t, kubectl(t, base, "one", "-n", "t", "logs", "server")); got != "serving\n" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("the API server's proxy", func(t *testing.T) {
		got := must(t, kubectl(t, base, "one", "get", "--raw", "/api/v1/namespaces/t/services/server:80/proxy/"))
		if !strings.HasPrefix(got, "hello ") {
			t.Errorf("got %q", got)
		}
	})
	t.Run("port-forward", func(t *testing.T) { testPortForward(t, base) })
	t.Run("exec enters the network", func(t *testing.T) {
		got := must(t, program(t, base, "exec", "--name", "one", "--", "kubectl", "get", "nodes", "-o", "name"))
		if got != "node/kubebot-one\n" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("the other cluster has none of it", func(t *testing.T) {
		if got := must(t, kubectl(t, base, "two", "get", "pods", "-A", "-o", "name")); strings.Contains(got, "server") {
			t.Errorf("got %q", got)
		}
	})
	t.Run("requests are in the audit log", func(t *testing.T) { testAudit(t, audit) })
	t.Run("the API server comes back from a pause", func(t *testing.T) {
		must(t, program(t, base, "pause-apiserver", "--name", "one", "--seconds", "1"))
		getService(t, base)
		must(t, program(t, base, "status", "--name", "one"))
	})

	for _, name := range []string{"one", "two"} {
		p := cluster.Plan{Name: name, Base: base}
		cgroups, err := host.DetectCgroups()
		if err != nil {
			t.Fatal(err)
		}
		pids := cgroups.Processes(p.Cgroup())
		if len(pids) < 10 {
			t.Errorf("only %v belong to cluster %s", pids, name)
		}
		must(t, program(t, base, "down", "--name", name))
		assertGone(t, p, pids)
		if name == "one" {
			must(t, program(t, base, "status", "--name", "two"))
		}
	}
}

// getService asks the Service from inside its pod. kube-proxy learns of a ready
// pod some moments after everybody else.
func getService(t *testing.T, base string) string {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		out, err := kubectl(t, base, "one", "-n", "t", "exec", "server", "--", "/server", "get", "http://server.t.svc/").Output()
		if err == nil {
			return string(out)
		}
		if time.Now().After(deadline) {
			t.Fatalf("the Service does not answer: %v\n%s", err, out)
		}
	}
}

func testPortForward(t *testing.T, base string) {
	cmd := kubectl(t, base, "one", "-n", "t", "port-forward", "pod/server", ":8080")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	line := make([]byte, 200)
	n, err := out.Read(line)
	address := regexp.MustCompile(`127\.0\.0\.1:\d+`).FindString(string(line[:n]))
	if err != nil || address == "" {
		t.Fatalf("port-forward said %q (%v)", line[:n], err)
	}
	resp, err := http.Get("http://" + address + "/")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("status %s", resp.Status)
	}
}

func testAudit(t *testing.T, file string) {
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(data) {
		var event struct {
			Verb      string
			User      struct{ Username string }
			ObjectRef struct{ Resource, Namespace, Name string }
		}
		if err := json.Unmarshal(line, &event); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if event.Verb == "create" && event.User.Username == "kubernetes-admin" && event.ObjectRef.Resource == "pods" && event.ObjectRef.Name == "server" {
			return
		}
	}
	t.Error("the creation of the pod is not recorded")
}

func TestAnUpKilledAtAnyMomentBlocksNothing(t *testing.T) {
	base := newBase(t, "one")
	p := cluster.Plan{Name: "one", Base: base}
	for _, signal := range []syscall.Signal{syscall.SIGKILL, syscall.SIGINT} {
		for _, marker := range []string{"network namespace", "containerd started", "API server ready", "node ready"} {
			killAt(t, program(t, base, "up", "--name", "one"), marker, signal)
			if signal == syscall.SIGINT {
				assertGone(t, p, nil)
			}
		}
	}
	must(t, program(t, base, "up", "--name", "one"))
	must(t, program(t, base, "status", "--name", "one"))
	if err := exec.Command("kill", "-9", fmt.Sprint(daemonPID(t, base, "kubelet"))).Run(); err != nil {
		t.Fatal(err)
	}
	if err := program(t, base, "status", "--name", "one").Run(); err == nil {
		t.Error("status of a cluster without its kubelet is good")
	}
	must(t, program(t, base, "up", "--name", "one"))
	must(t, program(t, base, "down", "--name", "one"))
	assertGone(t, p, nil)
	must(t, program(t, base, "down", "--name", "one"))
}

// killAt starts a command and sends it a signal as soon as it says marker.
func killAt(t *testing.T, cmd *exec.Cmd, marker string, signal os.Signal) {
	t.Helper()
	out, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var said []byte
	buffer := make([]byte, 4096)
	for !strings.Contains(string(said), marker) {
		n, err := out.Read(buffer)
		said = append(said, buffer[:n]...)
		if err != nil {
			t.Fatalf("ended before it said %q:\n%s", marker, said)
		}
	}
	if err := cmd.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, out); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Errorf("up succeeded in spite of %s at %q", signal, marker)
	}
}

func daemonPID(t *testing.T, base, name string) int {
	t.Helper()
	s, err := cluster.Load(base, "one")
	if err != nil {
		t.Fatal(err)
	}
	return s.Daemons[name].PID
}

func TestTheForwarderIsTheOnlyWayIn(t *testing.T) {
	base := newBase(t, "one")
	must(t, program(t, base, "up", "--name", "one"))
	s, err := cluster.Load(base, "one")
	if err != nil {
		t.Fatal(err)
	}
	p := s.Plan(base)
	roots := x509.NewCertPool()
	ca, err := os.ReadFile(p.Path("pki", "ca.crt"))
	if err != nil || !roots.AppendCertsFromPEM(ca) {
		t.Fatal("no authority", err)
	}
	// Something else may answer at that address in the machine's own network.
	reach := func(address string) error {
		dialer := tls.Dialer{NetDialer: &net.Dialer{Timeout: 2 * time.Second}, Config: &tls.Config{RootCAs: roots}}
		conn, err := dialer.Dial("tcp4", address)
		if err == nil {
			conn.Close()
		}
		return err
	}
	if err := reach(p.NodeIP() + ":6443"); err == nil {
		t.Error("the API server is reachable at the node's address from the machine")
	}
	if err := reach(fmt.Sprintf("127.0.0.1:%d", s.HostPort)); err != nil {
		t.Errorf("the API server is not reachable by the forwarder: %v", err)
	}
}
