package teams

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/decide"
	"github.com/kubebot/kubebot/internal/notify/secretfile"
	"github.com/kubebot/kubebot/internal/pipeline"
	"github.com/kubebot/kubebot/internal/pipeline/config"
	"github.com/kubebot/kubebot/internal/truncate"
)

const (
	// PerNamespace is how many AlertRoutes of a namespace count, the oldest first, and MaxRoutes how many in all.
	PerNamespace = 8
	MaxRoutes    = 500
	// pause is how often routes are looked at without a change: rights and Secrets change without one.
	pause = 15 * time.Second
)

// Target is what routes are given to.
type Target interface {
	SetTeams(routes []decide.TeamRoute, receivers []pipeline.Receiver)
	Report() []config.ReceiverReport
}

// Maker makes a receiver, whose name is full, from values that secret finds. The error says what is wrong with it.
type Maker func(r v1alpha1.Receiver, name string, secret func(*v1alpha1.SecretKeyRef) secretfile.Ref) (pipeline.Receiver, error)

// Options of a Keeper.
type Options struct {
	// Cache lists AlertRoutes, Client reads Secrets by name and writes statuses and events.
	Cache  client.Reader
	Client client.Client
	Target Target
	Make   Maker
	// Writes tells whether this replica writes statuses and events; nil for yes.
	Writes  func() bool
	Account Account
	// PodName reports events.
	PodName string
	Log     logr.Logger
	Now     func() time.Time
}

// Keeper keeps the pipeline's routes in step with the AlertRoutes. Not safe for concurrent use but for Changed.
type Keeper struct {
	Options
	changed chan struct{}
	made    map[types.UID]made
}

// made is what an AlertRoute was made into.
type made struct {
	generation int64
	secrets    *secrets
	receivers  []pipeline.Receiver
	problem    string
}

// New makes a Keeper.
func New(o Options) *Keeper {
	if o.Writes == nil {
		o.Writes = func() bool { return true }
	}
	return &Keeper{Options: o, changed: make(chan struct{}, 1), made: map[types.UID]made{}}
}

// Changed asks for a look soon.
func (k *Keeper) Changed() {
	select {
	case k.changed <- struct{}{}:
	default:
	}
}

// Run keeps the routes until the context ends.
func (k *Keeper) Run(ctx context.Context) error {
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		case <-k.changed:
		}
		if err := k.Sync(ctx); err != nil {
			k.Log.Error(err, "AlertRoutes were not read; those that are known stay")
			continue
		}
		k.Tell(ctx)
	}
}

// Sync gives the pipeline the routes that there are.
func (k *Keeper) Sync(ctx context.Context) error {
	counted, _, err := k.list(ctx)
	if err != nil {
		return err
	}
	next := map[types.UID]made{}
	var routes []decide.TeamRoute
	var receivers []pipeline.Receiver
	for i := range counted {
		route := &counted[i]
		m, ok := k.made[route.UID]
		if !ok || m.generation != route.Generation {
			m = k.make(route)
		}
		next[route.UID] = m
		t := decide.TeamRoute{Namespace: route.Namespace, Match: route.Spec.Match}
		for _, r := range m.receivers {
			t.Receivers = append(t.Receivers, r.Name)
		}
		routes, receivers = append(routes, t), append(receivers, m.receivers...)
	}
	k.made = next
	k.Target.SetTeams(routes, receivers)
	return nil
}

// list returns the AlertRoutes that count and those that are too many, in a stable order.
func (k *Keeper) list(ctx context.Context) (counted, over []v1alpha1.AlertRoute, err error) {
	var all v1alpha1.AlertRouteList
	if err := k.Cache.List(ctx, &all); err != nil {
		return nil, nil, fmt.Errorf("list AlertRoutes: %w", err)
	}
	slices.SortFunc(all.Items, func(a, b v1alpha1.AlertRoute) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), strings.Compare(a.Namespace+"/"+a.Name, b.Namespace+"/"+b.Name))
	})
	per := map[string]int{}
	for _, r := range all.Items {
		if r.DeletionTimestamp != nil {
			continue
		}
		if per[r.Namespace]++; per[r.Namespace] > PerNamespace || len(counted) == MaxRoutes {
			over = append(over, r)
			continue
		}
		counted = append(counted, r)
	}
	return counted, over, nil
}

// ReceiverName is the full name of a receiver of an AlertRoute, which no receiver of the KubeBot can have.
func ReceiverName(route *v1alpha1.AlertRoute, receiver string) string {
	return route.Namespace + "/" + route.Name + "/" + receiver
}

