package prometheus

import (
	"fmt"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
)

// graceSeconds is how long Prometheus may take to end.
func graceSeconds(stores []v1alpha1.RemoteWrite) int64 {
	if len(stores) > 0 {
		return flushSeconds
	}
	return archiveSeconds
}

// remoteWrites returns the stores that get every sample. The operator reads the Secrets.
func remoteWrites(stores []v1alpha1.RemoteWrite) ([]monitoringv1.RemoteWriteSpec, error) {
	var writes []monitoringv1.RemoteWriteSpec
	for i, s := range stores {
		if err := component.CheckURL(fmt.Sprintf("%s.remoteWrite[%d].url", field, i), s.URL, "use basicAuth"); err != nil {
			return nil, err
		}
		w := monitoringv1.RemoteWriteSpec{URL: monitoringv1.URL(s.URL), Name: new(s.Name)}
		if s.BearerTokenSecret != nil {
			w.Authorization = &monitoringv1.Authorization{SafeAuthorization: monitoringv1.SafeAuthorization{
				Type: "Bearer", Credentials: secretRef(*s.BearerTokenSecret),
			}}
		}
		if s.BasicAuth != nil {
			w.BasicAuth = &monitoringv1.BasicAuth{
				Username: *secretRef(s.BasicAuth.UsernameSecret), Password: *secretRef(s.BasicAuth.PasswordSecret),
			}
		}
		writes = append(writes, w)
	}
	return writes, nil
}

func secretRef(ref v1alpha1.SecretKeyRef) *corev1.SecretKeySelector {
	return secretKey(ref.Name, ref.Key)
}
