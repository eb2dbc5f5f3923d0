package decide

import (
	"slices"
	"strings"

	"github.com/kubebot/kubebot/api/v1alpha1"
)

// firstRoute returns the first route that takes the incident, nil for none.
func firstRoute(routes []v1alpha1.Route, facts Facts) *v1alpha1.Route {
	for i := range routes {
		if matches(routes[i].Match, facts) {
			return &routes[i]
		}
	}
	return nil
}

// matches tells whether all conditions of a match hold.
func matches(m v1alpha1.RouteMatch, facts Facts) bool {
	severities := m.Severities
	if len(severities) == 0 {
		severities = []v1alpha1.Severity{v1alpha1.SeverityCritical}
	}
	if !slices.Contains(severities, facts.Severity) {
		return false
	}
	if len(m.Namespaces) > 0 && !slices.ContainsFunc(m.Namespaces, func(p string) bool { return glob(p, facts.Namespace) }) {
		return false
	}
	return len(m.Labels) == 0 || slices.ContainsFunc(facts.AlertLabels, func(l map[string]string) bool { return hasAll(l, m.Labels) })
}

func hasAll(labels, wanted map[string]string) bool {
	for name, value := range wanted {
		if labels[name] != value {
			return false
		}
	}
	return true
}

// glob tells whether name is pattern, in which * stands for any characters.
func glob(pattern, name string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == name
	}
	first, last := parts[0], parts[len(parts)-1]
	if !strings.HasPrefix(name, first) || len(name) < len(first)+len(last) || !strings.HasSuffix(name, last) {
		return false
	}
	middle := name[len(first) : len(name)-len(last)]
	for _, part := range parts[1 : len(parts)-1] {
		_, after, found := strings.Cut(middle, part)
		if !found {
			return false
		}
		middle = after
	}
	return true
}
