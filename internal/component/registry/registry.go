// Package registry lists the components of the stack.
package registry

import (
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/component/alertmanager"
	"github.com/kubebot/kubebot/internal/component/exporters"
	"github.com/kubebot/kubebot/internal/component/prometheus"
	"github.com/kubebot/kubebot/internal/component/responder"
	"github.com/kubebot/kubebot/internal/component/rules"
)

// All returns every component, in the order in which the status tells of them.
func All() []component.Component {
	return []component.Component{
		prometheus.Component{},
		alertmanager.Component{},
		exporters.Component{},
		rules.Component{},
		responder.Component{},
	}
}
