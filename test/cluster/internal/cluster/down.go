package cluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/kubebot/kubebot/test/cluster/internal/host"
)

// patience bounds each wait for the kernel to let go of something.
const patience = 20 * time.Second

func failedLogs(base, name string) string { return filepath.Join(base, name+".failed") }

// Down ends a cluster and removes every trace of it, whole or not: processes,
// pods, mounts, groups, namespaces and files. logs, if given, is a folder that
// receives the logs of the daemons. A cluster that is not there is no error.
func Down(base, name, logs string) error {
	if err := CheckName(name); err != nil {
		return err
	}
	release, err := lockCluster(base, name)
	if err != nil {
		return err
	}
	defer release()
	if err := remove(base, name, logs); err != nil {
		return err
	}
	// Goes only when it is empty, after the last cluster.
	defer os.Remove(base)
	return errors.Join(os.RemoveAll(failedLogs(base, name)), leaveMachine(base), os.Remove(lockFile(base, name)))
}

// remove is Down without its lock. It goes by names alone, so that it finds
// what a start left that was killed before it wrote anything down.
func remove(base, name, logs string) error {
	p := Plan{Name: name, Base: base}
	cgroups, err := host.DetectCgroups()
	if err != nil {
		return err
	}
	recorded := map[string]Daemon{}
	if s, err := Load(base, name); err == nil {
		recorded = s.Daemons
	}
	if err := killAll(p, cgroups, recorded); err != nil {
		return fmt.Errorf("end cluster %s: %w", name, err)
	}
	if err := cgroups.Remove(p.Cgroup(), patience); err != nil {
		return fmt.Errorf("end cluster %s: %w", name, err)
	}
	if _, err := os.Stat(p.Netns()); err == nil {
		if err := command(context.Background(), "ip", "netns", "delete", p.NetnsName()); err != nil {
			return fmt.Errorf("end cluster %s: %w", name, err)
		}
	}
	if err := host.UnmountUnder(p.Dir()); err != nil {
		return fmt.Errorf("end cluster %s: %w", name, err)
	}
	if logs != "" {
		if err := keepLogs(p, logs); err != nil {
			return err
		}
	}
	if err := os.RemoveAll(p.Dir()); err != nil {
		return fmt.Errorf("end cluster %s: %w", name, err)
	}
	return nil
}

// killAll ends kubelet and containerd first, so that nothing is restarted, and
// then all that is in the cluster's group, in its network namespace or on
// record.
func killAll(p Plan, cgroups host.Cgroups, recorded map[string]Daemon) error {
	for _, name := range []string{"kubelet", "containerd"} {
		if d, ok := recorded[name]; ok {
			if err := host.KillAll(func() []int { return live(d) }, patience); err != nil {
				return err
			}
		}
	}
	return host.KillAll(func() []int {
		pids := cgroups.Processes(p.Cgroup())
		pids = append(pids, host.InNetns(p.Netns())...)
		for _, d := range recorded {
			pids = append(pids, live(d)...)
		}
		slices.Sort(pids)
		return slices.Compact(pids)
	}, patience)
}

func live(d Daemon) []int {
	if d.Alive() {
		return []int{d.PID}
	}
	return nil
}

func keepLogs(p Plan, dir string) error {
	entries, err := os.ReadDir(p.Path("logs"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("keep the logs: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("keep the logs: %w", err)
	}
	for _, e := range entries {
		data, err := os.ReadFile(p.Path("logs", e.Name()))
		if err != nil {
			return fmt.Errorf("keep the logs: %w", err)
		}
		if err := os.WriteFile(filepath.Join(dir, e.Name()), data, 0o644); err != nil {
			return fmt.Errorf("keep the logs: %w", err)
		}
	}
	return nil
}
