// Package fixcheck checks the patches of fixes against the live objects and the API server's OpenAPI schema. It only reads,
// and only what every authenticated user may: /openapi/v3.
package fixcheck

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/openapi"
	"k8s.io/klog/v2"

	"github.com/kubebot/kubebot/internal/diagnosis"
)

// patience is how long a diagnosis waits for schemas.
const patience = time.Second

// Checker checks fixes. It is safe for concurrent use; a nil one checks nothing.
type Checker struct {
	schemas schemas
	log     logr.Logger
}

// New makes a checker that asks an API server for its schemas when they are needed.
func New(client openapi.ClientWithContext, log logr.Logger) *Checker {
	return &Checker{schemas: schemas{client: client, now: time.Now, known: map[schema.GroupVersion]*groupVersion{}}, log: log}
}

// Check takes the commands of patches that do not fit out of the fixes; their explanations stay. What can't be checked,
// as when the API server does not give its schema within a second, stays as it is. Both are said in the fix and in the
// log.
func (c *Checker) Check(ctx context.Context, f *diagnosis.Facts, findings []diagnosis.Finding) {
	if c == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for _, x := range findings {
		for _, p := range x.Fix.Patches {
			if gv, err := schema.ParseGroupVersion(p.Object.APIVersion); err == nil && f.Live(p.Object) != nil {
				c.schemas.begin(ctx, gv) // all at once
			}
		}
	}
	for i := range findings {
		c.fix(ctx, f, &findings[i])
	}
}

// fix checks one fix.
func (c *Checker) fix(ctx context.Context, f *diagnosis.Facts, x *diagnosis.Finding) {
	var kept []diagnosis.Patch
	for _, p := range x.Fix.Patches {
		err := c.patch(ctx, f, p)
		var unfit *unfitError
		switch {
		case errors.As(err, &unfit):
			x.Fix = leaveOut(x.Fix, p, err)
			c.log.Info("Left out the command of a fix that does not fit", "detector", x.Detector,
				"object", klog.KRef(p.Object.Namespace, p.Object.Name), "kind", p.Object.Kind, "reason", err.Error())
			continue
		case err != nil:
			x.Fix.Unchecked = append(slices.Clone(x.Fix.Unchecked), diagnosis.Remark{Command: p.Command(), Reason: words(err)})
			c.log.Info("A fix was not checked", "detector", x.Detector,
				"object", klog.KRef(p.Object.Namespace, p.Object.Name), "kind", p.Object.Kind, "reason", err.Error())
		}
		kept = append(kept, p)
	}
	x.Fix.Patches = kept
}

// unfitError says that a patch must not be told.
type unfitError struct{ error }

func (e *unfitError) Unwrap() error { return e.error }

func (c *Checker) patch(ctx context.Context, f *diagnosis.Facts, p diagnosis.Patch) error {
	live := f.Live(p.Object)
	if live == nil {
		return errors.New("the live object was not read")
	}
	gv, err := schema.ParseGroupVersion(p.Object.APIVersion)
	if err != nil {
		return fmt.Errorf("read the version of %s: %w", p.Object, err)
	}
	types, err := c.schemas.types(ctx, gv)
	if err != nil {
		return err
	}
	if err := Fits(live, p, types); errors.Is(err, errOdd) {
		return err
	} else if err != nil {
		return &unfitError{err}
	}
	return nil
}

// leaveOut takes a patch's command out of a fix, without changing what others hold of it.
func leaveOut(fix diagnosis.Fix, p diagnosis.Patch, why error) diagnosis.Fix {
	command := p.Command()
	fix.Commands = slices.DeleteFunc(slices.Clone(fix.Commands), func(s string) bool { return s == command })
	fix.LeftOut = append(slices.Clone(fix.LeftOut), diagnosis.Remark{Command: command, Reason: words(why)})
	return fix
}

func words(err error) string { return diagnosis.Shorten(err.Error(), 300) }
