package prometheus

import (
	"errors"

	"github.com/prometheus/common/model"

	"github.com/kubebot/kubebot/internal/enrich"
)

// errMixed says that the service graph, which knows services by name alone, or the span metrics of services outside the
// subject's namespace can't be told apart.
var errMixed = errors.New("services of one name in several namespaces can't be told apart, so some are left out")

// namesakes are services of several namespaces with one name, as those of two environments in one cluster.
type namesakes struct {
	namespace string
	// namespaces of each name; a service may not say its own.
	namespaces map[model.LabelValue]map[string]bool
	// near are the names that call a service of the subject's namespace, or are called by one.
	near map[model.LabelValue]bool
}

func newNamesakes(queries []series, matrices []model.Matrix, q enrich.Question) namesakes {
	n := namesakes{q.Subject.Namespace, map[model.LabelValue]map[string]bool{}, map[model.LabelValue]bool{}}
	each := func(how by, do func(model.Metric)) {
		for i, x := range queries {
			for _, stream := range matrices[i] {
				if x.by == how {
					do(stream.Metric)
				}
			}
		}
	}
	each(byService, func(labels model.Metric) {
		service := labels["service_name"]
		if n.namespaces[service] == nil {
			n.namespaces[service] = map[string]bool{}
		}
		if namespace := string(labels["k8s_namespace_name"]); namespace != "" {
			n.namespaces[service][namespace] = true
		}
	})
	if own := n.namespaces[model.LabelValue(q.Subject.Name)]; len(own) > 0 {
		own[n.namespace] = true
	}
	each(byEdge, func(labels model.Metric) {
		client, server := labels["client"], labels["server"]
		n.near[server] = n.near[server] || n.own(client)
		n.near[client] = n.near[client] || n.own(server)
	})
	return n
}

// own tells whether the subject's namespace has a service of the name.
func (n namesakes) own(service model.LabelValue) bool { return n.namespaces[service][n.namespace] }

// leave tells whether a series is of another namespace than the service that is meant, or may be; unclear tells of the
// latter, where it is near the subject's namespace. What is meant is the service of that namespace, if there is one of the
// name.
func (n namesakes) leave(how by, labels model.Metric) (leave, unclear bool) {
	switch how {
	case byService:
		service, namespace := labels["service_name"], string(labels["k8s_namespace_name"])
		switch {
		case len(n.namespaces[service]) < 2 || namespace == "":
			return false, false
		case n.own(service):
			return namespace != n.namespace, false
		}
		return true, n.near[service]
	case byEdge:
		client, server := labels["client"], labels["server"]
		leave = len(n.namespaces[client]) > 1 || len(n.namespaces[server]) > 1
		return leave, leave && (n.own(client) || n.own(server))
	}
	return false, false
}
