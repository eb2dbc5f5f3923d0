package host

import (
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"
	"unicode"
)

func TestStatIsReadPastACommandWithParentheses(t *testing.T) {
	const line = "42 (a) b (c)) S 7 42 42 0 -1 4194560 100 0 0 0 1 2 0 0 20 0 1 0 987654 1000 2000"
	parent, start, state, err := parseStat([]byte(line))
	if err != nil || parent != 7 || start != 987654 || state != 'S' {
		t.Fatalf("parent %d, start %d, state %c, error %v; want 7, 987654, S, none", parent, start, state, err)
	}
}

func TestStatOfAnotherShapeIsAnError(t *testing.T) {
	for _, line := range []string{"", "42 (a", "42 (a) S 7", "42 (a) \x00 7 42 42 0 -1 4194560 100 0 0 0 1 2 0 0 20 0 1 0 1 2", "42 (a) S x 42 42 0 -1 4194560 100 0 0 0 1 2 0 0 20 0 1 0 1 2"} {
		if _, _, _, err := parseStat([]byte(line)); err == nil {
			t.Errorf("%q was accepted", line)
		}
	}
}

func FuzzStat(f *testing.F) {
	f.Add([]byte("42 (a) b (c)) S 7 42 42 0 -1 4194560 100 0 0 0 1 2 0 0 20 0 1 0 987654 1000 2000"))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, _, state, err := parseStat(data)
		if err == nil && !unicode.IsLetter(rune(state)) {
			t.Errorf("accepted with the state %q", state)
		}
	})
}

func TestAProcessIsAliveUntilItIsKilled(t *testing.T) {
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p, err := Lookup(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	other := Process{PID: p.PID, Start: p.Start + 1}
	if !p.Alive() || other.Alive() {
		t.Errorf("alive %t, with another start time %t; want true, false", p.Alive(), other.Alive())
	}
	// Not waited for: a zombie counts as ended.
	if err := KillAll(func() []int { return []int{p.PID} }, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	if p.Alive() {
		t.Error("alive after it was killed")
	}
	_ = cmd.Wait()
}

func TestKillingSparesThisProcessAndItsAncestors(t *testing.T) {
	if err := KillAll(Ancestors, time.Second); err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(Ancestors(), os.Getpid()) || !slices.Contains(Ancestors(), os.Getppid()) {
		t.Errorf("ancestors %v lack %d or %d", Ancestors(), os.Getpid(), os.Getppid())
	}
}

const (
	mountsV1 = `21 1 0:20 / /sys rw,nosuid - sysfs sysfs rw
30 21 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
31 30 0:27 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
32 30 0:28 / /sys/fs/cgroup/cpu\040and\040more rw,relatime shared:7 - cgroup cgroup rw,cpu
33 30 0:29 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
`
	mountsV2 = "31 30 0:27 / /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw\n"
)

func TestCgroupVersionIsFoundFromTheMounts(t *testing.T) {
	for _, c := range []struct {
		name, mounts string
		unified      bool
		roots        []string
	}{
		{"version 1 with a unified hierarchy", mountsV1, false, []string{"/sys/fs/cgroup/memory", "/sys/fs/cgroup/cpu and more", "/sys/fs/cgroup/unified"}},
		{"version 2", mountsV2, true, []string{"/sys/fs/cgroup"}},
		{"none", "21 1 0:20 / /sys rw - sysfs sysfs rw\n", false, nil},
		{"broken lines", "x\n - \n1 2 3 4 5 -", false, nil},
	} {
		got := parseCgroups(c.mounts)
		if got.Unified != c.unified || !slices.Equal(got.Roots, c.roots) {
			t.Errorf("%s: %+v, want unified %t and %q", c.name, got, c.unified, c.roots)
		}
	}
}

func FuzzMounts(f *testing.F) {
	f.Add(mountsV1)
	f.Fuzz(func(t *testing.T, text string) {
		for _, m := range parseMounts(text) {
			if m.fsType == "" {
				t.Errorf("a mount without a type: %+v", m)
			}
		}
	})
}

// The unified layout is a plain tree of files: everything but the kernel's own
// checks works on an ordinary folder.
func TestGroupsAreMadeListedAndRemovedInEveryHierarchy(t *testing.T) {
	c := Cgroups{Roots: []string{t.TempDir(), t.TempDir()}}
	for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
		if err := os.WriteFile(c.Roots[0]+"/"+file, []byte("0-1\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Create("/kubebot-x/system"); err != nil {
		t.Fatal(err)
	}
	for i, pids := range []string{"12\n7\n", "7\n"} {
		if err := os.WriteFile(c.Roots[i]+"/kubebot-x/system/cgroup.procs", []byte(pids), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got := c.Processes("/kubebot-x"); !slices.Equal(got, []int{7, 12}) {
		t.Errorf("processes %v, want 7 and 12", got)
	}
	for _, root := range c.Roots {
		if err := os.Remove(root + "/kubebot-x/system/cgroup.procs"); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Remove("/kubebot-x", time.Second); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(c.Roots[1] + "/kubebot-x"); !os.IsNotExist(err) {
		t.Errorf("the group is still there: %v", err)
	}
	if err := c.Remove("/kubebot-x", time.Second); err != nil {
		t.Errorf("removing what is not there: %v", err)
	}
}

func TestCpusetIsInheritedOnlyWhereItIsEmpty(t *testing.T) {
	dir := t.TempDir()
	for file, text := range map[string]string{"cpuset.cpus": "0-3\n", "cpuset.mems": "0\n", "g/cpuset.cpus": "\n", "g/cpuset.mems": "1\n"} {
		if err := os.MkdirAll(dir+"/g", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(dir+"/"+file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := inheritCpuset(dir + "/g"); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{"g/cpuset.cpus": "0-3\n", "g/cpuset.mems": "1\n"} {
		if got, err := os.ReadFile(dir + "/" + file); err != nil || string(got) != want {
			t.Errorf("%s is %q (%v), want %q", file, got, err, want)
		}
	}
}

func TestCapabilitiesAreReadFromTheEffectiveSet(t *testing.T) {
	const status = "Name:\tx\nCapPrm:\tffffffffffffffff\nCapEff:\t000001fffeffffff\n"
	for capability, want := range map[int]bool{21: true, 24: false, 40: true, 41: false} {
		if got, err := capabilityIn(status, capability); err != nil || got != want {
			t.Errorf("capability %d: %t, %v; want %t", capability, got, err, want)
		}
	}
	for _, bad := range []string{"", "CapEff:\tzz\n"} {
		if _, err := capabilityIn(bad, 24); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func TestAFolderIsNotBelowItsNamesake(t *testing.T) {
	for path, want := range map[string]bool{"/a/b": true, "/a/b/c": true, "/a/bc": false, "/a": false} {
		if got := below(path, "/a/b"); got != want {
			t.Errorf("%s below /a/b: %t, want %t", path, got, want)
		}
	}
}
