// Package gather reads the Facts of a diagnosis from a cluster with the caller's rights. Sources are read in parallel,
// each with a deadline; what could not be read is recorded by name, so that an answer can say it. It never reads a
// Secret.
package gather

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"

	"github.com/kubebot/kubebot/internal/diagnosis"
)

// Options of Facts.
type Options struct {
	// SourceTimeout is how long one source may take; 2 seconds when zero.
	SourceTimeout time.Duration
	// Now is the clock; time.Now when nil.
	Now func() time.Time
	// MaxObjects bounds how many objects are read of a kind; 5000 when zero.
	MaxObjects int
	// Metadata reads the metadata of ConfigMaps instead of the whole objects: neither keys nor values are asked for, nor
	// like-named ones. Nil reads the objects and drops their values.
	Metadata metadata.Interface
	// Dynamic reads the kinds of the Gateway API, where the cluster has them; nil reads none.
	Dynamic dynamic.Interface
	// Troubled says that an alert tells of trouble.
	Troubled bool
}

// Facts reads what is to know about an object. The object's APIVersion may be empty. It returns an error only if the
// object itself can't be read.
func Facts(ctx context.Context, client kubernetes.Interface, subject diagnosis.Object, o Options) (*diagnosis.Facts, error) {
	r := newReader(client, subject, o)
	if err := r.resolve(ctx); err != nil {
		return nil, err
	}
	r.lists(ctx)
	r.choosePods()
	r.details(ctx)
	r.sort()
	return r.facts, nil
}

// Workload finds the workload behind an object, such as the Deployment of a pod or of what a Service selects. Where there
// is none it is one that does not exist.
func Workload(ctx context.Context, client kubernetes.Interface, subject diagnosis.Object, o Options) (diagnosis.Workload, error) {
	r := newReader(client, subject, o)
	if err := r.resolve(ctx); err != nil {
		return diagnosis.Workload{}, err
	}
	return r.facts.Workload, nil
}

func newReader(client kubernetes.Interface, subject diagnosis.Object, o Options) *reader {
	if o.SourceTimeout == 0 {
		o.SourceTimeout = 2 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.MaxObjects == 0 {
		o.MaxObjects = maxObjects
	}
	return &reader{
		client: client, metadata: o.Metadata, dynamic: o.Dynamic, timeout: o.SourceTimeout, most: o.MaxObjects,
		facts: &diagnosis.Facts{Now: o.Now(), Subject: subject, Troubled: o.Troubled},
	}
}

// reader reads one set of facts.
type reader struct {
	client   kubernetes.Interface
	metadata metadata.Interface
	dynamic  dynamic.Interface
	timeout  time.Duration
	most     int // objects of a kind

	mu    sync.Mutex
	facts *diagnosis.Facts
	// The namespace's workloads, of which facts keep what is common to all.
	deployments  []appsv1.Deployment
	statefulSets []appsv1.StatefulSet
	daemonSets   []appsv1.DaemonSet
	// serviceSelector is set when a Service was asked about.
	serviceSelector map[string]string
}

// source is one read. It may write to the fields of facts that no other source writes.
type source struct {
	kind, name string
	namespace  string // that of the subject when empty
	read       func(context.Context) error
}

// parallel bounds how many requests are under way at once.
const parallel = 12

// all runs sources in parallel and records which failed. A source whose object does not exist is no failure.
func (r *reader) all(ctx context.Context, sources []source) {
	slots := make(chan struct{}, parallel)
	var wg sync.WaitGroup
	for _, s := range sources {
		wg.Add(1)
		slots <- struct{}{}
		go func() {
			defer func() {
				if v := recover(); v != nil {
					r.missed(s, fmt.Errorf("it could not be read (%T)", v))
				}
				<-slots
				wg.Done()
			}()
			ctx, cancel := context.WithTimeout(ctx, r.timeout)
			defer cancel()
			if err := s.read(ctx); err != nil && !apierrors.IsNotFound(err) {
				r.missed(s, err)
			}
		}()
	}
	wg.Wait()
}

func (r *reader) unread(kind, name string, err error) { r.missed(source{kind: kind, name: name}, err) }

// missed records that a source could not be read.
func (r *reader) missed(s source, err error) {
	u := diagnosis.Unread{Kind: s.kind, Namespace: cmp.Or(s.namespace, r.facts.Subject.Namespace), Name: s.name, Reason: Reason(err, r.timeout)}
	if clusterScoped[s.kind] {
		u.Namespace = ""
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Contains(r.facts.Unread, u) {
		r.facts.Unread = append(r.facts.Unread, u)
	}
}

var clusterScoped = map[string]bool{"Namespace": true, "Node": true, "PersistentVolume": true, "StorageClass": true, "IngressClass": true}

// unreachable are the parts of an error's text by which a server can't be reached, without its address.
var unreachable = []string{"connection refused", "no such host", "connection reset", "certificate", "no route to host"}

// Reason says in a line why something was not read within a time.
func Reason(err error, limit time.Duration) string {
	text := err.Error()
	switch {
	case apierrors.IsForbidden(err):
		return "forbidden"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled), apierrors.IsTimeout(err),
		strings.Contains(text, "would exceed context deadline"): // as the client's own limit of requests says it
		return fmt.Sprintf("no answer within %s", limit)
	case apierrors.ReasonForError(err) != metav1.StatusReasonUnknown: // the server answered
		return diagnosis.Shorten(text, 200)
	}
	for _, known := range unreachable {
		if strings.Contains(text, known) {
			return "it can't be reached: " + known
		}
	}
	return diagnosis.Shorten(text, 200)
}

// sort puts everything into an order that does not depend on the order of answers.
func (r *reader) sort() {
	f := r.facts
	slices.SortFunc(f.Unread, func(a, b diagnosis.Unread) int {
		return cmp.Or(strings.Compare(a.Kind+"/"+a.Name, b.Kind+"/"+b.Name), strings.Compare(a.Namespace, b.Namespace))
	})
	slices.SortFunc(f.Logs, func(a, b diagnosis.Log) int {
		return strings.Compare(logKey(a), logKey(b))
	})
	byName(f.Pods)
	byName(f.Neighbours)
	slices.SortFunc(f.Others, func(a, b diagnosis.Workload) int { return strings.Compare(a.Kind+"/"+a.Name, b.Kind+"/"+b.Name) })
	byName(f.ConfigMaps)
	byName(f.Volumes)
	byName(f.ServiceAccounts)
	sortGateways(f)
}

func logKey(l diagnosis.Log) string { return fmt.Sprintf("%s/%s/%t", l.Pod, l.Container, l.Previous) }

func byName[T any, P interface {
	*T
	GetName() string
}](list []T) {
	slices.SortFunc(list, func(a, b T) int { return strings.Compare(P(&a).GetName(), P(&b).GetName()) })
}
