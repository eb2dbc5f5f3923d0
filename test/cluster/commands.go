package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/kubebot/kubebot/test/cluster/internal/cluster"
	"github.com/kubebot/kubebot/test/cluster/internal/host"
	"github.com/kubebot/kubebot/test/cluster/internal/image"
)

var errHelp = flag.ErrHelp

// internals are the commands by which the program starts its own parts.
var internals = map[string]func(args []string) error{
	cluster.RunCommand:     cluster.Run,
	cluster.ForwardCommand: forward,
	cluster.LookupCommand: func(args []string) error {
		if len(args) != 2 {
			return errors.New("want a server and a name")
		}
		return cluster.Lookup(args[0], args[1])
	},
}

func forward(args []string) error {
	if len(args) != 3 {
		return errors.New("want a port, a namespace and a target")
	}
	listener, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", args[0]))
	if err != nil {
		return fmt.Errorf("forward: %w", err)
	}
	return cluster.Forward(listener, args[1], args[2])
}

// flagsOf makes the flag set of a subcommand with the flag --name.
func flagsOf(command string) (*flag.FlagSet, *string) {
	flags := flag.NewFlagSet(command, flag.ContinueOnError)
	return flags, flags.String("name", "dev", "name of the cluster")
}

func up(ctx context.Context, args []string) error {
	var o cluster.Options
	flags, name := flagsOf("up")
	kubeconfig := flags.String("kubeconfig", "", "also write the kubeconfig to this file")
	flags.StringVar(&o.AuditLog, "audit-log", "", "the API server's audit log (default audit.log in the cluster's folder)")
	flags.DurationVar(&o.RestartMax, "restart-max", 0, "longest pause between restarts of a failing container, at least 1s (default Kubernetes' 5m)")
	flags.DurationVar(&o.SyncFrequency, "sync-frequency", 0, "how late a mounted ConfigMap or Secret follows, at most (default Kubernetes' 1m)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if o.SyncFrequency < 0 || o.RestartMax < 0 {
		return errors.New("--sync-frequency and --restart-max can't be negative")
	}
	if o.RestartMax != 0 && (o.RestartMax < time.Second || o.RestartMax > 5*time.Minute) {
		return fmt.Errorf("--restart-max %s: want between 1s and 5m", o.RestartMax)
	}
	o.Name = *name
	if o.AuditLog != "" {
		abs, err := filepath.Abs(o.AuditLog)
		if err != nil {
			return fmt.Errorf("--audit-log: %w", err)
		}
		o.AuditLog = abs
	}
	base := cluster.DefaultBase()
	state, err := cluster.Up(ctx, base, o, os.Stderr)
	if err != nil {
		return err
	}
	path := state.Plan(base).Kubeconfig()
	if *kubeconfig != "" {
		if err := copyFile(*kubeconfig, path); err != nil {
			return err
		}
		path = *kubeconfig
	}
	fmt.Printf("export KUBECONFIG=%s\n", path)
	return nil
}

func copyFile(to, from string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return fmt.Errorf("copy %s: %w", from, err)
	}
	if err := os.WriteFile(to, data, 0o600); err != nil {
		return fmt.Errorf("copy %s: %w", from, err)
	}
	return nil
}

func down(_ context.Context, args []string) error {
	flags, name := flagsOf("down")
	all := flags.Bool("all", false, "end every cluster")
	logs := flags.String("logs", "", "keep the daemons' logs in this folder")
	if err := flags.Parse(args); err != nil {
		return err
	}
	base := cluster.DefaultBase()
	if !*all {
		return cluster.Down(base, *name, *logs)
	}
	names, err := cluster.Names(base)
	if err != nil {
		return err
	}
	for _, n := range names {
		if err := cluster.Down(base, n, *logs); err != nil {
			return err
		}
	}
	return nil
}

func status(_ context.Context, args []string) error {
	flags, name := flagsOf("status")
	if err := flags.Parse(args); err != nil {
		return err
	}
	base := cluster.DefaultBase()
	names, err := cluster.Names(base)
	if err != nil {
		return err
	}
	for _, n := range names {
		fmt.Println(describe(base, n))
	}
	named := false
	flags.Visit(func(f *flag.Flag) { named = named || f.Name == "name" })
	if !named {
		return nil
	}
	running, err := cluster.Running(base)
	if err != nil {
		return err
	}
	if !slices.Contains(running, *name) {
		return fmt.Errorf("cluster %s is not running", *name)
	}
	return nil
}

