package pipeline

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/alert"
)

// maxGroupKey is the limit of spec.groupKey of an Incident.
const maxGroupKey = 1024

// Topology tells how the objects of the cluster hang together, as far as it is known.
type Topology interface {
	// Workload returns the workload at the top of the owner chain of an object, the object itself if nothing owns it.
	// It is false for an object that is not known.
	Workload(kind, namespace, name string) (v1alpha1.Subject, bool)
	// Named returns the Deployment, StatefulSet or DaemonSet of that name; false when there is none.
	Named(namespace, name string) (v1alpha1.Subject, bool)
	// LostNode returns the node that is not ready and runs every pod of the workload that is not ready, if there is one.
	LostNode(subject v1alpha1.Subject) (string, bool)
	// Since returns since when a workload or node is in trouble, as far as its state shows; false where it shows none.
	Since(subject v1alpha1.Subject) (time.Time, bool)
}

// workloadLabels are labels by which kube-state-metrics and common rules name a workload, with its kind.
var workloadLabels = []struct{ label, kind string }{
	{"deployment", "Deployment"},
	{"statefulset", "StatefulSet"},
	{"daemonset", "DaemonSet"},
	{"cronjob", "CronJob"},
	{"job_name", "Job"},
	{"replicaset", "ReplicaSet"},
}

// apiVersions of the kinds that a subject may have without being found in the cluster.
var apiVersions = map[string]string{
	"Deployment": "apps/v1", "StatefulSet": "apps/v1", "DaemonSet": "apps/v1", "ReplicaSet": "apps/v1",
	"Job": "batch/v1", "CronJob": "batch/v1", "Pod": "v1", "Node": "v1", "ReplicationController": "v1",
}

// groupOf returns the group of an alert: by failing dependency, node, owner workload, else by its own name and where
// it comes from. An alert of any source about one workload has the same group.
func groupOf(a alert.Alert, topology Topology) alert.Group {
	l := a.Labels
	namespace := l[alert.LabelNamespace]
	if dependency := l[alert.LabelDependency]; dependency != "" {
		return dependencyGroup(namespace, dependency, topology)
	}
	if name, kind := l[alert.LabelWorkload], l[alert.LabelWorkloadKind]; name != "" && kind != "" && namespace != "" {
		return WorkloadGroup(top(kind, namespace, name, topology))
	}
	if node := nodeOf(a); node != "" {
		return NodeGroup(node)
	}
	if namespace != "" {
		for _, w := range workloadLabels {
			if name := l[w.label]; name != "" {
				return WorkloadGroup(top(w.kind, namespace, name, topology))
			}
		}
		if pod := l[alert.LabelPod]; pod != "" {
			return WorkloadGroup(top("Pod", namespace, pod, topology))
		}
	}
	if node := l[alert.LabelNode]; node != "" {
		return NodeGroup(node)
	}
	return otherGroup(a)
}

// nodeOf returns the node of an alert that is about a node although it carries the pod of the exporter that saw it.
func nodeOf(a alert.Alert) string {
	node := a.Labels[alert.LabelNode]
	if node == "" {
		return ""
	}
	name, job := a.Name(), a.Labels["job"]
	exporter := strings.HasSuffix(job, "node-exporter") ||
		job == "kubelet" && a.Labels[alert.LabelPod] == "" && a.Labels["persistentvolumeclaim"] == ""
	if exporter || strings.HasPrefix(name, "Node") || strings.HasPrefix(name, "KubeNode") || strings.HasPrefix(name, "Kubelet") {
		return node
	}
	return ""
}

func dependencyGroup(namespace, dependency string, topology Topology) alert.Group {
	name := dependency
	if ns, rest, found := strings.Cut(dependency, "/"); found {
		namespace, name = ns, rest
	}
	if subject, ok := topology.Named(namespace, name); ok {
		return WorkloadGroup(subject)
	}
	subject := v1alpha1.Subject{Kind: "Dependency", Namespace: namespace, Name: name}
	return group(subject, "dependency", namespace, name)
}

func top(kind, namespace, name string, topology Topology) v1alpha1.Subject {
	if subject, ok := topology.Workload(kind, namespace, name); ok {
		return subject
	}
	return v1alpha1.Subject{APIVersion: apiVersions[kind], Kind: kind, Namespace: namespace, Name: name}
}

// WorkloadGroup returns the group of all alerts about a workload.
func WorkloadGroup(s v1alpha1.Subject) alert.Group {
	return group(s, "workload", s.Kind, s.Namespace, s.Name)
}

// NodeGroup returns the group of all alerts about a node.
func NodeGroup(node string) alert.Group {
	return group(v1alpha1.Subject{APIVersion: "v1", Kind: "Node", Name: node}, "node", node)
}

func otherGroup(a alert.Alert) alert.Group {
	l := a.Labels
	where := ""
	for _, label := range []string{"horizontalpodautoscaler", "persistentvolumeclaim", "service", "job", "instance"} {
		if l[label] != "" {
			where = l[label]
			break
		}
	}
	subject := v1alpha1.Subject{Kind: "Alert", Namespace: l[alert.LabelNamespace], Name: a.Name()}
	g := group(subject, "alert", a.Name(), subject.Namespace, where)
	if where != "" {
		g.Subject.Display = cut(g.Subject.Display+" ("+where+")", 400)
	}
	return g
}

// group builds a group; what the API limits is cut, and a cut key ends in a hash so that it stays one of its own.
func group(s v1alpha1.Subject, parts ...string) alert.Group {
	key := strings.Join(parts, "/")
	if len(key) > maxGroupKey {
		sum := sha256.Sum256([]byte(key))
		key = cut(key, maxGroupKey-17) + "#" + hex.EncodeToString(sum[:8])
	}
	s.APIVersion, s.Kind = cut(s.APIVersion, 253), cut(s.Kind, 63)
	s.Namespace, s.Name = cut(s.Namespace, 63), cut(s.Name, 253)
	if s.Name == "" {
		s.Name = "unknown"
	}
	s.Display = s.Kind + " " + strings.Join(slices.DeleteFunc([]string{s.Namespace, s.Name}, func(p string) bool { return p == "" }), "/")
	return alert.Group{Key: key, Subject: s}
}
