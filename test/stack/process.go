package stack

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
)

// Process is a process of a pod in a local cluster.
type Process struct {
	PID int
	// PodUID is the UID of the pod that it belongs to.
	PodUID string
}

var podInCgroup = regexp.MustCompile(`/pod([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})/`)

// Processes finds the processes of the cluster's pods whose command line begins with the words. Other clusters may run
// on this machine; each has a cgroup by its name.
func (c *Cluster) Processes(words string) ([]Process, error) {
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var found []Process
	for _, path := range lines {
		line, err := os.ReadFile(path)
		if err != nil || !strings.HasPrefix(strings.ReplaceAll(string(line), "\x00", " "), words+" ") {
			continue
		}
		groups, err := os.ReadFile(filepath.Join(filepath.Dir(path), "cgroup"))
		if err != nil || !strings.Contains(string(groups), ":/kubebot-"+c.Name+"/") {
			continue
		}
		pod := podInCgroup.FindStringSubmatch(string(groups))
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err == nil && pod != nil {
			found = append(found, Process{PID: pid, PodUID: pod[1]})
		}
	}
	return found, nil
}

// Kill sends SIGKILL.
func (p Process) Kill() error {
	if err := syscall.Kill(p.PID, syscall.SIGKILL); err != nil {
		return fmt.Errorf("kill process %d: %w", p.PID, err)
	}
	return nil
}
