package gather

import (
	"context"
	"errors"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
)

// Cluster returns what the cluster has. It is read anew every few seconds at most.
func (g *Gatherer) Cluster(ctx context.Context) (component.Cluster, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.known.IsZero() && g.Now().Sub(g.known) < clusterFor {
		return g.cluster, nil
	}
	kinds, err := g.kinds()
	if err != nil {
		return component.Cluster{}, err
	}
	uid := g.cluster.UID
	if uid == "" {
		if uid, err = g.NamespaceUID(ctx, metav1.NamespaceSystem); err != nil {
			return component.Cluster{}, err
		}
	}
	plane, err := g.controlPlane(ctx)
	if err != nil {
		return component.Cluster{}, err
	}
	g.cluster = component.Cluster{UID: uid, Kinds: kinds, ControlPlane: plane}
	g.known = g.Now()
	return g.cluster, nil
}

// kinds returns the kinds that the API server serves. Those of a group whose server does not answer stay as they were.
func (g *Gatherer) kinds() (map[schema.GroupVersionKind]bool, error) {
	_, lists, err := g.Discovery.ServerGroupsAndResources()
	kinds := map[schema.GroupVersionKind]bool{}
	var partial *discovery.ErrGroupDiscoveryFailed
	switch {
	case errors.As(err, &partial):
		for gvk := range maps.Keys(g.cluster.Kinds) {
			if partial.Groups[gvk.GroupVersion()] != nil {
				kinds[gvk] = true
			}
		}
	case err != nil:
		return nil, fmt.Errorf("discover the kinds of the API server: %w", err)
	}
	for _, list := range lists {
		version, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			return nil, fmt.Errorf("discover the kinds of the API server: %w", err)
		}
		for _, resource := range list.APIResources {
			kinds[version.WithKind(resource.Kind)] = true
		}
	}
	return kinds, nil
}

// controlPlane tells which parts of the control plane run as pods that can be found: by the labels that kubeadm and
// those who follow it give them. A managed control plane shows none but its API server.
func (g *Gatherer) controlPlane(ctx context.Context) (map[string]bool, error) {
	plane := map[string]bool{"kube-apiserver": true}
	for _, label := range []string{"component", "k8s-app"} {
		list := &metav1.PartialObjectMetadataList{}
		list.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("PodList"))
		err := g.Reader.List(ctx, list, client.InNamespace(metav1.NamespaceSystem), client.HasLabels{label})
		if apierrors.IsForbidden(err) {
			return plane, nil
		}
		if err != nil {
			return nil, fmt.Errorf("list the pods of the control plane: %w", err)
		}
		for i := range list.Items {
			switch name := list.Items[i].Labels[label]; name {
			case "kube-scheduler", "kube-controller-manager", "kube-proxy", "etcd":
				plane[name] = true
			}
		}
	}
	return plane, nil
}

// foreignExporters are the Services by which an exporter of somebody else is known, by the label
// app.kubernetes.io/name that its own manifests and charts give it.
var foreignExporters = map[string][]string{
	"kube-state-metrics": {"kube-state-metrics"},
	"node-exporter":      {"node-exporter", "prometheus-node-exporter"},
}

// sources tells which sources of metrics the stack has. An exporter that KubeBot does not run counts when the cluster
// has a Service of one.
func (g *Gatherer) sources(ctx context.Context, kb *v1alpha1.KubeBot) (map[string]bool, error) {
	m := kb.Spec.Metrics
	found := map[string]bool{
		"kubelet":            m.Prometheus.Mode != v1alpha1.ModeDisabled,
		"cadvisor":           m.Prometheus.Mode != v1alpha1.ModeDisabled,
		"prometheus":         m.Prometheus.Mode != v1alpha1.ModeDisabled,
		"alertmanager":       m.Alertmanager.Mode != v1alpha1.ModeDisabled,
		"responder":          true,
		"kube-state-metrics": m.KubeStateMetrics.Mode.Managed(),
		"node-exporter":      m.NodeExporter.Mode.Managed(),
	}
	for exporter, names := range foreignExporters {
		if found[exporter] {
			continue
		}
		var err error
		if found[exporter], err = g.foreign(ctx, names); err != nil {
			return nil, err
		}
	}
	return found, nil
}

func (g *Gatherer) foreign(ctx context.Context, names []string) (bool, error) {
	for _, name := range names {
		list := &metav1.PartialObjectMetadataList{}
		list.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("ServiceList"))
		err := g.Reader.List(ctx, list, client.MatchingLabels{"app.kubernetes.io/name": name}, client.Limit(1))
		if apierrors.IsForbidden(err) {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("list Services of %s: %w", name, err)
		}
		if len(list.Items) > 0 {
			return true, nil
		}
	}
	return false, nil
}
