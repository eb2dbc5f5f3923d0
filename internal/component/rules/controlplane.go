package rules

import (
	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/endpoints"
)

const jobAPIServer = `job="` + endpoints.JobAPIServer + `"`

func controlPlaneGroup() Group {
	return Group{Name: "kubebot-control-plane", Rules: append(apiServerRules(),
		podOfControlPlane("SchedulerDown", "kube-scheduler", needScheduler, v1alpha1.SeverityCritical,
			"New pods are placed on no node."),
		podOfControlPlane("ControllerManagerDown", "kube-controller-manager", needControllerManager, v1alpha1.SeverityCritical,
			"Deployments, Jobs and Services are not acted upon: failed pods are not replaced."),
		kubeProxyDown(),
		Rule{
			Alert: "EtcdMemberDown",
			Expr: `max by (pod) (kube_pod_status_ready{namespace="kube-system", pod=~"etcd-.+", condition="true"}) == 0
and on (pod) max by (pod) (kube_pod_status_phase{namespace="kube-system", pod=~"etcd-.+", phase=~"Pending|Running|Unknown"}) == 1`,
			For:           "2m",
			Severity:      string(v1alpha1.SeverityWarning),
			Summary:       "etcd member {{ $labels.pod }} is not ready",
			Description:   "Pod kube-system/{{ $labels.pod }} has not been ready for 2 minutes. The cluster stops to take changes when most members are gone.",
			ThresholdFrom: "one member less is one step from losing the majority; 2 minutes are a restart of a node's etcd",
			Needs:         []Need{needEtcd, needKubeStateMetrics},
		})}
}

// podOfControlPlane alerts when no pod of a part of the control plane is ready, as kube-state-metrics sees it.
func podOfControlPlane(alert, name string, need Need, severity v1alpha1.Severity, then string) Rule {
	return Rule{
		Alert: alert,
		Expr: `(
  max(kube_pod_status_ready{namespace="kube-system", pod=~"` + name + `-.+", condition="true"})
  or vector(0)
) == 0 and on () count(kube_node_info) > 0`,
		For:           "1m",
		Severity:      string(severity),
		Summary:       "No " + name + " is ready",
		Description:   "No pod of " + name + " in kube-system has been ready for a minute. " + then,
		ThresholdFrom: "1 minute is four times the 15 seconds of its leader lease, within which another replica takes over",
		Needs:         []Need{need, needKubeStateMetrics},
	}
}

// kubeProxyDown is about pods of a DaemonSet: there is no replica that could take over.
func kubeProxyDown() Rule {
	r := podOfControlPlane("KubeProxyDown", "kube-proxy", needKubeProxy, v1alpha1.SeverityWarning, "Services are not updated on any node.")
	r.ThresholdFrom = "1 minute is four scrapes; a restart of kube-proxy takes seconds"
	return r
}

func apiServerRules() []Rule {
	rules := []Rule{{
		Alert:         "APIServerDown",
		Expr:          `absent(up{` + jobAPIServer + `} == 1)`,
		For:           "1m",
		Severity:      string(v1alpha1.SeverityCritical),
		Summary:       "The Kubernetes API does not answer",
		Description:   "Prometheus has reached no API server for a minute. What runs goes on, but nothing can be changed, scheduled or healed.",
		ThresholdFrom: "1 minute is four scrapes; a restart of the API server takes some 10 seconds",
	}, {
		Alert: "APIServerErrorRateHigh",
		Expr: `sum(rate(apiserver_request_total{` + jobAPIServer + `, code=~"5.."}[5m]))
/ (sum(rate(apiserver_request_total{` + jobAPIServer + `}[5m])) > 1) > 0.05`,
		For:           "5m",
		Severity:      string(v1alpha1.SeverityWarning),
		Summary:       "The Kubernetes API answers with errors",
		Description:   "{{ $value | humanizePercentage }} of the requests to the Kubernetes API fail with a server error.",
		ThresholdFrom: "5 % of 5 minutes for 5 minutes: controllers retry a failed request, so that fewer are not felt",
	}, {
		Alert: "APIServerLatencyHigh",
		Expr: `histogram_quantile(0.99, sum by (le) (
  rate(apiserver_request_duration_seconds_bucket{` + jobAPIServer +
			`, verb=~"POST|PUT|PATCH|DELETE|APPLY", subresource!~"proxy|exec|attach|portforward|log"}[5m])
)) > 1`,
		For:           "10m",
		Severity:      string(v1alpha1.SeverityWarning),
		Summary:       "The Kubernetes API is slow",
		Description:   "One in a hundred changes through the Kubernetes API takes longer than {{ $value | humanizeDuration }}.",
		ThresholdFrom: "1 second at the 99th percentile of 5 minutes, Kubernetes' own service level objective for changes of single objects",
	}, {
		Alert: "ClientCertificateExpiring",
		Expr: `histogram_quantile(0.01, sum by (le) (
  rate(apiserver_client_certificate_expiration_seconds_bucket{` + jobAPIServer + `}[5m])
)) < 7 * 24 * 3600`,
		For:           "5m",
		Severity:      string(v1alpha1.SeverityWarning),
		Summary:       "A client certificate for the Kubernetes API expires soon",
		Description:   "A client that talks to the Kubernetes API uses a certificate that expires within {{ $value | humanizeDuration }}.",
		ThresholdFrom: "7 days, the figure of the kubernetes-mixin: kubelets renew theirs when 10 to 30 % of a year are left, so that this one is not renewed by itself",
	}, {
		Alert: "EtcdRequestsSlow",
		Expr: `sum(rate(etcd_request_duration_seconds_sum{` + jobAPIServer + `, operation=~"create|update|delete|get"}[5m]))
/ sum(rate(etcd_request_duration_seconds_count{` + jobAPIServer + `, operation=~"create|update|delete|get"}[5m])) > 0.1`,
		For:         "10m",
		Severity:    string(v1alpha1.SeverityWarning),
		Summary:     "etcd is slow",
		Description: "A request of the API server to etcd takes {{ $value | humanizeDuration }} on average.",
		ThresholdFrom: "100 ms on average for 10 minutes is etcd's default interval of heartbeats; its documentation wants " +
			"99 % of the writes to disk within 10 ms",
	}}
	for i := range rules {
		rules[i].Needs = []Need{needAPIServer, needManagedPrometheus}
	}
	return rules
}
