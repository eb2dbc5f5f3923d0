package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/kubebot/kubebot/test/stack"
)

// remove takes the local cluster down, or takes the demo out of an existing one.
func remove(ctx context.Context, root string, log io.Writer) error {
	c := &stack.Cluster{Name: clusterName, Root: root, Log: log, Kubeconfig: filepath.Join(root, "bin", clusterName+".kubeconfig")}
	if !stack.Existing() {
		if err := c.Down(ctx); err != nil {
			return err
		}
		for _, path := range []string{c.Kubeconfig, c.AuditLog()} {
			if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
				return fmt.Errorf("remove %s: %w", path, err)
			}
		}
		fmt.Println("The demo's cluster is gone.")
		return nil
	}
	c.Name, c.Kubeconfig = "", os.Getenv("KUBECONFIG")
	_, uninstall := c.Helm(ctx, "uninstall", stack.Release, "-n", stack.Namespace, "--ignore-not-found", "--wait", "--timeout", "5m")
	_, namespaces := c.Kubectl(ctx, "delete", "namespace", stack.Namespace, stack.SlackNamespace, stack.ShopNamespace, "--ignore-not-found")
	if err := errors.Join(uninstall, namespaces); err != nil {
		return err
	}
	fmt.Println("The demo is out of the cluster. The custom resource definitions stay; delete them with")
	fmt.Println("  kubectl get crd -o name | grep -E 'kubebot.io|monitoring.coreos.com' | xargs kubectl delete")
	return nil
}
