package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/kubebot/kubebot/test/cluster/internal/host"
)

// Options are the user's choices for one cluster.
type Options struct {
	Name string `json:"name"`
	// AuditLog is the API server's audit log; empty is audit.log in the
	// cluster's folder.
	AuditLog string `json:"auditLog"`
	// RestartMax bounds kubelet's back-off between restarts of a container;
	// zero is Kubernetes' own 5 minutes. At least 1 s.
	RestartMax time.Duration `json:"restartMax"`
	// SyncFrequency is how often kubelet looks at a pod again without being
	// told, and so how late a mounted ConfigMap or Secret follows; zero leaves
	// Kubernetes' minute.
	SyncFrequency time.Duration `json:"syncFrequency,omitempty"`
}

// State is the record of one cluster, kept in its folder.
type State struct {
	Options Options `json:"options"`
	Index   int     `json:"index"`
	// Ready is set once the cluster came up whole.
	Ready   bool      `json:"ready"`
	Created time.Time `json:"created"`
	// HostPort is the forwarder's port on 127.0.0.1.
	HostPort int `json:"hostPort"`
	// Daemons are the programs started, by name.
	Daemons map[string]Daemon `json:"daemons"`
	// Bin holds the folders of the programs, by program.
	Bin map[string]string `json:"bin"`
}

// Daemon is one program with all that is needed to start it again.
type Daemon struct {
	host.Process
	Args []string `json:"args"`
	// Run are the flags that put it into its namespaces and group.
	Run []string `json:"run"`
}

// DefaultBase is the folder of all clusters, KUBEBOT_CLUSTER_DIR if set.
func DefaultBase() string {
	if dir := os.Getenv("KUBEBOT_CLUSTER_DIR"); dir != "" {
		return dir
	}
	return "/var/lib/kubebot-cluster"
}

// Load reads a cluster's state. The error is fs.ErrNotExist where there is none.
func Load(base, name string) (*State, error) {
	data, err := os.ReadFile(filepath.Join(base, name, "state.json"))
	if err != nil {
		return nil, fmt.Errorf("read the state of cluster %s: %w", name, err)
	}
	var s State
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, fmt.Errorf("read the state of cluster %s: %w", name, err)
	}
	return &s, nil
}

// Save writes the state whole or not at all.
func (s *State) Save(base string) error {
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("save the state of cluster %s: %w", s.Options.Name, err)
	}
	file := filepath.Join(base, s.Options.Name, "state.json")
	if err := os.WriteFile(file+".tmp", data, 0o600); err != nil {
		return fmt.Errorf("save the state of cluster %s: %w", s.Options.Name, err)
	}
	if err := os.Rename(file+".tmp", file); err != nil {
		return fmt.Errorf("save the state of cluster %s: %w", s.Options.Name, err)
	}
	return nil
}

// Plan is the cluster's addresses and paths.
func (s *State) Plan(base string) Plan {
	return Plan{Name: s.Options.Name, Index: s.Index, Base: base}
}

func (s *State) auditLog(base string) string {
	if s.Options.AuditLog != "" {
		return s.Options.AuditLog
	}
	return s.Plan(base).Path("audit.log")
}

// Dead lists the daemons that no longer run.
func (s *State) Dead() []string {
	var dead []string
	for name, d := range s.Daemons {
		if !d.Alive() {
			dead = append(dead, name)
		}
	}
	slices.Sort(dead)
	return dead
}

// Names lists the clusters that have a folder, whole or not.
func Names(base string) ([]string, error) {
	entries, err := os.ReadDir(base)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list the clusters: %w", err)
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() && CheckName(e.Name()) == nil {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// lock takes an exclusive file lock that ends with the process at the latest.
// Whoever holds it may remove the file: a lock on a file that is no longer at
// its path counts for nothing and is taken again.
func lock(file string) (release func(), err error) {
	for {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return nil, fmt.Errorf("lock %s: %w", file, err)
		}
		f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o600)
		if errors.Is(err, fs.ErrNotExist) {
			// The last cluster's folder went away in between.
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("lock %s: %w", file, err)
		}
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", file, err)
		}
		locked, err := f.Stat()
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", file, err)
		}
		if there, err := os.Stat(file); err == nil && os.SameFile(locked, there) {
			return func() { f.Close() }, nil
		}
		f.Close()
	}
}

func lockFile(base, name string) string { return filepath.Join(base, "."+name+".lock") }

func machineLockFile(base string) string { return filepath.Join(base, ".lock") }

// lockCluster keeps two commands from changing one cluster at once.
func lockCluster(base, name string) (release func(), err error) {
	return lock(lockFile(base, name))
}

// allocate makes the cluster's folder and first state, with an index that no
// other cluster has.
func allocate(base string, o Options) (*State, error) {
	release, err := lock(machineLockFile(base))
	if err != nil {
		return nil, err
	}
	defer release()
	names, err := Names(base)
	if err != nil {
		return nil, err
	}
	used := map[int]bool{}
	for _, name := range names {
		if other, err := Load(base, name); err == nil {
			used[other.Index] = true
		}
	}
	for i := range maxClusters {
		if used[i] {
			continue
		}
		s := &State{Options: o, Index: i, Created: time.Now().UTC(), Daemons: map[string]Daemon{}, Bin: map[string]string{}}
		if err := os.MkdirAll(filepath.Join(base, o.Name, "logs"), 0o755); err != nil {
			return nil, fmt.Errorf("make the folder of cluster %s: %w", o.Name, err)
		}
		return s, s.Save(base)
	}
	return nil, fmt.Errorf("all %d places for clusters are taken; end one with kubebot-cluster down --name <name>", maxClusters)
}
