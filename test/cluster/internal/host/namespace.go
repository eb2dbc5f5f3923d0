package host

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"
)

// Bind is one folder shown in place of another inside a mount namespace.
type Bind struct{ Source, Target string }

// Enter says what a process gives itself before it becomes another program.
type Enter struct {
	// Netns is the file of a network namespace, or empty.
	Netns string
	// MountsOf is a process whose mount namespace is joined, or 0.
	MountsOf int
	// NewMounts makes a mount namespace of its own, in which Binds are mounted.
	NewMounts bool
	Binds     []Bind
	// KeepNetns is the one file of a network namespace that stays bound in new
	// mounts; the others are let go of.
	KeepNetns string
	// Cgroup is a group that exists, or empty.
	Cgroup string
}

// Apply changes the calling thread, to which the caller's goroutine stays
// locked: namespaces belong to a thread, and only what that thread does or
// executes next is inside them.
func (e Enter) Apply() error {
	runtime.LockOSThread()
	if err := e.joinCgroup(); err != nil {
		return err
	}
	if err := e.enterMounts(); err != nil {
		return err
	}
	if e.Netns == "" {
		return nil
	}
	return setns(e.Netns, unix.CLONE_NEWNET)
}

func (e Enter) joinCgroup() error {
	if e.Cgroup == "" {
		return nil
	}
	cgroups, err := DetectCgroups()
	if err != nil {
		return err
	}
	return cgroups.Join(e.Cgroup, os.Getpid())
}

func (e Enter) enterMounts() error {
	if e.MountsOf > 0 {
		// The kernel refuses while other threads share this one's root.
		if err := unix.Unshare(unix.CLONE_FS); err != nil {
			return fmt.Errorf("unshare the file system state: %w", err)
		}
		return setns(fmt.Sprintf("/proc/%d/ns/mnt", e.MountsOf), unix.CLONE_NEWNS)
	}
	if !e.NewMounts {
		return nil
	}
	if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("make a mount namespace: %w", err)
	}
	// First a slave, so that nothing mounted here reaches the machine, then
	// shared, so that pods with mount propagation work.
	for _, flags := range []uintptr{unix.MS_REC | unix.MS_SLAVE, unix.MS_REC | unix.MS_SHARED} {
		if err := unix.Mount("", "/", "", flags, ""); err != nil {
			return fmt.Errorf("set the propagation of mounts: %w", err)
		}
	}
	dropNetns(e.KeepNetns)
	for _, b := range e.Binds {
		if err := unix.Mount(b.Source, b.Target, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return fmt.Errorf("mount %s at %s: %w", b.Source, b.Target, err)
		}
	}
	return nil
}

// dropNetns lets go of the network namespaces bound under /run/netns, which a
// new mount namespace would otherwise keep alive after their deletion.
func dropNetns(keep string) {
	entries, err := filepath.Glob("/run/netns/*")
	if err != nil {
		return
	}
	for _, entry := range entries {
		if filepath.Base(entry) != filepath.Base(keep) {
			// Not every entry is a mount.
			_ = unix.Unmount(entry, unix.MNT_DETACH)
		}
	}
}

func setns(path string, kind int) error {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open namespace %s: %w", path, err)
	}
	defer unix.Close(fd)
	if err := unix.Setns(fd, kind); err != nil {
		return fmt.Errorf("enter namespace %s: %w", path, err)
	}
	return nil
}
