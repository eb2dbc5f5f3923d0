package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/kubebot/kubebot/test/cluster/internal/host"
)

// readyTimeout bounds the whole start. A warm one takes seconds; a machine that
// compiles at the same time has been seen to need a minute.
const readyTimeout = 5 * time.Minute

// starter brings one cluster up and says what it does.
type starter struct {
	base  string
	out   io.Writer
	begin time.Time
	state *State
	plan  Plan
	api   *client
}

// Up starts a cluster, or leaves it alone when it runs with the same options.
// What an earlier, unfinished start left is removed first. On an error nothing
// stays but the logs, in the folder <base>/<name>.failed.
func Up(ctx context.Context, base string, o Options, out io.Writer) (*State, error) {
	if err := CheckName(o.Name); err != nil {
		return nil, err
	}
	if missing := host.Missing(); len(missing) > 0 {
		return nil, fmt.Errorf("this machine cannot run a cluster, it lacks: %v", missing)
	}
	release, err := lockCluster(base, o.Name)
	if err != nil {
		return nil, err
	}
	defer release()
	s := &starter{base: base, out: out, begin: time.Now()}
	if running := s.running(ctx, o); running != nil {
		s.say("cluster %s already runs", o.Name)
		return running, nil
	}
	if err := remove(base, o.Name, ""); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	if err := s.start(ctx, o); err != nil {
		return nil, errors.Join(err, remove(base, o.Name, failedLogs(base, o.Name)))
	}
	s.say("cluster %s is ready", o.Name)
	return s.state, nil
}

func (s *starter) say(format string, args ...any) {
	fmt.Fprintf(s.out, "cluster: %5.1f s  %s\n", time.Since(s.begin).Seconds(), fmt.Sprintf(format, args...))
}

// running gives the state of a whole, live cluster with these options.
func (s *starter) running(ctx context.Context, o Options) *State {
	state, err := Load(s.base, o.Name)
	if err != nil || !state.Ready || state.Options != o || len(state.Dead()) > 0 {
		return nil
	}
	api, err := newClient(state.Plan(s.base), state.HostPort)
	if err != nil || api.get(ctx, "/readyz", nil) != nil {
		return nil
	}
	return state
}

func (s *starter) start(ctx context.Context, o Options) error {
	bin, err := findPrograms()
	if err != nil {
		return err
	}
	for tool, pkg := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("%s is missing: run test/components/apt, which installs %s", tool, pkg)
		}
	}
	if s.state, err = allocate(s.base, o); err != nil {
		return err
	}
	s.state.Bin = bin
	s.plan = s.state.Plan(s.base)
	for _, step := range []func(context.Context) error{
		s.prepare, s.startNetwork, s.startAPI, s.startNode, s.startDNS,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	s.state.Ready = true
	return s.state.Save(s.base)
}

// prepare writes every file and group before the first program starts.
func (s *starter) prepare(ctx context.Context) error {
	p := s.plan
	m, err := detect(p.Dir())
	if err != nil {
		return err
	}
	s.say("cgroup version 2: %t, SYS_RESOURCE: %t, overlayfs: %t", m.cgroups.Unified, m.mayRaiseOOM, m.overlay)
	for _, dir := range []string{"etcd", "cni/net.d", "cni/addresses", "opt", "volume-plugins"} {
		if err := os.MkdirAll(p.Path(dir), 0o700); err != nil {
			return fmt.Errorf("make %s: %w", p.Path(dir), err)
		}
	}
	for _, b := range binds(p) {
		if err := os.MkdirAll(b.Source, 0o755); err != nil {
			return fmt.Errorf("make %s: %w", b.Source, err)
		}
	}
	// The API server appends; the log of an earlier cluster is not this one's.
	auditLog := s.state.auditLog(s.base)
	if err := os.Remove(auditLog); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("start the audit log: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(auditLog), 0o755); err != nil {
		return fmt.Errorf("start the audit log: %w", err)
	}
	if err := prepareMachine(s.base); err != nil {
		return err
	}
	if err := writePKI(p); err != nil {
		return err
	}
	if s.state.HostPort, err = listenLoopback(hostPortBase + p.Index); err != nil {
		return err
	}
	if err := writeKubeconfigs(p, s.state.HostPort); err != nil {
		return err
	}
	if err := writeConfigs(p, s.state.Options, m, s.state.Bin); err != nil {
		return err
	}
	if err := m.cgroups.Create(p.SystemCgroup()); err != nil {
		return err
	}
	s.api, err = newClient(p, s.state.HostPort)
	return err
}

