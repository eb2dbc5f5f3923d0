package cluster

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/kubebot/kubebot/test/cluster/internal/host"
)

// RunCommand is the hidden subcommand by which a daemon is started: it enters
// the cluster's namespaces and group and becomes the daemon.
const RunCommand = "internal-run"

// Run is RunCommand. It returns only with an error.
func Run(args []string) error {
	var enter host.Enter
	flags := flag.NewFlagSet(RunCommand, flag.ContinueOnError)
	flags.StringVar(&enter.Netns, "netns", "", "network namespace to enter")
	flags.IntVar(&enter.MountsOf, "mounts-of", 0, "process whose mounts to share")
	flags.BoolVar(&enter.NewMounts, "new-mounts", false, "make mounts of its own")
	flags.StringVar(&enter.KeepNetns, "keep-netns", "", "network namespace to keep in new mounts")
	flags.StringVar(&enter.Cgroup, "cgroup", "", "group to join")
	flags.Func("bind", "source:target to mount", func(v string) error {
		source, target, ok := strings.Cut(v, ":")
		if !ok {
			return errors.New("want source:target")
		}
		enter.Binds = append(enter.Binds, host.Bind{Source: source, Target: target})
		return nil
	})
	if err := flags.Parse(args); err != nil {
		return err
	}
	return Become(enter, flags.Args(), os.Environ())
}

// Become enters and then replaces this process by the program.
func Become(enter host.Enter, argv, env []string) error {
	if len(argv) == 0 {
		return errors.New("no program given")
	}
	program, err := exec.LookPath(argv[0])
	if err != nil {
		return fmt.Errorf("find the program: %w", err)
	}
	if err := enter.Apply(); err != nil {
		return err
	}
	if err := syscall.Exec(program, argv, env); err != nil {
		return fmt.Errorf("run %s: %w", program, err)
	}
	return nil
}

// spawn starts a daemon in a session of its own, with its output in
// logs/<name>.log, and records it.
func (s *State) spawn(base, name string, run, argv []string) error {
	p := s.Plan(base)
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	log, err := os.OpenFile(p.Path("logs", name+".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	defer log.Close()
	args := append(append([]string{RunCommand}, run...), append([]string{"--"}, argv...)...)
	cmd := exec.Command(self, args...)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=" + daemonPath(s.Bin), "HOME=" + p.Dir(), "GOTRACEBACK=all"}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	process, err := host.Lookup(cmd.Process.Pid)
	if err != nil {
		return fmt.Errorf("start %s: it ended at once: %w\n%s", name, err, logTail(p, name))
	}
	// Collects it if it ends while this command still runs.
	go func() { _ = cmd.Wait() }()
	s.Daemons[name] = Daemon{Process: process, Args: argv, Run: run}
	return s.Save(base)
}

// logTail gives the last lines of a daemon's log, for error messages.
func logTail(p Plan, name string) string {
	const most = 3000
	file := p.Path("logs", name+".log")
	f, err := os.Open(file)
	if err != nil {
		return ""
	}
	defer f.Close()
	if end, err := f.Seek(0, io.SeekEnd); err == nil && end > most {
		if _, err := f.Seek(end-most, io.SeekStart); err != nil {
			return ""
		}
	} else if _, err := f.Seek(0, io.SeekStart); err != nil {
		return ""
	}
	data, err := io.ReadAll(f)
	if err != nil || len(data) == 0 {
		return ""
	}
	return fmt.Sprintf("--- end of %s:\n%s", filepath.Base(file), data)
}
