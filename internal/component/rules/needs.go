package rules

import (
	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
)

// Need is what the cluster or the stack must have for a rule to make sense. It is about what there is by discovery
// and by the spec, never about whether a series is there at the moment.
type Need struct {
	// has tells whether it is there.
	has func(in component.Input) bool
	// without says why rules are left out without it, and what brings them back.
	without string
}

var (
	needKubeStateMetrics = exporter("kube-state-metrics", "spec.metrics.kubeStateMetrics.mode",
		func(m v1alpha1.MetricsSpec) v1alpha1.ExporterSpec { return m.KubeStateMetrics })
	needNodeExporter = exporter("node-exporter", "spec.metrics.nodeExporter.mode",
		func(m v1alpha1.MetricsSpec) v1alpha1.ExporterSpec { return m.NodeExporter })
	needKubelet  = nodeSource("kubelet")
	needCAdvisor = nodeSource("cadvisor")

	needAPIServer         = controlPlane("kube-apiserver")
	needScheduler         = controlPlane("kube-scheduler")
	needControllerManager = controlPlane("kube-controller-manager")
	needKubeProxy         = controlPlane("kube-proxy")
	needEtcd              = controlPlane("etcd")

	needManagedPrometheus = Need{
		has: func(in component.Input) bool { return in.KubeBot.Spec.Metrics.Prometheus.Mode.Managed() },
		without: "Prometheus is an external one, whose scrape jobs may have other names; " +
			"spec.metrics.prometheus.mode: Managed brings it back",
	}
	needAlertmanager = Need{
		has: func(in component.Input) bool {
			return in.KubeBot.Spec.Metrics.Alertmanager.Mode != v1alpha1.ModeDisabled
		},
		without: "there is no Alertmanager; spec.metrics.alertmanager.mode: Managed or External brings it back",
	}
	needManagedAlertmanager = Need{
		has:     func(in component.Input) bool { return in.KubeBot.Spec.Metrics.Alertmanager.Mode.Managed() },
		without: "KubeBot runs no Alertmanager; spec.metrics.alertmanager.mode: Managed brings it back",
	}
	needRemoteWrite = Need{
		has:     func(in component.Input) bool { return len(in.KubeBot.Spec.Metrics.Prometheus.RemoteWrite) > 0 },
		without: "no remote write is configured; an entry in spec.metrics.prometheus.remoteWrite brings it back",
	}
)

// exporter needs one that KubeBot runs, or one that the cluster has already.
func exporter(name, field string, of func(v1alpha1.MetricsSpec) v1alpha1.ExporterSpec) Need {
	return Need{
		has: func(in component.Input) bool {
			return of(in.KubeBot.Spec.Metrics).Mode.Managed() || in.Cluster.Sources[name]
		},
		without: name + " is switched off and the cluster was not found to have one of its own; " + field +
			": Managed, or running one, brings it back",
	}
}

// nodeSource needs what every node has; a Prometheus of KubeBot's scrapes it always.
func nodeSource(name string) Need {
	return Need{
		has: func(in component.Input) bool {
			return in.KubeBot.Spec.Metrics.Prometheus.Mode.Managed() || in.Cluster.Sources[name]
		},
		without: "the external Prometheus was not found to scrape " + name + "; doing so, or " +
			"spec.metrics.prometheus.mode: Managed, brings it back",
	}
}

// controlPlane needs a part of the control plane that can be reached or seen.
func controlPlane(name string) Need {
	return Need{
		has: func(in component.Input) bool { return in.Cluster.ControlPlane[name] },
		without: name + " can't be seen in this cluster, as is usual where the provider runs the control plane; " +
			"it comes back when its pods appear in kube-system",
	}
}