func describe(base, name string) string {
	s, err := cluster.Load(base, name)
	if err != nil {
		return fmt.Sprintf("%s: unfinished, up or down cleans it (%v)", name, err)
	}
	p := s.Plan(base)
	text := "running"
	if dead := s.Dead(); len(dead) > 0 {
		text = "ended: " + strings.Join(dead, ", ")
	} else if !s.Ready {
		text = "starting"
	}
	return fmt.Sprintf("%s: %s, since %s, https://127.0.0.1:%d, node %s, netns %s, folder %s",
		name, text, s.Created.Format(time.RFC3339), s.HostPort, p.NodeIP(), p.NetnsName(), p.Dir())
}

func kubeconfig(_ context.Context, args []string) error {
	flags, name := flagsOf("kubeconfig")
	inside := flags.Bool("inside", false, "the one for use inside the cluster's network")
	path := flags.Bool("path", false, "print the file's name instead of its content")
	if err := flags.Parse(args); err != nil {
		return err
	}
	base := cluster.DefaultBase()
	s, err := cluster.Load(base, *name)
	if err != nil {
		return err
	}
	file := s.Plan(base).Kubeconfig()
	if *inside {
		file = s.Plan(base).InsideKubeconfig()
	}
	if *path {
		fmt.Println(file)
		return nil
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read the kubeconfig: %w", err)
	}
	_, err = os.Stdout.Write(data)
	return err
}

func execute(_ context.Context, args []string) error {
	flags, name := flagsOf("exec")
	if err := flags.Parse(args); err != nil {
		return err
	}
	base := cluster.DefaultBase()
	s, err := cluster.Load(base, *name)
	if err != nil {
		return err
	}
	cache, err := cluster.CacheDir()
	if err != nil {
		return err
	}
	p := s.Plan(base)
	for key, value := range map[string]string{
		"KUBECONFIG": p.InsideKubeconfig(),
		"PATH":       filepath.Join(cache, "bin") + ":" + os.Getenv("PATH"),
	} {
		if err := os.Setenv(key, value); err != nil {
			return fmt.Errorf("set %s: %w", key, err)
		}
	}
	return cluster.Become(host.Enter{Netns: p.Netns()}, flags.Args(), os.Environ())
}

func load(ctx context.Context, args []string) error {
	flags, name := flagsOf("load")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() == 0 {
		return errors.New("load: name one or more image tarballs")
	}
	return cluster.LoadFiles(ctx, cluster.DefaultBase(), *name, flags.Args())
}

func loadComponents(ctx context.Context, args []string) error {
	flags, name := flagsOf("load-components")
	kubebot := flags.String("kubebot", "", "KubeBot's own static binary, loaded as "+image.KubeBotRef)
	shop := flags.String("shop", "", "the shop's static binary, loaded as "+image.ShopRef)
	only := flags.String("only", "", "programs to load, separated by commas (default all)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	var wanted []string
	if *only != "" {
		wanted = strings.Split(*only, ",")
	}
	var files []string
	for _, c := range image.Stack() {
		if wanted != nil && !slices.Contains(wanted, c.Program) {
			continue
		}
		wanted = slices.DeleteFunc(wanted, func(w string) bool { return w == c.Program })
		file, err := cluster.Assemble(c)
		if err != nil {
			return err
		}
		files = append(files, file)
	}
	if len(wanted) > 0 {
		return fmt.Errorf("--only: no image has the program %s", strings.Join(wanted, ", "))
	}
	for binary, spec := range map[string]image.Spec{*kubebot: image.KubeBot(*kubebot), *shop: image.Shop(*shop)} {
		if binary == "" {
			continue
		}
		file, err := cluster.AssembleSpec(spec)
		if err != nil {
			return err
		}
		files = append(files, file)
	}
	for i, file := range files {
		fmt.Fprintf(os.Stderr, "cluster: loading image %d of %d, %s\n", i+1, len(files), filepath.Base(file))
		if err := cluster.LoadFiles(ctx, cluster.DefaultBase(), *name, []string{file}); err != nil {
			return err
		}
	}
	return nil
}

func pauseAPIServer(ctx context.Context, args []string) error {
	flags, name := flagsOf("pause-apiserver")
	seconds := flags.Float64("seconds", 30, "how long the API server is away")
	if err := flags.Parse(args); err != nil {
		return err
	}
	pause := time.Duration(*seconds * float64(time.Second))
	return cluster.PauseAPIServer(ctx, cluster.DefaultBase(), *name, pause, os.Stderr)
}

func kubelet(ctx context.Context, args []string) error {
	flags, name := flagsOf("kubelet")
	soft := flags.String("eviction-soft", "", "threshold below which the node is under pressure; pods are evicted an hour later (default none)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	threshold, err := cluster.ParseThreshold(*soft)
	if err != nil {
		return fmt.Errorf("--eviction-soft: %w", err)
	}
	return cluster.RestartKubelet(ctx, cluster.DefaultBase(), *name, threshold, os.Stderr)
}
