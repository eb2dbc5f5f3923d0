package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/test/stack"
)

// fault is one trouble with its truth.
type fault struct {
	name string
	// services are those that a right answer may name: two for what happens between two. kinds likewise.
	services, kinds []string
	inject, mend    func(ctx context.Context, b *bench) error
	// after is how long the shop must have run before: what is slow is told by what was usual.
	after time.Duration
}

// usual is how long it takes until a service can be told to be slower than usual: 5 minutes of samples that are 5 minutes
// old (alert ServiceSlow), and what it takes until the first spans are counted.
const usual = 12 * time.Minute

// leftOut are faults of the list that this cluster can't play.
var leftOut = map[string]string{
	"node pressure":      "the one node of the local cluster also runs the control plane and the stack that measures",
	"certificate expiry": "the shop speaks plain HTTP and gRPC: it has no certificate",
}

var faults = []fault{
	{
		name: "bad config rollout", services: []string{"catalog"}, kinds: []string{"config"},
		inject: func(ctx context.Context, b *bench) error { return b.BreakShop(ctx) },
		mend:   func(ctx context.Context, b *bench) error { return b.MendShop(ctx) },
	},
	{name: "bad image", services: []string{"frontend"}, kinds: []string{"image"}, inject: rolloutOf("frontend", `[{"op":"replace","path":"/spec/template/spec/containers/0/image","value":"ghcr.io/kubebot/shop:v9.9.9"}]`), mend: undo("frontend")},
	{name: "missing Secret", services: []string{"cart"}, kinds: []string{"config"}, inject: rolloutOf("cart", `[{"op":"add","path":"/spec/template/spec/containers/0/env","value":[{"name":"CART_KEY","valueFrom":{"secretKeyRef":{"name":"cart-key","key":"key"}}}]}]`), mend: undo("cart")},
	{name: "wrong probe", services: []string{"payment"}, kinds: []string{"config"}, inject: rolloutOf("payment", `[{"op":"replace","path":"/spec/template/spec/containers/0/readinessProbe/httpGet/path","value":"/status"},{"op":"replace","path":"/spec/strategy","value":{"type":"Recreate"}}]`), mend: func(ctx context.Context, b *bench) error {
		if err := undo("payment")(ctx, b); err != nil {
			return err
		}
		return rolloutOf("payment", `[{"op":"replace","path":"/spec/strategy","value":{"type":"RollingUpdate"}}]`)(ctx, b)
	}},
	{name: "dependency down", services: []string{"cart"}, kinds: []string{"config", "dependency"}, inject: scale("cart", 0), mend: scale("cart", 1)},
	{name: "memory leak to OOM", services: []string{"payment"}, kinds: []string{"memory"}, inject: turn("payment", "memory", `{"bytesPerSecond":4194304,"maxBytes":0}`), mend: off("payment")},
	{name: "errors from code", services: []string{"payment"}, kinds: []string{"code"}, inject: turn("payment", "errors", `{"percent":60}`), mend: off("payment")},
	{name: "DNS failure", services: []string{"checkout"}, kinds: []string{"dns"}, inject: rolloutOf("checkout", `[{"op":"add","path":"/spec/template/spec/dnsPolicy","value":"None"},{"op":"add","path":"/spec/template/spec/dnsConfig","value":{"nameservers":["192.0.2.53"],"searches":["shop.svc.cluster.local","svc.cluster.local"]}}]`), mend: undo("checkout")},
	{name: "full disk", services: []string{"checkout"}, kinds: []string{"disk"}, inject: turn("checkout", "disk", `{"bytesPerSecond":4194304}`), mend: off("checkout")},
	{name: "CPU hog", services: []string{"cart"}, kinds: []string{"cpu"}, inject: turn("cart", "cpu", `{"millicores":400}`), mend: off("cart"), after: usual},
	{name: "latency on one edge", services: []string{"payment", "checkout"}, kinds: []string{"network", "dependency", "code"}, inject: turn("checkout", "latency", `{"milliseconds":300,"dependency":"payment"}`), mend: off("checkout"), after: usual},
	{name: "packet loss", services: []string{"catalog", "frontend"}, kinds: []string{"network", "dependency"}, inject: loss("catalog", "-I"), mend: loss("catalog", "-D"), after: usual},
}

// turn turns the fault switch of a running service; it listens on the pod's loopback alone.
func turn(service, kind, setting string) func(context.Context, *bench) error {
	return func(ctx context.Context, b *bench) error {
		_, err := b.Kubectl(ctx, "-n", stack.ShopNamespace, "exec", "deploy/"+service, "--", "/shop", "fault", kind, setting)
		return err
	}
}

// off turns every fault of a service off. A new pod has none, and leaves nothing of what a fault filled.
func off(service string) func(context.Context, *bench) error {
	return func(ctx context.Context, b *bench) error {
		_, err := b.Kubectl(ctx, "-n", stack.ShopNamespace, "delete", "pod", "-l", "app.kubernetes.io/name="+service, "--wait=false")
		return err
	}
}

// rolloutOf changes a Deployment by a JSON patch, as a careless person would.
func rolloutOf(service, patch string) func(context.Context, *bench) error {
	return func(ctx context.Context, b *bench) error {
		_, err := b.Kubectl(ctx, "-n", stack.ShopNamespace, "patch", "deployment", service, "--type=json", "-p", patch)
		return err
	}
}

func undo(service string) func(context.Context, *bench) error {
	return func(ctx context.Context, b *bench) error {
		_, err := b.Kubectl(ctx, "-n", stack.ShopNamespace, "rollout", "undo", "deployment", service)
		return err
	}
}

func scale(service string, replicas int) func(context.Context, *bench) error {
	return func(ctx context.Context, b *bench) error {
		_, err := b.Kubectl(ctx, "-n", stack.ShopNamespace, "scale", "deployment", service, fmt.Sprintf("--replicas=%d", replicas))
		return err
	}
}

// loss drops packets to the pods of a service in the cluster's network namespace: -I begins it, -D ends it.
func loss(service, how string) func(context.Context, *bench) error {
	return func(ctx context.Context, b *bench) error {
		var pods corev1.PodList
		if err := b.Client.List(ctx, &pods, client.InNamespace(stack.ShopNamespace), client.MatchingLabels{"app.kubernetes.io/name": service}); err != nil {
			return fmt.Errorf("list pods of %s: %w", service, err)
		}
		for _, pod := range pods.Items {
			if err := b.Exec(ctx, strings.Fields(fmt.Sprintf("iptables -w %s FORWARD -d %s -p tcp -m statistic --mode random --probability 0.4 -j DROP", how, pod.Status.PodIP))...); err != nil {
				return err
			}
		}
		return nil
	}
}
