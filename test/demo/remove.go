package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/kubebot/kubebot/test/stack"
)

// remove takes the local cluster down, or takes the demo out of an existing one.
func remove(ctx context.Context, root string, log io.Writer) error {
	c := &stack.Cluster{Name: clusterName, Root: root, Log: log, Kubeconfig: filepath.Join(root, "bin", clusterName+".kubeconfig")}
	if !stack.Existing() {
		// Without the program no cluster was ever booted: `make demo` was stopped while it built.
		if err := c.Down(ctx); err != nil && !errors.Is(err, exec.ErrNotFound) {
			return err
		}
		for _, path := range []string{c.Kubeconfig, c.AuditLog(), filepath.Join(root, "bin", clusterName+".log")} {
			if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
				return fmt.Errorf("remove %s: %w", path, err)
			}
		}
		if err := stack.Gone(ctx, clusterName); err != nil {
			return err
		}
		fmt.Println("The demo's cluster is gone.")
		return nil
	}
	c.Name, c.Kubeconfig = "", os.Getenv("KUBECONFIG")
	if err := c.Remove(ctx); err != nil {
		return err
	}
	fmt.Println("The demo is out of the cluster. The custom resource definitions stay; delete them with")
	fmt.Println("  kubectl get crd -o name | grep -E 'kubebot.io|monitoring.coreos.com' | xargs kubectl delete")
	return nil
}
