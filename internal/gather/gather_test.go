package gather

import (
	"errors"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	fakeclient "sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/kubebot/kubebot/api/v1alpha1"
)

var errSilent = errors.New("no answer")

// kinds is a discovery that lists kinds, or fails for some of them.
type kinds struct {
	discovery.DiscoveryInterface
	lists []*metav1.APIResourceList
	err   error
}

func (k *kinds) ServerGroupsAndResources() ([]*metav1.APIGroup, []*metav1.APIResourceList, error) {
	return nil, k.lists, k.err
}

func pod(name string, labels map[string]string) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: name, Labels: labels}}
}

func TestInputTellsWhatTheClusterHas(t *testing.T) {
	objects := []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "kube-system", UID: "0123456789"}},
		pod("scheduler", map[string]string{"component": "kube-scheduler"}),
		pod("proxy", map[string]string{"k8s-app": "kube-proxy"}),
		pod("other", map[string]string{"component": "something"}),
		&corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "m", Name: "ne", Labels: map[string]string{"app.kubernetes.io/name": "prometheus-node-exporter"}}},
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "kubebot", Name: "main-credentials"}, Data: map[string][]byte{"token": []byte("t")}},
	}
	g := &Gatherer{
		Reader:    fakeclient.NewClientBuilder().WithScheme(clientgoscheme.Scheme).WithObjects(objects...).Build(),
		Discovery: &kinds{lists: []*metav1.APIResourceList{{GroupVersion: "apps/v1", APIResources: []metav1.APIResource{{Kind: "Deployment"}}}}},
		Now:       time.Now,
	}
	kb := &v1alpha1.KubeBot{ObjectMeta: metav1.ObjectMeta{Namespace: "kubebot", Name: "main"}}
	kb.Spec.Metrics.NodeExporter.Mode, kb.Spec.Metrics.KubeStateMetrics.Mode = "Disabled", "Disabled"
	in, err := g.Input(t.Context(), kb)
	if err != nil {
		t.Fatal(err)
	}
	if in.ClusterName != "cluster-01234567" || string(in.Credentials["token"]) != "t" {
		t.Errorf("cluster %s, credentials %v", in.ClusterName, len(in.Credentials))
	}
	if !in.Cluster.Kinds[schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"}] {
		t.Errorf("kinds %v", in.Cluster.Kinds)
	}
	for part, want := range map[string]bool{"kube-apiserver": true, "kube-scheduler": true, "kube-proxy": true, "etcd": false, "something": false} {
		if in.Cluster.ControlPlane[part] != want {
			t.Errorf("control plane has %s: %v", part, !want)
		}
	}
	if !in.Cluster.Sources["node-exporter"] || in.Cluster.Sources["kube-state-metrics"] || !in.Cluster.Sources["kubelet"] {
		t.Errorf("sources %v: an exporter of somebody else counts, one that nobody runs does not", in.Cluster.Sources)
	}
	kb.Spec.ClusterName = "prod"
	if in, err = g.Input(t.Context(), kb); err != nil || in.ClusterName != "prod" {
		t.Errorf("cluster %s (%v)", in.ClusterName, err)
	}
}

func TestKindsOfAServerThatDoesNotAnswerStay(t *testing.T) {
	now := time.Now()
	custom := schema.GroupVersion{Group: "custom.metrics.k8s.io", Version: "v1"}
	disco := &kinds{lists: []*metav1.APIResourceList{
		{GroupVersion: custom.String(), APIResources: []metav1.APIResource{{Kind: "Metric"}}},
		{GroupVersion: "monitoring.coreos.com/v1", APIResources: []metav1.APIResource{{Kind: "Prometheus"}}},
	}}
	g := &Gatherer{
		Reader:    fakeclient.NewClientBuilder().WithScheme(clientgoscheme.Scheme).Build(),
		Discovery: disco, Now: func() time.Time { return now },
	}
	if _, err := g.Cluster(t.Context()); err != nil {
		t.Fatal(err)
	}
	disco.lists, disco.err = nil, &discovery.ErrGroupDiscoveryFailed{Groups: map[schema.GroupVersion]error{custom: errSilent}}
	now = now.Add(time.Minute)
	cluster, err := g.Cluster(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !cluster.Kinds[custom.WithKind("Metric")] || len(cluster.Kinds) != 1 {
		t.Errorf("kinds %v: those that can't be asked for stay, those that are gone go", cluster.Kinds)
	}
	disco.err = errSilent
	now = now.Add(time.Minute)
	if _, err := g.Cluster(t.Context()); err == nil {
		t.Error("an API server that does not answer is no error")
	}
}
