// Package endpoints says how components find each other. Everything here is pure.
package endpoints

import (
	"fmt"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/naming"
)

// Ports of the managed services.
const (
	PrometheusPort       = 9090
	AlertmanagerPort     = 9093
	ResponderPort        = 8443
	ResponderMetricsPort = 8080
	KubeStateMetricsPort = 8080
	NodeExporterPort     = 9100
)

// Prometheus returns the base URL of Prometheus, empty when it is disabled.
func Prometheus(kb *v1alpha1.KubeBot) string {
	p := kb.Spec.Metrics.Prometheus
	switch p.Mode {
	case v1alpha1.ModeExternal:
		return p.External.URL
	case v1alpha1.ModeDisabled:
		return ""
	}
	return service(kb, "http", "prometheus", PrometheusPort)
}

// Alertmanager returns the base URL of Alertmanager, empty when it is disabled.
func Alertmanager(kb *v1alpha1.KubeBot) string {
	a := kb.Spec.Metrics.Alertmanager
	switch a.Mode {
	case v1alpha1.ModeExternal:
		return a.External.URL
	case v1alpha1.ModeDisabled:
		return ""
	}
	return service(kb, "http", "alertmanager", AlertmanagerPort)
}

// ResponderHost returns the DNS name of the responder, which is in its certificate.
func ResponderHost(kb *v1alpha1.KubeBot) string {
	return fmt.Sprintf("%s.%s.svc", naming.Object(kb, "responder"), kb.Namespace)
}

// ResponderWebhook returns the URL that Alertmanager posts alerts to.
func ResponderWebhook(kb *v1alpha1.KubeBot) string {
	return service(kb, "https", "responder", ResponderPort) + "/api/v1/alerts"
}

// ResponderStatus returns the URL of the responder's report of itself.
func ResponderStatus(kb *v1alpha1.KubeBot) string {
	return service(kb, "https", "responder", ResponderPort) + "/api/v1/status"
}

func service(kb *v1alpha1.KubeBot, scheme, name string, port int) string {
	return fmt.Sprintf("%s://%s.%s.svc:%d", scheme, naming.Object(kb, name), kb.Namespace, port)
}
