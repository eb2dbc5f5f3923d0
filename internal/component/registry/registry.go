// Package registry lists the components of the stack.
package registry

import "github.com/kubebot/kubebot/internal/component"

// All returns every component, in the order in which the status tells of them.
func All() []component.Component {
	return []component.Component{}
}
