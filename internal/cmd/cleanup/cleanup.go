// Package cleanup removes KubeBots before the release that serves them goes.
package cleanup

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
)

// Options of the clean-up.
type Options struct {
	// Config reaches the API server.
	Config *rest.Config
	// Namespaces whose KubeBots are removed.
	Namespaces []string
	// Timeout for all of it.
	Timeout time.Duration
}

// Run deletes every KubeBot of the namespaces and waits until they are gone; a namespace that does not exist has none. It
// returns an error that names those that are left when the time is up.
func Run(ctx context.Context, o Options) error {
	scheme := runtime.NewScheme()
	if err := errors.Join(v1alpha1.AddToScheme(scheme), corev1.AddToScheme(scheme)); err != nil {
		return fmt.Errorf("make scheme: %w", err)
	}
	c, err := client.New(o.Config, client.Options{Scheme: scheme})
	if err != nil {
		return fmt.Errorf("make client: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	var left []string
	err = wait.PollUntilContextCancel(ctx, time.Second, true, func(ctx context.Context) (bool, error) {
		var err error
		left, err = remove(ctx, c, o.Namespaces)
		return len(left) == 0, err
	})
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("KubeBots %s are still there after %s: see their status for what holds them", strings.Join(left, ", "), o.Timeout)
	}
	return err
}

// remove asks for the deletion of every KubeBot of the namespaces and returns those that are still there.
func remove(ctx context.Context, c client.Client, namespaces []string) ([]string, error) {
	var left []string
	for _, ns := range namespaces {
		// The roles of a namespace go with it, so that nothing in it may be listed any more.
		var namespace corev1.Namespace
		if err := c.Get(ctx, client.ObjectKey{Name: ns}, &namespace); apierrors.IsNotFound(err) {
			continue
		} else if err != nil {
			return nil, fmt.Errorf("get namespace %s: %w", ns, err)
		}
		if namespace.DeletionTimestamp != nil {
			left = append(left, "of the namespace "+ns+", which is being deleted,")
			continue
		}
		var list v1alpha1.KubeBotList
		if err := c.List(ctx, &list, client.InNamespace(ns)); err != nil {
			if meta.IsNoMatchError(err) {
				return nil, nil
			}
			return nil, fmt.Errorf("list KubeBots of namespace %s: %w", ns, err)
		}
		for i := range list.Items {
			kb := &list.Items[i]
			left = append(left, kb.Namespace+"/"+kb.Name)
			if !kb.DeletionTimestamp.IsZero() {
				continue
			}
			ctrl.LoggerFrom(ctx).Info("Deleting KubeBot", "namespace", kb.Namespace, "name", kb.Name)
			err := c.Delete(ctx, kb, client.PropagationPolicy(metav1.DeletePropagationForeground))
			if client.IgnoreNotFound(err) != nil {
				return nil, fmt.Errorf("delete KubeBot %s/%s: %w", kb.Namespace, kb.Name, err)
			}
		}
	}
	return left, nil
}
