package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Cgroups is the control-group set-up of the machine as found.
type Cgroups struct {
	// Unified is true where version 2 alone is mounted.
	Unified bool
	// Roots are the mount points of every hierarchy, version 1 and 2.
	Roots []string
}

// DetectCgroups reads the mounted hierarchies.
func DetectCgroups() (Cgroups, error) {
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return Cgroups{}, fmt.Errorf("read the mounts: %w", err)
	}
	c := parseCgroups(string(data))
	if len(c.Roots) == 0 {
		return c, errors.New("no cgroup hierarchy is mounted; mount one at /sys/fs/cgroup")
	}
	return c, nil
}

func parseCgroups(mountinfo string) Cgroups {
	var c Cgroups
	v1 := false
	for _, m := range parseMounts(mountinfo) {
		switch m.fsType {
		case "cgroup":
			v1 = true
		case "cgroup2":
		default:
			continue
		}
		if !slices.Contains(c.Roots, m.point) {
			c.Roots = append(c.Roots, m.point)
		}
	}
	c.Unified = !v1 && len(c.Roots) > 0
	return c
}

// Create makes the group in every hierarchy, with the controllers that its
// children need.
func (c Cgroups) Create(group string) error {
	for _, root := range c.Roots {
		if err := c.createIn(root, group); err != nil {
			return fmt.Errorf("create cgroup %s in %s: %w", group, root, err)
		}
	}
	return nil
}

func (c Cgroups) createIn(root, group string) error {
	dir := root
	if err := enableControllers(dir, c.Unified); err != nil {
		return err
	}
	parts := strings.Split(strings.Trim(group, "/"), "/")
	for i, part := range parts {
		dir = filepath.Join(dir, part)
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		if err := inheritCpuset(dir); err != nil {
			return err
		}
		// Version 2 lets no group hold processes and pass controllers on.
		if i < len(parts)-1 || len(parts) == 1 {
			if err := enableControllers(dir, c.Unified); err != nil {
				return err
			}
		}
	}
	return nil
}

// inheritCpuset copies the parent's processors and memory nodes: version 1
// leaves both empty in a new group, which then accepts no process.
func inheritCpuset(dir string) error {
	for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
		own, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil || strings.TrimSpace(string(own)) != "" {
			continue
		}
		parent, err := os.ReadFile(filepath.Join(filepath.Dir(dir), file))
		if err != nil || strings.TrimSpace(string(parent)) == "" {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, file), parent, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// enableControllers passes every available controller to the children of a
// version 2 group.
func enableControllers(dir string, unified bool) error {
	if !unified {
		return nil
	}
	data, err := os.ReadFile(filepath.Join(dir, "cgroup.controllers"))
	if err != nil {
		return err
	}
	for _, controller := range strings.Fields(string(data)) {
		err := os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("+"+controller), 0o644)
		if err != nil && needsController(controller) {
			return fmt.Errorf("pass controller %s on (a container's own top group cannot while it holds processes): %w", controller, err)
		}
	}
	return nil
}

func needsController(name string) bool {
	return slices.Contains([]string{"cpu", "cpuset", "memory", "pids"}, name)
}

// Join moves a process into the group in every hierarchy.
func (c Cgroups) Join(group string, pid int) error {
	for _, root := range c.Roots {
		file := filepath.Join(root, group, "cgroup.procs")
		if err := os.WriteFile(file, []byte(strconv.Itoa(pid)), 0o644); err != nil {
			return fmt.Errorf("move process %d to cgroup %s: %w", pid, filepath.Join(root, group), err)
		}
	}
	return nil
}

// Processes lists those in the group and below it, in any hierarchy.
func (c Cgroups) Processes(group string) []int {
	seen := map[int]bool{}
	for _, root := range c.Roots {
		for _, dir := range groupDirs(filepath.Join(root, group)) {
			data, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
			if err != nil {
				continue
			}
			for _, field := range strings.Fields(string(data)) {
				if pid, err := strconv.Atoi(field); err == nil && pid > 0 {
					seen[pid] = true
				}
			}
		}
	}
	pids := make([]int, 0, len(seen))
	for pid := range seen {
		pids = append(pids, pid)
	}
	slices.Sort(pids)
	return pids
}

// Remove deletes the group and all below it; no process may be left in them.
// The kernel takes a moment to let go of ended processes, so it tries again
// until patience ends.
func (c Cgroups) Remove(group string, patience time.Duration) error {
	deadline := time.Now().Add(patience)
	for {
		err := c.removeOnce(group)
		if err == nil || time.Now().After(deadline) {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (c Cgroups) removeOnce(group string) error {
	for _, root := range c.Roots {
		dirs := groupDirs(filepath.Join(root, group))
		slices.Reverse(dirs)
		for _, dir := range dirs {
			if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("remove cgroup: %w", err)
			}
		}
	}
	return nil
}

// groupDirs lists the group's folder and those below it, parents first.
func groupDirs(top string) []string {
	var dirs []string
	// A group may vanish during the walk; what is left is still listed.
	_ = filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			dirs = append(dirs, path)
		}
		return nil
	})
	return dirs
}
