package gather

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
)

// askEvery is how often the OpenTelemetry Operator is asked for images that it has not filled in, as its resources are often
// there before its webhook answers; after patience, askLater: they outlive it, too.
const (
	askEvery, askLater = time.Minute, time.Hour
	patience           = time.Hour
)

// injected are the languages whose agents need nothing but an annotation of the pod and an image.
var injected = []string{"dotnet", "java", "nodejs", "python"}

// injection returns what the OpenTelemetry Operator has filled into the KubeBot's Instrumentation.
func (g *Gatherer) injection(ctx context.Context, kb *v1alpha1.KubeBot, cluster component.Cluster) (component.Injection, error) {
	if !cluster.Kinds[component.InstrumentationKind] {
		return component.Injection{}, nil
	}
	live := &unstructured.Unstructured{}
	live.SetGroupVersionKind(component.InstrumentationKind)
	err := g.Reader.Get(ctx, client.ObjectKeyFromObject(kb), live)
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsForbidden(err) && !meta.IsNoMatchError(err) {
		return component.Injection{}, fmt.Errorf("read Instrumentation %s/%s: %w", kb.Namespace, kb.Name, err)
	}
	var out component.Injection
	for _, language := range injected {
		if image, _, err := unstructured.NestedString(live.Object, "spec", language, "image"); err == nil && image != "" {
			out.Languages = append(out.Languages, language)
		}
	}
	out.Asked = live.GetAnnotations()[component.AnnotationAsked]
	if len(out.Languages) == 0 || out.Asked == "" {
		every := askEvery
		if made := live.GetCreationTimestamp(); !made.IsZero() && g.Now().Sub(made.Time) > patience {
			every = askLater
		}
		out.Asked = g.Now().UTC().Truncate(every).Format(time.RFC3339)
	}
	return out, nil
}
