package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/kubebot/kubebot/test/cluster/internal/host"
)

// binds are the folders whose paths are fixed in kubelet, containerd and CNI,
// or in what reads pods' logs. The cluster has its own in their places, in a
// mount namespace, so that clusters and the machine don't meet there.
func binds(p Plan) []host.Bind {
	return []host.Bind{
		{Source: p.Path("run-containerd"), Target: "/run/containerd"},
		{Source: p.Path("kubelet"), Target: "/var/lib/kubelet"},
		{Source: p.Path("cni/lib"), Target: "/var/lib/cni"},
		{Source: p.Path("log/pods"), Target: "/var/log/pods"},
		{Source: p.Path("log/containers"), Target: "/var/log/containers"},
	}
}

// sysctls are the settings that kubelet changes for the whole machine, and the
// one that several clusters outgrow, with the value that it is raised to.
var sysctls = map[string]string{
	"vm/overcommit_memory":          "",
	"vm/panic_on_oom":               "",
	"kernel/panic":                  "",
	"kernel/panic_on_oops":          "",
	"kernel/keys/root_maxkeys":      "",
	"kernel/keys/root_maxbytes":     "",
	"fs/inotify/max_user_instances": "8192",
}

// before is how the machine was before the first cluster changed it.
type before struct {
	Sysctls map[string]string `json:"sysctls"`
	// Made are the mount points of binds that were not there.
	Made []string `json:"made"`
}

func beforeFile(base string) string { return filepath.Join(base, ".machine.json") }

// prepareMachine makes the mount points of binds and raises settings, after
// writing down how they were.
func prepareMachine(base string) error {
	release, err := lock(machineLockFile(base))
	if err != nil {
		return err
	}
	defer release()
	if _, err := os.Stat(beforeFile(base)); errors.Is(err, fs.ErrNotExist) {
		if err := writeBefore(base); err != nil {
			return fmt.Errorf("keep the machine's settings: %w", err)
		}
	}
	for _, b := range binds(Plan{}) {
		if err := os.MkdirAll(b.Target, 0o755); err != nil {
			return fmt.Errorf("make %s: %w", b.Target, err)
		}
	}
	for name, value := range sysctls {
		if value != "" {
			// Where it is read-only, as in some containers, one cluster still fits.
			_ = os.WriteFile(filepath.Join("/proc/sys", name), []byte(value), 0o644)
		}
	}
	return nil
}

func writeBefore(base string) error {
	was := before{Sysctls: map[string]string{}}
	for name := range sysctls {
		if data, err := os.ReadFile(filepath.Join("/proc/sys", name)); err == nil {
			was.Sysctls[name] = string(data)
		}
	}
	for _, b := range binds(Plan{}) {
		if _, err := os.Stat(b.Target); errors.Is(err, fs.ErrNotExist) {
			was.Made = append(was.Made, b.Target)
		}
	}
	data, err := json.MarshalIndent(was, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(beforeFile(base)+".tmp", data, 0o600); err != nil {
		return err
	}
	return os.Rename(beforeFile(base)+".tmp", beforeFile(base))
}

// leaveMachine undoes, after the last cluster, what clusters change outside
// their namespaces.
func leaveMachine(base string) error {
	release, err := lock(machineLockFile(base))
	if err != nil {
		return err
	}
	defer release()
	names, err := Names(base)
	if err != nil || len(names) > 0 {
		return err
	}
	data, err := os.ReadFile(beforeFile(base))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("restore the machine's settings: %w", err)
	}
	if err == nil {
		var was before
		if err := json.Unmarshal(data, &was); err != nil {
			return fmt.Errorf("restore the machine's settings from %s: %w", beforeFile(base), err)
		}
		was.restore()
		if err := os.Remove(beforeFile(base)); err != nil {
			return fmt.Errorf("restore the machine's settings: %w", err)
		}
	}
	return os.Remove(machineLockFile(base))
}

func (b before) restore() {
	for name, value := range b.Sysctls {
		// Read-only where it could not be changed either.
		_ = os.WriteFile(filepath.Join("/proc/sys", name), []byte(value), 0o644)
	}
	for _, dir := range b.Made {
		// Stays if somebody else has put something there.
		_ = os.Remove(dir)
	}
}
