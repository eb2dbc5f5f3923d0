// Package noise measures how much of what goes wrong reaches people, and how much of what reaches them matters: a simulated
// week of a shop, whose every trouble is known, goes through KubeBot's pipeline and through Alertmanager's plain grouping.
package noise

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kubebot/kubebot/api/v1alpha1"
)

// service is a Deployment or StatefulSet of the simulated cluster.
type service struct {
	namespace, name, kind string
	replicas              int
	// calls are the services that it calls in each request.
	calls []string
}

// services of the shop and of the teams beside it. Those with calls, and what they call, have traces.
var services = []service{
	{"shop", "front", "Deployment", 3, []string{"cart", "catalog", "checkout"}},
	{"shop", "cart", "Deployment", 2, nil},
	{"shop", "checkout", "Deployment", 2, []string{"payment", "stock"}},
	{"shop", "catalog", "Deployment", 2, []string{"search"}},
	{"shop", "payment", "Deployment", 2, nil},
	{"shop", "stock", "Deployment", 2, []string{"ledger"}},
	{"shop", "search", "Deployment", 1, nil},
	{"shop", "ledger", "StatefulSet", 1, nil},
	{"data", "warehouse", "StatefulSet", 1, nil},
	{"data", "stream", "StatefulSet", 3, nil},
	{"data", "features", "Deployment", 2, nil},
	{"web", "blog", "Deployment", 2, nil},
	{"web", "landing", "Deployment", 3, nil},
	{"web", "chat", "Deployment", 1, nil},
	{"platform", "ingress", "Deployment", 2, nil},
	{"platform", "registry", "Deployment", 1, nil},
	{"platform", "mail", "Deployment", 1, nil},
}

// jobs are CronJobs; of those that matter somebody waits for the result.
var jobs = []struct {
	namespace, name string
	matters         bool
	every           time.Duration
}{
	{"data", "invoices", true, 24 * time.Hour},
	{"data", "backup", true, 24 * time.Hour},
	{"data", "thumbnails", false, 2 * time.Hour},
	{"web", "sitemap", false, 6 * time.Hour},
	{"web", "link-check", false, 12 * time.Hour},
}

// nodes of the cluster; a pod stays on its node for the whole week.
var nodes = []string{"node-1", "node-2", "node-3", "node-4", "node-5"}

func find(name string) service {
	i := slices.IndexFunc(services, func(s service) bool { return s.name == name })
	return services[i]
}

// pods of a service. Deployments have the names that ReplicaSets give.
func (s service) pods() []string {
	var list []string
	for i := range s.replicas {
		if s.kind == "StatefulSet" {
			list = append(list, fmt.Sprintf("%s-%d", s.name, i))
			continue
		}
		list = append(list, fmt.Sprintf("%s-7c9d8f6b5-x%d", s.name, i))
	}
	return list
}

// nodeOf is where a pod runs: the pods of a service are spread.
func nodeOf(s service, replica int) string {
	i := slices.IndexFunc(services, func(o service) bool { return o.name == s.name })
	return nodes[(i+2*replica)%len(nodes)]
}

// callers are the services that call one, directly or over others, the nearest first.
func callers(name string) []service {
	var list []service
	for next := []string{name}; len(next) > 0; {
		var above []string
		for _, s := range services {
			if slices.ContainsFunc(next, func(n string) bool { return slices.Contains(s.calls, n) }) &&
				!slices.ContainsFunc(list, func(o service) bool { return o.name == s.name }) {
				list, above = append(list, s), append(above, s.name)
			}
		}
		next = above
	}
	return list
}

// topology is what the responder's cache of the cluster would answer.
type topology struct{ week *Week }

// Workload returns the workload of a pod or job.
func (t topology) Workload(kind, namespace, name string) (v1alpha1.Subject, bool) {
	for _, s := range services {
		if s.namespace == namespace && (kind == s.kind && name == s.name || kind == "Pod" && slices.Contains(s.pods(), name)) {
			return subject(s), true
		}
	}
	for _, j := range jobs {
		if j.namespace == namespace && (kind == "CronJob" && name == j.name || kind == "Job" && strings.HasPrefix(name, j.name+"-")) {
			return v1alpha1.Subject{APIVersion: "batch/v1", Kind: "CronJob", Namespace: namespace, Name: j.name}, true
		}
	}
	return v1alpha1.Subject{}, false
}

func subject(s service) v1alpha1.Subject {
	return v1alpha1.Subject{APIVersion: "apps/v1", Kind: s.kind, Namespace: s.namespace, Name: s.name}
}

// Named returns the service of a name.
func (t topology) Named(namespace, name string) (v1alpha1.Subject, bool) {
	for _, s := range services {
		if s.namespace == namespace && s.name == name {
			return subject(s), true
		}
	}
	return v1alpha1.Subject{}, false
}

// LostNode returns the node that is down and runs a pod of the workload.
func (t topology) LostNode(of v1alpha1.Subject) (string, bool) {
	now := time.Now()
	for _, s := range services {
		if s.namespace != of.Namespace || s.name != of.Name {
			continue
		}
		for i := range s.pods() {
			if node := nodeOf(s, i); t.week.lost(node, now) {
				return node, true
			}
		}
	}
	return "", false
}

// Since is not known: it is asked at the start of a KubeBot alone.
func (t topology) Since(v1alpha1.Subject) (time.Time, bool) { return time.Time{}, false }