// startNetwork makes the namespaces. The forwarder is the process that keeps
// the mounts alive.
func (s *starter) startNetwork(ctx context.Context) error {
	p := s.plan
	s.say("network namespace %s, node %s, pods %s, services %s", p.NetnsName(), p.NodeIP(), p.NodePodCIDR(), p.ServiceCIDR())
	if err := makeNetwork(ctx, p); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("start the forwarder: %w", err)
	}
	run := []string{"--cgroup=" + p.SystemCgroup(), "--new-mounts", "--keep-netns=" + p.Netns()}
	for _, b := range binds(p) {
		run = append(run, "--bind="+b.Source+":"+b.Target)
	}
	argv := []string{self, ForwardCommand, strconv.Itoa(s.state.HostPort), p.Netns(), net.JoinHostPort(p.NodeIP(), strconv.Itoa(apiPort))}
	if err := s.state.spawn(s.base, "forwarder", run, argv); err != nil {
		return err
	}
	return s.wait(ctx, "forwarder", func(ctx context.Context) error {
		var d net.Dialer
		conn, err := d.DialContext(ctx, "tcp4", fmt.Sprintf("127.0.0.1:%d", s.state.HostPort))
		if err == nil {
			conn.Close()
		}
		return err
	})
}

// spawn starts a daemon inside all namespaces.
func (s *starter) spawn(name string) error {
	auditLog := s.state.auditLog(s.base)
	run := []string{
		"--cgroup=" + s.plan.SystemCgroup(), "--netns=" + s.plan.Netns(),
		"--mounts-of=" + strconv.Itoa(s.state.Daemons["forwarder"].PID),
	}
	return s.state.spawn(s.base, name, run, daemonArgs(s.plan, auditLog, s.state.Bin)[name])
}

// startAPI starts etcd, the API server and, in their shadow, containerd, whose
// images load while the API server gets ready.
func (s *starter) startAPI(ctx context.Context) error {
	for _, name := range []string{"etcd", "kube-apiserver", "containerd"} {
		if err := s.spawn(name); err != nil {
			return err
		}
	}
	s.say("etcd, API server and containerd started")
	if err := s.wait(ctx, "containerd", func(context.Context) error {
		_, err := os.Stat(s.plan.Containerd())
		return err
	}); err != nil {
		return err
	}
	if err := s.state.loadBase(ctx, s.base); err != nil {
		return err
	}
	s.say("base images loaded")
	if err := s.wait(ctx, "kube-apiserver", func(ctx context.Context) error { return s.api.get(ctx, "/readyz", nil) }); err != nil {
		return err
	}
	s.say("API server ready")
	return nil
}

func (s *starter) startNode(ctx context.Context) error {
	for _, name := range []string{"kubelet", "kube-controller-manager", "kube-scheduler", "kube-proxy"} {
		if err := s.spawn(name); err != nil {
			return err
		}
	}
	for _, a := range coreDNS(s.plan) {
		// Built-in roles and namespaces may still be on their way.
		if err := s.wait(ctx, "kube-apiserver", func(ctx context.Context) error { return s.api.apply(ctx, a.path, a.obj) }); err != nil {
			return err
		}
	}
	if err := s.wait(ctx, "kubelet", func(ctx context.Context) error { return s.api.nodeReady(ctx, s.plan.NodeName()) }); err != nil {
		return err
	}
	s.say("node ready")
	return nil
}

func (s *starter) startDNS(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("ask the name server: %w", err)
	}
	if err := s.wait(ctx, "kubelet", func(ctx context.Context) error {
		return inNetns(ctx, s.plan, self, LookupCommand, s.plan.DNSIP(), "kubernetes.default.svc.cluster.local")
	}); err != nil {
		return fmt.Errorf("name resolution: %w", err)
	}
	s.say("cluster DNS answers at %s", s.plan.DNSIP())
	return nil
}

// wait tries until check succeeds. It stops early when a daemon has ended, and
// says how the one that is waited for ended or what it said last.
func (s *starter) wait(ctx context.Context, daemon string, check func(context.Context) error) error {
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		if dead := s.state.Dead(); len(dead) > 0 {
			return fmt.Errorf("%v ended during the start: %w\n%s", dead, err, logTail(s.plan, dead[0]))
		}
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return fmt.Errorf("interrupted while waiting for %s", daemon)
			}
			return fmt.Errorf("waiting for %s: %w: %w\n%s", daemon, ctx.Err(), err, logTail(s.plan, daemon))
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// PauseAPIServer kills the API server, waits and starts it again with the same
// command line; it returns when it is ready again.
func PauseAPIServer(ctx context.Context, base, name string, pause time.Duration, out io.Writer) error {
	release, err := lockCluster(base, name)
	if err != nil {
		return err
	}
	defer release()
	s, err := attach(base, name, out)
	if err != nil {
		return err
	}
	const daemon = "kube-apiserver"
	d, err := s.kill(daemon)
	if err != nil {
		return err
	}
	s.say("API server killed, pausing %s", pause)
	var interrupted error
	select {
	case <-ctx.Done():
		// The API server comes back all the same.
		interrupted = ctx.Err()
	case <-time.After(pause):
	}
	if err := s.state.spawn(base, daemon, d.Run, d.Args); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readyTimeout)
	defer cancel()
	if err := s.wait(ctx, daemon, func(ctx context.Context) error { return s.api.get(ctx, "/readyz", nil) }); err != nil {
		return err
	}
	s.say("API server ready again")
	return interrupted
}

// Running lists the whole clusters whose daemons all live.
func Running(base string) ([]string, error) {
	names, err := Names(base)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(names, func(name string) bool {
		s, err := Load(base, name)
		return err != nil || !s.Ready || len(s.Dead()) > 0
	}), nil
}
