package stack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Gone waits until a local cluster that was taken down has left nothing on this machine. Processes that were ended are
// seen until their parent has heard of it.
func Gone(ctx context.Context, name string) error {
	return Eventually(ctx, time.Minute, 500*time.Millisecond, func(context.Context) error {
		left, err := traces(name)
		if err == nil && len(left) > 0 {
			err = fmt.Errorf("the cluster left %s", strings.Join(left, ", "))
		}
		return err
	})
}

// traces names what a local cluster of the name has on this machine: processes, control groups, its network namespace,
// mounts and files. There is none when it is down. Its firewall rules, links and addresses are in the network namespace
// and go with it.
func traces(name string) ([]string, error) {
	own := "kubebot-" + name
	var found []string
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	for _, dir := range dirs {
		groups, err := os.ReadFile(filepath.Join(dir, "cgroup"))
		if err != nil {
			continue // it has ended meanwhile
		}
		if slices.ContainsFunc(strings.Fields(string(groups)), func(group string) bool {
			_, path, _ := strings.Cut(group, ":/")
			return path == own || strings.HasPrefix(path, own+"/")
		}) {
			found = append(found, "process "+filepath.Base(dir))
		}
	}
	state := cmp.Or(os.Getenv("KUBEBOT_CLUSTER_DIR"), "/var/lib/kubebot-cluster")
	for _, pattern := range []string{
		"/sys/fs/cgroup/" + own, "/sys/fs/cgroup/*/" + own, "/run/netns/" + own, filepath.Join(state, name), filepath.Join(state, name+".*"),
	} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			return nil, fmt.Errorf("look for %s: %w", pattern, err)
		}
		found = append(found, paths...)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("list mounts: %w", err)
	}
	for line := range strings.Lines(string(mounts)) {
		if fields := strings.Fields(line); len(fields) > 4 &&
			(strings.HasPrefix(fields[4], filepath.Join(state, name)+"/") || strings.HasSuffix(fields[4], "/"+own)) {
			found = append(found, "mount "+fields[4])
		}
	}
	return found, nil
}
