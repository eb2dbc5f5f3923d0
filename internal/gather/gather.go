package gather

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/credentials"
	"github.com/kubebot/kubebot/internal/naming"
)

// clusterFor is how long what the cluster has is taken as known.
const clusterFor = 5 * time.Second

// Gatherer reads what components need.
type Gatherer struct {
	// Reader reads from the API server, past any cache.
	Reader client.Reader
	// Discovery asks the API server for its kinds.
	Discovery discovery.DiscoveryInterface
	// Install is how KubeBot was installed.
	Install component.Install
	// Now is the clock.
	Now func() time.Time

	mu      sync.Mutex
	cluster component.Cluster
	known   time.Time

	rules      []markedRule
	rulesUntil time.Time
	// refused is what the Prometheus Operator told of rules, by their UID.
	refused   map[types.UID]refusal
	toldUntil time.Time
}

// Input reads all that Build needs of a KubeBot. The credentials are what the generated Secret holds; none when it
// does not exist yet.
func (g *Gatherer) Input(ctx context.Context, kb *v1alpha1.KubeBot) (component.Input, error) {
	cluster, err := g.Cluster(ctx)
	if err != nil {
		return component.Input{}, err
	}
	cluster.Sources, err = g.sources(ctx, kb)
	if err != nil {
		return component.Input{}, err
	}
	refused, err := g.refusedRules(ctx, kb, cluster)
	if err != nil {
		return component.Input{}, err
	}
	secret, err := g.credentials(ctx, kb)
	if err != nil {
		return component.Input{}, err
	}
	injection, err := g.injection(ctx, kb, cluster)
	if err != nil {
		return component.Input{}, err
	}
	return component.Input{
		KubeBot: kb.DeepCopy(), ClusterName: ClusterName(kb, cluster.UID), Install: g.Install, Cluster: cluster,
		Credentials: secret, RefusedRules: refused, Injection: injection,
	}, nil
}

// ClusterName returns the cluster's name for a KubeBot: the spec's, or one made from the UID of kube-system.
func ClusterName(kb *v1alpha1.KubeBot, uid string) string {
	if kb.Spec.ClusterName != "" {
		return kb.Spec.ClusterName
	}
	return "cluster-" + uid[:min(8, len(uid))]
}

// NamespaceUID returns the UID of a namespace, empty when it does not exist or may not be read.
func (g *Gatherer) NamespaceUID(ctx context.Context, name string) (string, error) {
	meta := &metav1.PartialObjectMetadata{}
	meta.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	err := g.Reader.Get(ctx, client.ObjectKey{Name: name}, meta)
	if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read namespace %s: %w", name, err)
	}
	return string(meta.UID), nil
}

func (g *Gatherer) credentials(ctx context.Context, kb *v1alpha1.KubeBot) (map[string][]byte, error) {
	secret := &corev1.Secret{}
	name := naming.Object(kb, credentials.SecretSuffix)
	err := g.Reader.Get(ctx, client.ObjectKey{Namespace: kb.Namespace, Name: name}, secret)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read Secret %s: %w", name, err)
	}
	return secret.Data, nil
}
