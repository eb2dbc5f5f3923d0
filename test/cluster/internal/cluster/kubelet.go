package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"time"

	"github.com/kubebot/kubebot/test/cluster/internal/host"
)

// softEvictionGrace is how long a soft threshold may be met until pods are evicted: longer than any test.
const softEvictionGrace = time.Hour

// Threshold is a soft eviction threshold of the kubelet: a signal and the value below which the node counts as under
// pressure. The zero one stands for none.
type Threshold struct{ Signal, Value string }

var thresholds = regexp.MustCompile(`^((?:memory|pid)\.available|(?:nodefs|imagefs)\.(?:available|inodesFree))<(\d+(?:\.\d+)?(?:%|[KMGT]i?)?)$`)

// ParseThreshold reads a threshold as the kubelet's own flags write it, such as memory.available<2Gi; empty is none.
func ParseThreshold(text string) (Threshold, error) {
	if text == "" {
		return Threshold{}, nil
	}
	m := thresholds.FindStringSubmatch(text)
	if m == nil {
		return Threshold{}, fmt.Errorf("threshold %q: want a signal, < and a quantity or a share, such as memory.available<2Gi", text)
	}
	return Threshold{m[1], m[2]}, nil
}

// underThreshold adds a soft threshold to a configuration of the kubelet. It sets the node's condition as soon as the
// threshold is met, and evicts nothing within softEvictionGrace.
func underThreshold(config object, soft Threshold) object {
	if soft != (Threshold{}) {
		config["evictionSoft"] = object{soft.Signal: soft.Value}
		config["evictionSoftGracePeriod"] = object{soft.Signal: softEvictionGrace.String()}
	}
	return config
}

// RestartKubelet starts the kubelet of a running cluster anew, with a soft eviction threshold or without one, and
// returns when it answers again. Pods run on meanwhile.
func RestartKubelet(ctx context.Context, base, name string, soft Threshold, out io.Writer) error {
	release, err := lockCluster(base, name)
	if err != nil {
		return err
	}
	defer release()
	s, err := attach(base, name, out)
	if err != nil {
		return err
	}
	m, err := detect(s.plan.Dir())
	if err != nil {
		return err
	}
	data, err := json.MarshalIndent(underThreshold(kubeletConfig(s.plan, s.state.Options, m), soft), "", "  ")
	if err != nil {
		return fmt.Errorf("encode kubelet.json: %w", err)
	}
	if err := writeFile(s.plan.Path("kubelet.json"), data); err != nil {
		return err
	}
	const daemon = "kubelet"
	d, err := s.kill(daemon)
	if err != nil {
		return err
	}
	if err := s.state.spawn(base, daemon, d.Run, d.Args); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readyTimeout)
	defer cancel()
	// What the node's object says may be of the kubelet before: this one is asked itself.
	if err := s.wait(ctx, daemon, func(ctx context.Context) error {
		if err := s.api.get(ctx, "/api/v1/nodes/"+s.plan.NodeName()+"/proxy/healthz", nil); err != nil {
			return err
		}
		return s.api.nodeReady(ctx, s.plan.NodeName())
	}); err != nil {
		return err
	}
	s.say("kubelet answers again")
	return nil
}

// attach takes up a cluster that runs.
func attach(base, name string, out io.Writer) (*starter, error) {
	state, err := Load(base, name)
	if err != nil {
		return nil, err
	}
	s := &starter{base: base, out: out, begin: time.Now(), state: state, plan: state.Plan(base)}
	s.api, err = newClient(s.plan, state.HostPort)
	return s, err
}

// kill ends a daemon and returns what starts it again.
func (s *starter) kill(daemon string) (Daemon, error) {
	d, ok := s.state.Daemons[daemon]
	if !ok {
		return d, fmt.Errorf("cluster %s has no %s: run up again", s.plan.Name, daemon)
	}
	if err := host.KillAll(func() []int { return live(d) }, patience); err != nil {
		return d, fmt.Errorf("stop %s: %w", daemon, err)
	}
	return d, nil
}
