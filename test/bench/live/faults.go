package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/test/stack"
)

// fault is one trouble with its truth.
type fault struct {
	name string
	// services are those that a right answer may name: two for what happens between two. kinds likewise.
	services, kinds []string
	// node is the node that a right answer names instead of a service.
	node string
	// alerts can tell of the fault: those of a node share one Incident with whatever else is wrong with it. All of the
	// shop's can where none is named.
	alerts       []string
	inject, mend func(ctx context.Context, b *bench) error
	// after is how long the shop must have run before: what is slow is told by what was usual.
	after time.Duration
}

// usual is how long it takes until a service can be told to be slower than usual: 5 minutes of samples that are 5 minutes
// old (alert ServiceSlow), and what it takes until the first spans are counted.
const usual = 12 * time.Minute

var faults = []fault{
	{
		name: "bad config rollout", services: []string{"catalog"}, kinds: []string{"config"},
		inject: func(ctx context.Context, b *bench) error { return b.BreakShop(ctx) },
		mend:   func(ctx context.Context, b *bench) error { return b.MendShop(ctx) },
	},
	{
		name: "bad image", services: []string{"frontend"}, kinds: []string{"image"},
		inject: rolloutOf("frontend",
			`[{"op":"replace","path":"/spec/template/spec/containers/0/image","value":"ghcr.io/kubebot/shop:v9.9.9"}]`),
		mend: undo("frontend"),
	},
	{
		name: "missing Secret", services: []string{"cart"}, kinds: []string{"config"},
		inject: rolloutOf("cart",
			`[{"op":"add","path":"/spec/template/spec/containers/0/env","value":[{"name":"CART_KEY","valueFrom":{"secretKeyRef":{"name":"cart-key","key":"key"}}}]}]`),
		mend: undo("cart"),
	},
	{
		name: "wrong probe", services: []string{"payment"}, kinds: []string{"config"},
		inject: rolloutOf("payment",
			`[{"op":"replace","path":"/spec/template/spec/containers/0/readinessProbe/httpGet/path","value":"/status"},{"op":"replace","path":"/spec/strategy","value":{"type":"Recreate"}}]`),
		mend: func(ctx context.Context, b *bench) error {
			if err := undo("payment")(ctx, b); err != nil {
				return err
			}
			return rolloutOf("payment", `[{"op":"replace","path":"/spec/strategy","value":{"type":"RollingUpdate"}}]`)(ctx, b)
		},
	},
	{name: "dependency down", services: []string{"cart"}, kinds: []string{"config", "dependency"}, inject: scale("cart", 0), mend: scale("cart", 1)},
	{
		name: "memory leak to OOM", services: []string{"payment"}, kinds: []string{"memory"},
		inject: turn("payment", "memory", `{"bytesPerSecond":4194304,"maxBytes":0}`), mend: off("payment"),
	},
	{
		name: "errors from code", services: []string{"payment"}, kinds: []string{"code"},
		inject: turn("payment", "errors", `{"percent":60}`), mend: off("payment"),
	},
	{
		name: "DNS failure", services: []string{"checkout"}, kinds: []string{"dns"},
		inject: rolloutOf("checkout",
			`[{"op":"add","path":"/spec/template/spec/dnsPolicy","value":"None"},{"op":"add","path":"/spec/template/spec/dnsConfig","value":{"nameservers":["192.0.2.53"],"searches":["shop.svc.cluster.local","svc.cluster.local"]}}]`),
		mend: undo("checkout"),
	},
	{
		name: "full disk", services: []string{"checkout"}, kinds: []string{"disk"},
		inject: turn("checkout", "disk", `{"bytesPerSecond":4194304}`), mend: off("checkout"),
	},
	{
		name: "certificate expiry", services: []string{"payment"}, kinds: []string{"certificate"},
		inject: certificateFor(validShort), mend: certificateFor(validLong),
	},
	{name: "node pressure", node: clusterNode, kinds: []string{"node", "memory"}, alerts: []string{"NodePressure"}, inject: pressNode, mend: easeNode},
	{name: "CPU hog", services: []string{"cart"}, kinds: []string{"cpu"}, inject: turn("cart", "cpu", `{"millicores":400}`), mend: off("cart"), after: usual},
	{
		name: "latency on one edge", services: []string{"payment", "checkout"}, kinds: []string{"network", "dependency", "code"},
		inject: turn("checkout", "latency", `{"milliseconds":300,"dependency":"payment"}`), mend: off("checkout"), after: usual,
	},
	{
		name: "packet loss", services: []string{"catalog", "frontend"}, kinds: []string{"network", "dependency"},
		inject: loss("catalog", "-I"), mend: loss("catalog", "-D"), after: usual,
	},
}

// place is where the fault is, for people.
func (f fault) place() string {
	if f.node != "" {
		return "node " + f.node
	}
	return f.services[0]
}

// tells finds the alert of an Incident that can tell of the fault; without alerts that are named, every Incident can.
func (f fault) tells(inc *v1alpha1.Incident, began time.Time) bool {
	return len(f.alerts) == 0 || slices.ContainsFunc(inc.Status.Alerts, func(a v1alpha1.IncidentAlert) bool {
		return slices.Contains(f.alerts, a.Name) && !a.StartsAt.Time.Before(began.Truncate(time.Second))
	})
}

// fires tells whether an alert that can tell of the fault still fires.
func (f fault) fires(inc *v1alpha1.Incident) bool {
	return slices.ContainsFunc(inc.Status.Alerts, func(a v1alpha1.IncidentAlert) bool {
		return slices.Contains(f.alerts, a.Name) && a.State == v1alpha1.AlertFiring
	})
}

// named tells whether a cause names the service or the node.
func (f fault) named(c v1alpha1.Cause) bool {
	if f.node != "" {
		return c.Object.Kind == "Node" && c.Object.Name == f.node
	}
	return slices.Contains(f.services, service(c)) || c.Object.Kind != "Node" && slices.Contains(f.services, c.Object.Name)
}

// turn turns the fault switch of a service's running pods; it listens on their loopback alone. All of them: callers that
// keep connections open would soon go round a pod that is slow by itself.
func turn(service, kind, setting string) func(context.Context, *bench) error {
	return func(ctx context.Context, b *bench) error {
		pods, err := b.podsOf(ctx, service)
		if err != nil {
			return err
		}
		for _, pod := range pods {
			if _, err := b.Kubectl(ctx, "-n", stack.ShopNamespace, "exec", pod.Name, "--", "/shop", "fault", kind, setting); err != nil {
				return err
			}
		}
		return nil
	}
}

// podsOf lists the pods of a service of the shop.
func (b *bench) podsOf(ctx context.Context, service string) ([]corev1.Pod, error) {
	var pods corev1.PodList
	if err := b.Client.List(ctx, &pods, client.InNamespace(stack.ShopNamespace), client.MatchingLabels{"app.kubernetes.io/name": service}); err != nil {
		return nil, fmt.Errorf("list pods of %s: %w", service, err)
	}
	return pods.Items, nil
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
		pods, err := b.podsOf(ctx, service)
		if err != nil {
			return err
		}
		for _, pod := range pods {
			if err := b.Exec(ctx, strings.Fields(fmt.Sprintf("iptables -w %s FORWARD -d %s -p tcp -m statistic --mode random --probability 0.4 -j DROP",
				how, pod.Status.PodIP))...); err != nil {
				return err
			}
		}
		return nil
	}
}
