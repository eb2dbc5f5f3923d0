package apply

import (
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	applyapps "k8s.io/client-go/applyconfigurations/apps/v1"
	applycore "k8s.io/client-go/applyconfigurations/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/naming"
)

// restartManager is the field manager of restarts: what it sets is not undone as drift.
const restartManager = naming.FieldManager + "-restart"

var deploymentKind = appsv1.SchemeGroupVersion.WithKind("Deployment")

// Restart gives new pods to a Deployment of a KubeBot and tells whether it did: one that is not there, is being rolled
// out, or is not available for long enough is left alone. That also sets the pace, for new pods begin anew.
func (a *Applier) Restart(ctx context.Context, kb *v1alpha1.KubeBot, wanted component.Restart) (bool, error) {
	key := client.ObjectKey{Namespace: kb.Namespace, Name: wanted.Deployment}
	live, err := a.reader.Object(ctx, deploymentKind, key)
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read Deployment %s: %w", key, err)
	}
	if err := claimable(kb, live); err != nil {
		return false, err
	}
	var d appsv1.Deployment
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(live.Object, &d); err != nil {
		return false, fmt.Errorf("read Deployment %s: %w", key, err)
	}
	if !availableFor(&d, a.now(), wanted.After) {
		return false, nil
	}
	stamp := map[string]string{naming.AnnotationRestarted: a.now().UTC().Format(time.RFC3339)}
	config := applyapps.Deployment(key.Name, key.Namespace).WithSpec(
		applyapps.DeploymentSpec().WithTemplate(applycore.PodTemplateSpec().WithAnnotations(stamp)))
	if err := a.writer.Apply(ctx, config, client.FieldOwner(restartManager), client.ForceOwnership); err != nil {
		return false, fmt.Errorf("restart Deployment %s: %w", key, err)
	}
	return true, nil
}

// availableFor tells that what is wanted runs, and has for a time.
func availableFor(d *appsv1.Deployment, now time.Time, after time.Duration) bool {
	if d.Status.ObservedGeneration != d.Generation || d.Status.UpdatedReplicas != d.Status.Replicas {
		return false
	}
	for _, c := range d.Status.Conditions {
		if c.Type == appsv1.DeploymentAvailable {
			return c.Status == corev1.ConditionTrue && now.Sub(c.LastTransitionTime.Time) > after
		}
	}
	return false
}
