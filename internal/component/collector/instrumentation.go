package collector

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/endpoints"
	"github.com/kubebot/kubebot/internal/naming"
)

const (
	// labelParameters marks the ConfigMap from which the chart's admission policy takes its parameters.
	labelParameters = "kubebot.io/instrumentation-parameters"

	keyGRPC    = "otlp-grpc"
	keyHTTP    = "otlp-http"
	keyCluster = "cluster-name"
)

// instrumentation tells applications, and the admission policy that the chart ships, where to send telemetry.
func instrumentation(in component.Input) *corev1.ConfigMap {
	kb := in.KubeBot
	own := metav1.ObjectMeta{Name: naming.Object(kb, "instrumentation"), Namespace: kb.Namespace, Labels: labels(kb, name)}
	own.Labels[labelParameters] = "true"
	host := endpoints.CollectorHost(kb)
	return &corev1.ConfigMap{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
		ObjectMeta: own,
		Data: map[string]string{
			keyGRPC:    fmt.Sprintf("http://%s:%d", host, endpoints.OTLPGRPCPort),
			keyHTTP:    fmt.Sprintf("http://%s:%d", host, endpoints.OTLPHTTPPort),
			keyCluster: in.ClusterName,
		},
	}
}
