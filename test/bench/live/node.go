package main

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// clusterNode is the one node of the benchmark's cluster.
const clusterNode = "kubebot-" + clusterName

// pressNode lets the kubelet ask for more free memory than there is, by a soft threshold of all that the node has: what it
// measures is below, and nothing is evicted within an hour.
func pressNode(ctx context.Context, b *bench) error {
	var node corev1.Node
	if err := b.Client.Get(ctx, client.ObjectKey{Name: clusterNode}, &node); err != nil {
		return fmt.Errorf("ask how much memory the node has: %w", err)
	}
	return b.RestartKubelet(ctx, "memory.available<"+node.Status.Capacity.Memory().String())
}

// easeNode lets the kubelet run as usual again.
func easeNode(ctx context.Context, b *bench) error { return b.RestartKubelet(ctx, "") }
