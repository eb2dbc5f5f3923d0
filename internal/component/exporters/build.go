// Package exporters is the component that turns the state of Kubernetes objects (kube-state-metrics) and of nodes
// (node-exporter) into metrics.
package exporters

import (
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/component/pods"
	"github.com/kubebot/kubebot/internal/naming"
)

const (
	// name of the component, and of its ServiceAccount.
	name = "exporters"
	// kubeStateMetrics and nodeExporter name the exporters, their objects and their pods' labels.
	kubeStateMetrics = "kube-state-metrics"
	nodeExporter     = "node-exporter"

	kubeStateMetricsField = "spec.metrics.kubeStateMetrics"
	nodeExporterField     = "spec.metrics.nodeExporter"
)

// Component is kube-state-metrics and node-exporter.
type Component struct{}

// Name implements component.Component.
func (Component) Name() string { return name }

// ConditionType implements component.Component.
func (Component) ConditionType() string { return v1alpha1.ConditionExportersReady }

// Build implements component.Component.
func (Component) Build(in component.Input) ([]client.Object, error) {
	var objects []client.Object
	if s := in.KubeBot.Spec.Metrics.KubeStateMetrics; s.Mode.Managed() {
		img, err := pods.Image(in, kubeStateMetricsField, kubeStateMetricsImage, s.PodSettings)
		if err != nil {
			return nil, err
		}
		objects = append(objects, kubeStateMetricsDeployment(in, img), kubeStateMetricsService(in.KubeBot), kubeStateMetricsPolicy(in))
	}
	if s := in.KubeBot.Spec.Metrics.NodeExporter; s.Mode.Managed() {
		img, err := pods.Image(in, nodeExporterField, nodeExporterImage, s.PodSettings)
		if err != nil {
			return nil, err
		}
		objects = append(objects, nodeExporterDaemonSet(in, img))
	}
	return objects, nil
}

// labels are those of the component, with the exporter's own name.
func labels(kb *v1alpha1.KubeBot, exporter string) map[string]string {
	all := naming.Labels(kb, name)
	all["app.kubernetes.io/name"] = exporter
	return all
}

// nodeExporterName is the name of the DaemonSet in the namespace of node agents, which KubeBots of several namespaces
// share.
func nodeExporterName(in component.Input) string {
	full := naming.Object(in.KubeBot, nodeExporter)
	if in.KubeBot.Namespace != in.Install.ReleaseNamespace {
		full = in.KubeBot.Namespace + "-" + full
	}
	return naming.Bounded(full, 63)
}
