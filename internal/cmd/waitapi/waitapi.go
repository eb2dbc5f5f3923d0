// Package waitapi waits until the API server serves some resources. The chart runs it before the Prometheus Operator,
// which looks once at its start for what it may watch, while the definitions that came with it are still being
// established.
package waitapi

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
)

// Options of the wait.
type Options struct {
	// Config reaches the API server.
	Config *rest.Config
	// Resources to wait for, each group/version/resource.
	Resources []string
	// Timeout for all of them.
	Timeout time.Duration
}

// Run returns when the API server serves every resource, or an error that names those that are missing when the time is
// up.
func Run(ctx context.Context, o Options) error {
	client, err := discovery.NewDiscoveryClientForConfig(o.Config)
	if err != nil {
		return fmt.Errorf("make the discovery client: %w", err)
	}
	for _, r := range o.Resources {
		if strings.Count(r, "/") != 2 {
			return fmt.Errorf("resource %q: want group/version/resource, such as apps/v1/deployments", r)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	missing := o.Resources
	err = wait.PollUntilContextCancel(ctx, time.Second, true, func(ctx context.Context) (bool, error) {
		missing = slices.DeleteFunc(slices.Clone(missing), func(r string) bool { return served(ctx, client, r) })
		return len(missing) == 0, nil
	})
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("the API server does not serve %s after %s: install their custom resource definitions", strings.Join(missing, ", "), o.Timeout)
	}
	return err
}

// served tells whether the API server serves a resource; a failed look counts as no.
func served(ctx context.Context, client discovery.ServerResourcesInterface, resource string) bool {
	i := strings.LastIndex(resource, "/")
	list, err := client.ServerResourcesForGroupVersion(resource[:i])
	if err != nil {
		if !apierrors.IsNotFound(err) {
			ctrl.LoggerFrom(ctx).Info("The API server did not answer", "resource", resource, "reason", err.Error())
		}
		return false
	}
	for _, r := range list.APIResources {
		if r.Name == resource[i+1:] {
			return true
		}
	}
	return false
}
