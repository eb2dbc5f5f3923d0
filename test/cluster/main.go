// Command kubebot-cluster runs real one-node Kubernetes clusters on this
// machine, each in a network namespace without a way out, and assembles
// container images from static binaries. See README.md.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

// subcommand is one word of the command line and what it does.
type subcommand struct {
	usage, help string
	run         func(ctx context.Context, args []string) error
}

// order is that of the usage text; internal commands are not in it.
var order = []string{"up", "down", "status", "kubeconfig", "exec", "load", "load-components", "image", "pause-apiserver", "kubelet"}

func subcommands() map[string]subcommand {
	return map[string]subcommand{
		"up": {"[--name N] [--kubeconfig FILE] [--audit-log FILE] [--restart-max 10s] [--sync-frequency 10s]",
			"start a cluster, or leave a running one alone", up},
		"down":       {"[--name N | --all] [--logs DIR]", "end a cluster and remove every trace of it", down},
		"status":     {"[--name N]", "what runs; fails when the named cluster is not whole", status},
		"kubeconfig": {"[--name N] [--inside] [--path]", "print the kubeconfig, or where it is", kubeconfig},
		"exec":       {"[--name N] -- COMMAND...", "run a command inside the cluster's network", execute},
		"load":       {"[--name N] IMAGE.tar...", "load image tarballs", load},
		"load-components": {"[--name N] [--kubebot FILE] [--shop FILE] [--only a,b]",
			"assemble and load the images that KubeBot's manifests use", loadComponents},
		"image":           {"build --ref REF --binary FILE [...] -o FILE | list", "make an image tarball without a container engine", imageCommand},
		"pause-apiserver": {"[--name N] [--seconds 30]", "kill the API server and start it again after a while", pauseAPIServer},
		"kubelet": {"[--name N] [--eviction-soft 'memory.available<X']",
			"start the kubelet again, with a soft eviction threshold or as usual", kubelet},
	}
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "kubebot-cluster:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 || args[0] == "help" || args[0] == "-h" || args[0] == "--help" {
		fmt.Print(usage())
		return nil
	}
	if internal, ok := internals[args[0]]; ok {
		return internal(args[1:])
	}
	command, ok := subcommands()[args[0]]
	if !ok {
		return fmt.Errorf("unknown command %q\n%s", args[0], usage())
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	err := command.run(ctx, args[1:])
	if errors.Is(err, errHelp) {
		return nil
	}
	return err
}

func usage() string {
	var b strings.Builder
	b.WriteString("usage: kubebot-cluster <command>\n\n")
	all := subcommands()
	for _, name := range order {
		fmt.Fprintf(&b, "  %s %s\n        %s\n", name, all[name].usage, all[name].help)
	}
	b.WriteString("\nThe name of a cluster is by default dev. Programs come from $KUBEBOT_CACHE/bin,\nwhere test/components/build puts them.\n")
	return b.String()
}
