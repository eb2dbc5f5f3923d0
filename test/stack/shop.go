package stack

import (
	"context"
	"path/filepath"
	"time"
)

// ShopNamespace is where the shop runs.
const ShopNamespace = "shop"

// DeployShop deploys the shop with its load and waits until it serves.
func (c *Cluster) DeployShop(ctx context.Context) error {
	if _, err := c.Kubectl(ctx, "apply", "-k", filepath.Join(c.Root, "test", "shop", "manifests")); err != nil {
		return err
	}
	return Eventually(ctx, 2*time.Minute, time.Second, func(ctx context.Context) error {
		return c.PodsReady(ctx, ShopNamespace, 7)
	})
}

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
