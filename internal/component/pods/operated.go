package pods

import (
	"regexp"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/naming"
)

// OperatorAnnotations returns what binds a resource of the Prometheus Operator to the operator that the chart shipped.
func OperatorAnnotations(in component.Input) map[string]string {
	if in.Install.PrometheusOperatorID == "" {
		return nil
	}
	return map[string]string{"operator.prometheus.io/controller-id": in.Install.PrometheusOperatorID}
}

// OperatedLabels returns KubeBot's labels for pods that the Prometheus Operator makes, without those that it sets to
// values of its own.
func OperatedLabels(kb *v1alpha1.KubeBot, name string) map[string]string {
	labels := naming.Labels(kb, name)
	delete(labels, "app.kubernetes.io/instance")
	delete(labels, "app.kubernetes.io/managed-by")
	return labels
}

var versionTag = regexp.MustCompile(`:v?([0-9]+\.[0-9]+\.[0-9]+)([-@].*)?$`)

// Version returns the version, with a v, that an image's tag tells, else fallback: the operator writes the command
// line and the configuration for that version.
func Version(img, fallback string) string {
	if m := versionTag.FindStringSubmatch(img); m != nil {
		return "v" + m[1]
	}
	return fallback
}