func (k *Keeper) make(route *v1alpha1.AlertRoute) made {
	m := made{generation: route.Generation, secrets: &secrets{client: k.Client, account: k.Account, namespace: route.Namespace, now: k.Now}}
	find := func(ref *v1alpha1.SecretKeyRef) secretfile.Ref {
		if ref == nil {
			return secretfile.Ref{}
		}
		return secretfile.Ref{Secret: ref.Name, Key: ref.Key, Source: m.secrets}
	}
	for _, r := range route.Spec.Receivers {
		// The API server refuses these; an AlertRoute that was stored otherwise gets no more than others.
		r.AllowTargets = nil
		receiver, err := k.Make(r, ReceiverName(route, r.Name), find)
		if err != nil {
			m.problem = fmt.Sprintf("receiver %s can't be used: %v", r.Name, err)
			continue
		}
		m.receivers = append(m.receivers, receiver)
	}
	return m
}

// Tell writes the conditions that have changed, with an event for each.
func (k *Keeper) Tell(ctx context.Context) {
	if !k.Writes() {
		return
	}
	counted, over, err := k.list(ctx)
	if err != nil {
		return
	}
	reports := map[string]config.ReceiverReport{}
	for _, r := range k.Target.Report() {
		reports[r.Name] = r
	}
	for i := range counted {
		k.write(ctx, &counted[i], k.judge(&counted[i], reports))
	}
	for i := range over {
		k.write(ctx, &over[i], metav1.Condition{Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonTooManyRoutes,
			Message: fmt.Sprintf("only the %d oldest AlertRoutes of a namespace count, and %d in all: join routes, or remove one", PerNamespace, MaxRoutes)})
	}
}

// judge says how a route is.
func (k *Keeper) judge(route *v1alpha1.AlertRoute, reports map[string]config.ReceiverReport) metav1.Condition {
	c := metav1.Condition{Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonReady, Message: "every receiver has its credentials and takes messages"}
	m, ok := k.made[route.UID]
	switch {
	case !ok || m.generation != route.Generation:
		c.Status, c.Reason, c.Message = metav1.ConditionUnknown, v1alpha1.ReasonProgressing, "the responder has not taken the route up yet"
		return c
	case m.problem != "":
		c.Status, c.Reason, c.Message = metav1.ConditionFalse, v1alpha1.ReasonInvalidSpec, m.problem
		return c
	}
	var messages []string
	reason := ""
	for _, r := range m.receivers {
		report := reports[r.Name]
		if report.Reason == "" || report.Reason == v1alpha1.ReasonHistoryUnavailable {
			continue
		}
		messages = append(messages, r.Name[strings.LastIndexByte(r.Name, '/')+1:]+": "+report.Message)
		reason = cmp.Or(reason, report.Reason)
	}
	if reason == "" {
		return c
	}
	if m.secrets.forbidden() {
		reason = v1alpha1.ReasonSecretForbidden
	}
	c.Status, c.Reason, c.Message = metav1.ConditionFalse, reason, strings.Join(messages, "; ")
	return c
}

// write stores a condition if it says something new.
func (k *Keeper) write(ctx context.Context, route *v1alpha1.AlertRoute, c metav1.Condition) {
	c.Type, c.ObservedGeneration, c.LastTransitionTime = v1alpha1.ConditionReady, route.Generation, metav1.NewTime(k.Now())
	c.Message = truncate.Bytes(c.Message, 4096)
	next := route.DeepCopy()
	before := meta.FindStatusCondition(route.Status.Conditions, v1alpha1.ConditionReady)
	meta.SetStatusCondition(&next.Status.Conditions, c)
	next.Status.ObservedGeneration = route.Generation
	if equality.Semantic.DeepEqual(route.Status, next.Status) {
		return
	}
	if err := k.Client.Status().Update(ctx, next); err != nil {
		if !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
			k.Log.Error(err, "Status of an AlertRoute was not written", "namespace", route.Namespace, "name", route.Name)
		}
		return
	}
	if before == nil || before.Status != c.Status || before.Reason != c.Reason {
		k.event(ctx, next, c)
	}
}

// event tells of a change where people look with kubectl describe.
func (k *Keeper) event(ctx context.Context, route *v1alpha1.AlertRoute, c metav1.Condition) {
	kind := corev1.EventTypeNormal
	if c.Status == metav1.ConditionFalse {
		kind = corev1.EventTypeWarning
	}
	e := &eventsv1.Event{
		ObjectMeta: metav1.ObjectMeta{Namespace: route.Namespace, GenerateName: route.Name + "-"},
		EventTime:  metav1.NewMicroTime(k.Now()), ReportingController: "kubebot.io/responder", ReportingInstance: k.PodName,
		Action: "Route", Reason: c.Reason, Type: kind, Note: truncate.Bytes(c.Message, 1000),
		Regarding: corev1.ObjectReference{
			APIVersion: v1alpha1.GroupVersion.String(), Kind: "AlertRoute", Namespace: route.Namespace, Name: route.Name, UID: route.UID,
		},
	}
	if err := k.Client.Create(ctx, e); err != nil {
		k.Log.Error(err, "Event of an AlertRoute was not written", "namespace", route.Namespace, "name", route.Name)
	}
}
