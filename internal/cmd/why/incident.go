package why

import (
	"context"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/diagnosis"
	"github.com/kubebot/kubebot/internal/diagnosis/gather"
	"github.com/kubebot/kubebot/internal/enrich"
)

// kindIncident is the kind of Incidents on the command line.
const kindIncident = "Incident"

// question returns what is asked: that of an Incident, that of the open Incident about the object or its workload, that of
// --since, or only about the object's present state. The Incident is nil where there is none.
func question(ctx context.Context, o Options, kube kubernetes.Interface, now time.Time) (enrich.Question, *v1alpha1.Incident, []diagnosis.Unread, error) {
	q := enrich.Question{Subject: o.Object, Now: now, Alarm: now}
	if o.Since > 0 {
		q.Alarm, q.Troubled = now.Add(-o.Since), true
		return q, nil, nil, nil
	}
	reader, err := incidents(o.Config)
	if err != nil {
		return q, nil, nil, err
	}
	if o.Object.Kind == kindIncident {
		inc := &v1alpha1.Incident{}
		if err := reader.Get(ctx, client.ObjectKey{Namespace: o.Object.Namespace, Name: o.Object.Name}, inc); err != nil {
			return q, nil, nil, fmt.Errorf("read incident/%s in namespace %q: %w", o.Object.Name, o.Object.Namespace, err)
		}
		return enrich.QuestionOf(inc, now), inc, nil, nil
	}
	inc, unread := openIncident(ctx, o, reader, kube)
	if inc != nil {
		q = enrich.QuestionOf(inc, now)
	}
	return q, inc, unread, nil
}

// openIncident finds the open Incident about an object, else about the workload behind it: Incidents are about the
// Deployment of a pod, and about what a Service selects. It takes a quarter of the time at most.
func openIncident(ctx context.Context, o Options, reader client.Reader, kube kubernetes.Interface) (*v1alpha1.Incident, []diagnosis.Unread) {
	limit := o.Timeout / 4
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	subjects := []diagnosis.Object{o.Object}
	if o.Object.Kind == "Service" { // as one that only its callers tell of
		subjects = append(subjects, diagnosis.Object{Kind: "Dependency", Namespace: o.Object.Namespace, Name: o.Object.Name})
	}
	inc, err := openAbout(ctx, reader, o.Home, subjects...)
	if err == nil && inc == nil {
		// What can't be read of the workload is said by the answer about the object.
		w, failed := gather.Workload(ctx, kube, o.Object, gather.Options{SourceTimeout: limit})
		if failed == nil && w.Exists() && (w.Kind != o.Object.Kind || w.Name != o.Object.Name) {
			inc, err = openAbout(ctx, reader, o.Home, w.Object)
		}
	}
	switch {
	case err == nil, meta.IsNoMatchError(err), apierrors.IsNotFound(err): // without a KubeBot in the cluster objects answer
		return inc, nil
	}
	return nil, []diagnosis.Unread{{Kind: kindIncident, Reason: gather.Reason(err, limit)}}
}

// openAbout returns the first open Incident about one of the objects, nil where there is none.
func openAbout(ctx context.Context, reader client.Reader, home string, objects ...diagnosis.Object) (*v1alpha1.Incident, error) {
	for _, o := range objects {
		var all v1alpha1.IncidentList
		err := list(ctx, reader, home, &all, client.MatchingFields{
			"spec.subject.kind": o.Kind, "spec.subject.namespace": o.Namespace, "spec.subject.name": o.Name,
		})
		if err != nil {
			return nil, fmt.Errorf("list incidents: %w", err)
		}
		for i := range all.Items {
			if s := all.Items[i].Status.State; s == v1alpha1.IncidentOpen || s == v1alpha1.IncidentAcknowledged {
				return &all.Items[i], nil
			}
		}
	}
	return nil, nil
}

// list lists objects of all namespaces, and where that is forbidden those of the KubeBot's own namespace.
func list(ctx context.Context, reader client.Reader, home string, into client.ObjectList, options ...client.ListOption) error {
	err := reader.List(ctx, into, options...)
	if apierrors.IsForbidden(err) && home != "" && reader.List(ctx, into, slices.Concat(options, []client.ListOption{client.InNamespace(home)})...) == nil {
		return nil
	}
	return err
}

// incidents reads Incidents and KubeBots.
func incidents(config *rest.Config) (client.Client, error) {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return nil, fmt.Errorf("make client: %w", err)
	}
	c, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("make client: %w", err)
	}
	return c, nil
}
