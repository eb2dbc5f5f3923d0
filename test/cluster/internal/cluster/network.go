package cluster

import (
	"context"
	"fmt"
	"os/exec"
	"strings"

	"github.com/kubebot/kubebot/test/cluster/internal/host"
)

// makeNetwork creates the namespace: loopback, a bridge that carries the node's
// address, and a default route over it, which leads nowhere. What is sent
// outside is refused at once instead of timing out.
func makeNetwork(ctx context.Context, p Plan) error {
	ns := p.NetnsName()
	for _, args := range [][]string{
		{"netns", "add", ns},
		{"-n", ns, "link", "set", "lo", "up"},
		{"-n", ns, "link", "add", "node0", "type", "bridge"},
		{"-n", ns, "address", "add", p.NodeIP() + "/24", "dev", "node0"},
		{"-n", ns, "link", "set", "node0", "up"},
		{"-n", ns, "route", "add", "default", "dev", "node0"},
	} {
		if err := command(ctx, "ip", args...); err != nil {
			return err
		}
	}
	for _, chain := range []string{"FORWARD", "OUTPUT"} {
		// What goes to a Service still shows node0 here, its first route.
		if err := inNetns(ctx, p, "iptables", "-w", "-A", chain, "-o", "node0", "-m", "conntrack", "!", "--ctstate", "DNAT", "-j", "REJECT"); err != nil {
			return err
		}
	}
	return nil
}

func command(ctx context.Context, name string, args ...string) error {
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

// inNetns runs a short command inside the cluster's network namespace.
func inNetns(ctx context.Context, p Plan, argv ...string) error {
	done := make(chan error)
	go func() {
		// The thread stays locked and ends with this goroutine.
		if err := (host.Enter{Netns: p.Netns()}).Apply(); err != nil {
			done <- err
			return
		}
		done <- command(ctx, argv[0], argv[1:]...)
	}()
	return <-done
}
