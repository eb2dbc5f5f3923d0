package fixcheck

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/client-go/openapi"
	"k8s.io/kube-openapi/pkg/validation/spec"
)

const (
	// fetchTime is how long the API server may take to give the schemas of a group-version.
	fetchTime = 10 * time.Second
	// fresh is how long schemas are used before the API server is asked whether they changed, as by an upgrade.
	fresh = 10 * time.Minute
	// again is when it is asked again after it gave none.
	again = time.Minute
)

// errNotYet says that the schemas are still on their way.
var errNotYet = errors.New("the API server did not give the schema in time")

// schemas are what the API server publishes at /openapi/v3, each group-version fetched once.
type schemas struct {
	client openapi.ClientWithContext
	now    func() time.Time

	mu    sync.Mutex
	known map[schema.GroupVersion]*groupVersion
}

// groupVersion is what is known of one.
type groupVersion struct {
	types managedfields.TypeConverter
	err   error
	// url holds the hash of what types were made of.
	url   string
	asked time.Time
	// loading is closed when the answer is there; nil when none is awaited.
	loading chan struct{}
}

// begin asks for the schemas of a group-version where they are not known, without waiting. It returns what is known, and
// what is closed when there is more.
func (s *schemas) begin(ctx context.Context, gv schema.GroupVersion) (groupVersion, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.known[gv]
	if g == nil {
		g = &groupVersion{}
		s.known[gv] = g
	}
	rest := fresh
	if g.err != nil {
		rest = again
	}
	if g.loading == nil && (g.asked.IsZero() || s.now().Sub(g.asked) > rest) {
		g.asked, g.loading = s.now(), make(chan struct{})
		// The answer is kept for the next diagnosis where it is late for this one.
		go s.load(context.WithoutCancel(ctx), gv, g.url)
	}
	return *g, g.loading
}

// types returns the schemas of a group-version. It waits for them until the context ends, and not at all for an API server
// that has kept others waiting already.
func (s *schemas) types(ctx context.Context, gv schema.GroupVersion) (managedfields.TypeConverter, error) {
	g, loading := s.begin(ctx, gv)
	if g.types == nil && loading != nil && s.now().Sub(g.asked) < patience {
		select {
		case <-loading:
			g, _ = s.begin(ctx, gv)
		case <-ctx.Done():
		}
	}
	switch {
	case g.types != nil:
		return g.types, nil
	case g.err != nil:
		return nil, g.err
	}
	return nil, errNotYet
}

func (s *schemas) load(ctx context.Context, gv schema.GroupVersion, known string) {
	ctx, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	types, url, err := s.fetch(ctx, gv, known)
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.known[gv]
	if g.err = err; err == nil && types != nil {
		g.types, g.url = types, url
	}
	close(g.loading)
	g.loading = nil
}

// fetch reads the schemas of a group-version; none where they are still those of the known address.
func (s *schemas) fetch(ctx context.Context, gv schema.GroupVersion, known string) (types managedfields.TypeConverter, url string, err error) {
	defer func() {
		if v := recover(); v != nil { // in a goroutine of its own it would end the process
			err = fmt.Errorf("the schema of %s could not be read (%T)", gv, v)
		}
	}()
	paths, err := s.client.PathsWithContext(ctx)
	if err != nil {
		return nil, "", fmt.Errorf("read which schemas there are: %w", err)
	}
	path := "apis/" + gv.String()
	if gv.Group == "" {
		path = "api/" + gv.Version
	}
	entry, ok := paths[path]
	if !ok {
		return nil, "", fmt.Errorf("the API server has no schema of %s", gv)
	}
	if url = entry.ServerRelativeURL(); url == known {
		return nil, url, nil
	}
	text, err := entry.SchemaWithContext(ctx, "application/json")
	if err != nil {
		return nil, "", fmt.Errorf("read the schema of %s: %w", gv, err)
	}
	var document struct { // the paths are half of it and say nothing here
		Components struct {
			Schemas map[string]*spec.Schema `json:"schemas"`
		} `json:"components"`
	}
	if err := json.Unmarshal(text, &document); err != nil {
		return nil, "", fmt.Errorf("read the schema of %s: %w", gv, err)
	}
	types, err = managedfields.NewTypeConverter(document.Components.Schemas, false)
	return types, url, err
}
