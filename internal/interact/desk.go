package interact

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
)

// Desk stores what people do in the Incidents of a namespace.
type Desk struct {
	Client    client.Client
	Namespace string
	Now       func() time.Time
}

// maxConflicts is how often a write is tried again because another replica wrote first.
const maxConflicts = 10

var (
	// ErrUnknown means that there is no such Incident, or another of its name.
	ErrUnknown = errors.New("there is no such Incident")
	// errConflicts ends a write that others kept overtaking.
	errConflicts = errors.New("others kept writing the same Incident")
)

// Get reads an Incident; ErrUnknown when there is none, or another of that name.
func (d *Desk) Get(ctx context.Context, name, uid string) (*v1alpha1.Incident, error) {
	inc := &v1alpha1.Incident{}
	err := d.Client.Get(ctx, client.ObjectKey{Namespace: d.Namespace, Name: name}, inc)
	switch {
	case apierrors.IsNotFound(err) || err == nil && string(inc.UID) != uid:
		return nil, ErrUnknown
	case err != nil:
		return nil, fmt.Errorf("read Incident %s: %w", name, err)
	}
	return inc, nil
}

// Do applies a press to an Incident and stores it by compare-and-swap. It returns the Incident as it is stored.
func (d *Desk) Do(ctx context.Context, inc *v1alpha1.Incident, p Press) (*v1alpha1.Incident, Outcome, error) {
	for range maxConflicts {
		next, outcome := Apply(inc, p, d.Now())
		if !outcome.Changed {
			return inc, outcome, nil
		}
		err := d.Client.Update(ctx, next)
		if err == nil {
			return next, outcome, nil
		}
		if !apierrors.IsConflict(err) {
			return nil, Outcome{}, fmt.Errorf("update Incident %s: %w", inc.Name, err)
		}
		if inc, err = d.Get(ctx, inc.Name, string(inc.UID)); err != nil {
			return nil, Outcome{}, err
		}
	}
	return nil, Outcome{}, fmt.Errorf("update Incident %s: %w", inc.Name, errConflicts)
}
