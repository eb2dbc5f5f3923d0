package naming

import "github.com/kubebot/kubebot/api/v1alpha1"

// DashboardPrefix begins the UIDs of a KubeBot's dashboards and data sources in Grafana: several KubeBots, of several
// clusters, may share one.
func DashboardPrefix(clusterUID string, kb *v1alpha1.KubeBot) (string, error) {
	sum, err := Hash([]string{clusterUID, kb.Namespace, kb.Name})
	if err != nil {
		return "", err
	}
	return "kubebot-" + sum[:8] + "-", nil
}
