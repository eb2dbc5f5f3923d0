// Package registry lists the components of the stack.
package registry

import (
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/component/alertmanager"
	"github.com/kubebot/kubebot/internal/component/archive"
	"github.com/kubebot/kubebot/internal/component/collector"
	"github.com/kubebot/kubebot/internal/component/exporters"
	"github.com/kubebot/kubebot/internal/component/fluentbit"
	"github.com/kubebot/kubebot/internal/component/grafana"
	"github.com/kubebot/kubebot/internal/component/jaeger"
	"github.com/kubebot/kubebot/internal/component/loki"
	"github.com/kubebot/kubebot/internal/component/prometheus"
	"github.com/kubebot/kubebot/internal/component/proof"
	"github.com/kubebot/kubebot/internal/component/responder"
	"github.com/kubebot/kubebot/internal/component/rules"
	"github.com/kubebot/kubebot/internal/component/training"
)

// All returns every component, in the order in which they are applied and in which the status tells of them. The rules
// come before Prometheus: it then starts with all of them, and need not wait for the kubelet to renew a mounted file.
func All() []component.Component {
	return []component.Component{
		rules.Component{},
		prometheus.Component{},
		alertmanager.Component{},
		exporters.Component{},
		fluentbit.Component{},
		loki.Component{},
		jaeger.Component{},
		collector.Component{},
		archive.Component{},
		grafana.Component{},
		training.Component{},
		responder.Component{},
		proof.Component{},
	}
}
