// Package host knows the machine: its processes, control groups, capabilities,
// namespaces and mounts. Nothing in it knows Kubernetes.
package host

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode"
)

// Process identifies one process beyond the reuse of its id.
type Process struct {
	PID int `json:"pid"`
	// Start is the process's start time in clock ticks since boot, field 22 of
	// /proc/<pid>/stat.
	Start uint64 `json:"start"`
}

// Lookup gives the identity of a running process.
func Lookup(pid int) (Process, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return Process{}, fmt.Errorf("read the start time of process %d: %w", pid, err)
	}
	_, start, state, err := parseStat(data)
	if err != nil {
		return Process{}, fmt.Errorf("read the start time of process %d: %w", pid, err)
	}
	if state == 'Z' || state == 'X' {
		return Process{}, fmt.Errorf("process %d has ended", pid)
	}
	return Process{PID: pid, Start: start}, nil
}

// Alive tells whether the very process still runs. A zombie counts as ended.
func (p Process) Alive() bool {
	now, err := Lookup(p.PID)
	return err == nil && now.Start == p.Start
}

// parseStat reads the parent's id, the start time and the state from the text
// of /proc/<pid>/stat. The command in parentheses may hold spaces and
// parentheses itself, so fields are counted from the last closing one.
func parseStat(data []byte) (parent int, start uint64, state byte, err error) {
	i := bytes.LastIndexByte(data, ')')
	if i < 0 {
		return 0, 0, 0, errors.New("no command in stat")
	}
	fields := strings.Fields(string(data[i+1:]))
	if len(fields) < 20 {
		return 0, 0, 0, fmt.Errorf("stat has %d fields after the command, want 20 or more", len(fields))
	}
	if s := fields[0]; len(s) != 1 || !unicode.IsLetter(rune(s[0])) {
		return 0, 0, 0, fmt.Errorf("state: %q is no letter", s)
	}
	if parent, err = strconv.Atoi(fields[1]); err != nil {
		return 0, 0, 0, fmt.Errorf("parent: %w", err)
	}
	if start, err = strconv.ParseUint(fields[19], 10, 64); err != nil {
		return 0, 0, 0, fmt.Errorf("start time: %w", err)
	}
	return parent, start, fields[0][0], nil
}

// Ancestors are this process, its parent and so on up to the first process.
func Ancestors() []int {
	pids := []int{os.Getpid()}
	for pid := os.Getppid(); pid > 0; {
		pids = append(pids, pid)
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			break
		}
		parent, _, _, err := parseStat(data)
		if err != nil {
			break
		}
		pid = parent
	}
	return pids
}

// InNetns lists the processes whose network namespace is the one bound at path.
// It is empty when nothing is bound there.
func InNetns(path string) []int {
	var want, got syscall.Stat_t
	if err := syscall.Stat(path, &want); err != nil {
		return nil
	}
	entries, err := filepath.Glob("/proc/[0-9]*/ns/net")
	if err != nil {
		return nil
	}
	var pids []int
	for _, entry := range entries {
		if syscall.Stat(entry, &got) != nil || got.Ino != want.Ino || got.Dev != want.Dev {
			continue
		}
		if pid, err := strconv.Atoi(strings.Split(entry, "/")[2]); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// KillAll ends every process that find names, again and again until it names
// none: a process may start another one between two looks. This process and its
// ancestors are spared.
func KillAll(find func() []int, patience time.Duration) error {
	spared := Ancestors()
	deadline := time.Now().Add(patience)
	for {
		pids := slices.DeleteFunc(find(), func(pid int) bool { return slices.Contains(spared, pid) || ended(pid) })
		if len(pids) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("processes %v still run %s after they were killed", pids, patience)
		}
		for _, pid := range pids {
			// ESRCH means that it ended by itself in the meantime.
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
				return fmt.Errorf("kill process %d: %w", pid, err)
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// ended is true of zombies, which only their parent can remove.
func ended(pid int) bool {
	_, err := Lookup(pid)
	return err != nil
}
