package pipeline

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/alert"
)

// shop is a cluster with the Deployment shop/checkout, its ReplicaSet and its pod.
type shop struct{}

func (shop) Workload(kind, namespace, name string) (v1alpha1.Subject, bool) {
	checkout := v1alpha1.Subject{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "shop", Name: "checkout"}
	known := map[string]bool{"Pod/checkout-1-x": true, "ReplicaSet/checkout-1": true, "Deployment/checkout": true}
	return checkout, namespace == "shop" && known[kind+"/"+name]
}

func (s shop) Named(namespace, name string) (v1alpha1.Subject, bool) {
	return s.Workload("Deployment", namespace, name)
}

func (shop) LostNode(v1alpha1.Subject) (string, bool) { return "", false }

func (shop) Since(v1alpha1.Subject) (time.Time, bool) { return time.Time{}, false }

func TestGroup(t *testing.T) {
	checkout := "workload/Deployment/shop/checkout"
	for name, c := range map[string]struct{ labels, key, display string }{
		"the workload that a rule names":          {"namespace=shop workload_kind=Deployment workload=checkout", checkout, "Deployment shop/checkout"},
		"a pod belongs to its workload":           {"namespace=shop pod=checkout-1-x", checkout, "Deployment shop/checkout"},
		"a ReplicaSet belongs to its Deployment":  {"namespace=shop replicaset=checkout-1", checkout, "Deployment shop/checkout"},
		"a failing dependency joins its workload": {"namespace=shop workload_kind=Deployment workload=cart dependency=checkout", checkout, "Deployment shop/checkout"},
		"a dependency of another namespace":       {"namespace=web dependency=shop/checkout", checkout, "Deployment shop/checkout"},
		"a dependency outside":                    {"namespace=shop dependency=bank", "dependency/shop/bank", "Dependency shop/bank"},
		"a pod that is not known":                 {"namespace=shop pod=other", "workload/Pod/shop/other", "Pod shop/other"},
		"a node":                                  {"alertname=NodeNotReady node=n1", "node/n1", "Node n1"},
		"a node, seen by an exporter in a pod":    {"alertname=NodeDiskFilling node=n1 namespace=nodes pod=exporter", "node/n1", "Node n1"},
		"a volume, seen by a kubelet":             {"alertname=VolumeFillingUp job=kubelet node=n1 namespace=shop persistentvolumeclaim=data", "node/n1", "Node n1"},
		"anything else, by name and where it is":  {"alertname=Slow namespace=shop service=api instance=1", "alert/Slow/shop/api", "Alert shop/Slow (api)"},
		"an outside alert":                        {"alertname=Probe instance=example.com", "alert/Probe//example.com", "Alert Probe (example.com)"},
	} {
		t.Run(name, func(t *testing.T) {
			labels := map[string]string{}
			for _, pair := range strings.Fields(c.labels) {
				k, v, _ := strings.Cut(pair, "=")
				labels[k] = v
			}
			g := groupOf(alert.Alert{Labels: labels}, shop{})
			assert.Equal(t, c.key, g.Key)
			assert.Equal(t, c.display, g.Subject.Display)
		})
	}
}

func TestGroupKeyOfAnyLengthFitsAndStaysItsOwn(t *testing.T) {
	long := func(end string) alert.Group {
		return groupOf(alert.Alert{Labels: map[string]string{"alertname": strings.Repeat("ä", 2000) + end}}, shop{})
	}
	a, b := long("a"), long("b")
	assert.LessOrEqual(t, len(a.Key), maxGroupKey)
	assert.NotEqual(t, a.Key, b.Key)
	assert.LessOrEqual(t, len(a.Subject.Name), 253)
}
