package stack

import (
	"context"
	"fmt"
	"path/filepath"
	"time"
)

// ShopNamespace is where the shop runs.
const ShopNamespace = "shop"

// DeployShop deploys the shop with its load and waits until the KubeBot has seen it serve for 10 seconds: who calls whom is
// known only of what has run for some scrapes.
func (c *Cluster) DeployShop(ctx context.Context, kubebot string) error {
	if _, err := c.Kubectl(ctx, "apply", "-k", filepath.Join(c.Root, "test", "shop", "manifests")); err != nil {
		return err
	}
	if err := Eventually(ctx, 2*time.Minute, time.Second, func(ctx context.Context) error {
		return c.PodsReady(ctx, ShopNamespace, 7)
	}); err != nil {
		return err
	}
	return Eventually(ctx, 4*time.Minute, 2*time.Second, func(ctx context.Context) error {
		serving, err := c.Query(ctx, kubebot, `kubebot:workload_server_requests:rate{namespace="`+ShopNamespace+`"} offset 10s > 0`)
		if err == nil && len(serving) < shopServers {
			err = fmt.Errorf("%d of %d services of the shop have served for 10 seconds", len(serving), shopServers)
		}
		return err
	})
}

// shopServers is how many workloads of the shop serve requests.
const shopServers = 5

// BreakShop rolls out a configuration with which requests fail although every pod is Ready.
func (c *Cluster) BreakShop(ctx context.Context) error {
	_, err := c.Kubectl(ctx, "-n", ShopNamespace, "patch", "deployment", "catalog",
		"--patch-file", filepath.Join(c.Root, "test", "shop", "manifests", "bad-rollout.yaml"))
	return err
}

// MendShop rolls back.
func (c *Cluster) MendShop(ctx context.Context) error {
	_, err := c.Kubectl(ctx, "-n", ShopNamespace, "rollout", "undo", "deployment", "catalog")
	return err
}
