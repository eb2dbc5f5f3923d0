package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/alert"
	"github.com/kubebot/kubebot/internal/decide"
	"github.com/kubebot/kubebot/internal/naming"
)

// maxConflicts is how often a pass over one group starts again because another replica wrote first.
const maxConflicts = 10

// errTooManyConflicts ends a pass; the group is tried again later.
var errTooManyConflicts = errors.New("other replicas kept writing the same Incident")

// process does all that waits for one group key. The queue gives a key to one worker at a time.
func (p *Pipeline) process(key string) {
	b := p.take(key)
	ctx, cancel := context.WithTimeout(context.Background(), writeTime)
	defer cancel()
	answered := false
	answer := func(err error) {
		if answered {
			return
		}
		answered = true
		for _, t := range b.tickets {
			t.finish(err)
		}
	}
	err := p.settle(ctx, key, b, func() { answer(nil) })
	answer(err)
	if err == nil {
		return
	}
	p.Log.Error(err, "Group was not settled and is tried again", "groupKey", key, "alerts", len(b.alerts))
	p.mu.Lock()
	again := p.box(key)
	again.results = append(b.results, again.results...)
	again.found = append(b.found, again.found...)
	again.tries = b.tries + 1
	p.mu.Unlock()
	p.queue.AddAfter(key, backoffAfter(int64(min(b.tries, 4)), rand.Float64()))
}

// settle stores the batch and takes every Incident of the key one step on. stored is called when all alerts are durable.
func (p *Pipeline) settle(ctx context.Context, key string, b *batch, stored func()) error {
	alerts := dedupe(b.alerts)
	visited := map[string]bool{}
	for conflicts := 0; conflicts < maxConflicts; {
		rest, err := p.pass(ctx, key, alerts, b, visited)
		if err != nil {
			return err
		}
		rest = slices.DeleteFunc(rest, worthless)
		if len(rest) == 0 {
			stored()
			return nil
		}
		alerts = rest
		n, err := p.create(ctx, key, b.group, rest)
		switch {
		case apierrors.IsAlreadyExists(err):
			conflicts++
		case err != nil:
			return err
		case n == len(rest):
			stored()
			p.queue.Add(key) // in a storm every alert is made durable before the first decision
			return nil
		}
	}
	return errTooManyConflicts
}

// worthless tells whether an alert that no Incident knows is not worth a new one: the watch's news of an end.
func worthless(a alert.Alert) bool { return !a.Firing() && a.Source == v1alpha1.AlertSourceWatch }

// dedupe keeps the last alert of each fingerprint.
func dedupe(alerts []alert.Alert) []alert.Alert {
	at := make(map[string]int, len(alerts))
	out := make([]alert.Alert, 0, len(alerts))
	for _, a := range alerts {
		if i, ok := at[a.Fingerprint]; ok {
			out[i] = a
			continue
		}
		at[a.Fingerprint] = len(out)
		out = append(out, a)
	}
	return out
}

// pass steps the Incidents of a key: each gets the alerts that it knows, the last one those that none knows. It returns
// what found no place.
func (p *Pipeline) pass(ctx context.Context, key string, alerts []alert.Alert, b *batch, visited map[string]bool) ([]alert.Alert, error) {
	incidents := p.index.ByKey(key)
	if len(incidents) == 0 {
		return alerts, nil
	}
	last := incidents[len(incidents)-1]
	shares := share(incidents, alerts)
	var rest []alert.Alert
	for _, inc := range incidents {
		mine := shares[inc.Name]
		if visited[inc.Name] && len(mine) == 0 {
			continue
		}
		if inc.Status.State == v1alpha1.IncidentClosed && inc != last && len(mine) == 0 && !pending(inc) {
			continue
		}
		visited[inc.Name] = true
		left, err := p.step(ctx, inc, mine, b)
		if err != nil {
			return nil, err
		}
		rest = append(rest, left...)
	}
	return rest, nil
}

// share says which Incident gets which alerts.
func share(incidents []*v1alpha1.Incident, alerts []alert.Alert) map[string][]alert.Alert {
	home := map[string]string{}
	for _, inc := range incidents {
		if inc.Status.State == v1alpha1.IncidentClosed {
			continue
		}
		for _, records := range [][]v1alpha1.IncidentAlert{inc.Spec.OpeningAlerts, inc.Status.Alerts} {
			for i := range records {
				home[records[i].Fingerprint] = inc.Name
			}
		}
	}
	last := incidents[len(incidents)-1].Name
	shares := map[string][]alert.Alert{}
	for _, a := range alerts {
		name, ok := home[a.Fingerprint]
		if !ok {
			name = last
		}
		shares[name] = append(shares[name], a)
	}
	return shares
}

func pending(inc *v1alpha1.Incident) bool {
	return slices.ContainsFunc(inc.Status.Deliveries, func(d v1alpha1.Delivery) bool { return waits(&d) })
}

// create opens the next Incident of a key with as many of the alerts as fit into its spec, the most severe first, and
// returns how many these are. Where another replica was faster, the index is brought up to date and the error says so.
func (p *Pipeline) create(ctx context.Context, key string, group alert.Group, alerts []alert.Alert) (int, error) {
	now := p.Now()
	slices.SortStableFunc(alerts, func(a, b alert.Alert) int {
		return cmp.Or(alert.Rank(b.Severity)-alert.Rank(a.Severity), a.StartsAt.Compare(b.StartsAt))
	})
	records := make([]v1alpha1.IncidentAlert, 0, len(alerts))
	for _, a := range alerts {
		records = append(records, record(a, now))
	}
	opening, n := fit(records, openingBytes)
	inc := &v1alpha1.Incident{Spec: v1alpha1.IncidentSpec{
		KubeBot: p.Config.KubeBot, ClusterName: p.Config.ClusterName, GroupKey: key, Number: 1,
		Subject: group.Subject, OpeningAlerts: opening,
	}}
	if before := p.index.ByKey(key); len(before) > 0 {
		last := before[len(before)-1]
		inc.Spec.Number = last.Spec.Number + 1
		if last.Status.State != v1alpha1.IncidentClosed {
			inc.Spec.Continues = last.Name
		}
	}
	inc.ObjectMeta = metav1.ObjectMeta{
		Name: IncidentName(p.Config.UID, key, inc.Spec.Number), Namespace: p.Config.Namespace,
		Labels:          map[string]string{naming.LabelName: p.Config.KubeBot, naming.LabelNamespace: p.Config.Namespace},
		OwnerReferences: []metav1.OwnerReference{naming.Controller(p.Config.KubeBot, p.Config.UID)},
	}
	err := p.Client.Create(ctx, inc)
	p.count("create", err)
	switch {
	case apierrors.IsAlreadyExists(err):
		if _, readErr := p.refresh(ctx, inc.Name); readErr != nil && !apierrors.IsNotFound(readErr) {
			return 0, readErr
		}
		return 0, err
	case err != nil:
		return 0, fmt.Errorf("create Incident %s: %w", inc.Name, err)
	}
	p.wrote(inc)
	return n, nil
}

// refresh reads an Incident from the API server into the index. An Incident that is gone leaves the index.
func (p *Pipeline) refresh(ctx context.Context, name string) (*v1alpha1.Incident, error) {
	live := &v1alpha1.Incident{}
	err := p.Client.Get(ctx, client.ObjectKey{Namespace: p.Config.Namespace, Name: name}, live)
	if apierrors.IsNotFound(err) {
		if known := p.index.Get(name); known != nil {
			p.Forget(known)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("read Incident %s: %w", name, err)
	}
	p.index.Put(live)
	return live, nil
}

// step takes one Incident on: alerts, time, results, decision, deliveries and claims, in one write if anything changed.
func (p *Pipeline) step(ctx context.Context, inc *v1alpha1.Incident, alerts []alert.Alert, b *batch) ([]alert.Alert, error) {
	for range maxConflicts {
		next := p.compute(inc, alerts, b)
		if equality.Semantic.DeepEqual(inc.Status, next.out.Status) {
			p.settled(inc)
			p.later(inc, next.outcome, next.at)
			return next.rest, nil
		}
		written := next.out.DeepCopy()
		err := p.Client.Status().Update(ctx, written)
		p.count("update", err)
		if err == nil {
			p.wrote(written)
			p.settled(written)
			p.Metrics.decided(inc.Status.Decision, written.Status.Decision)
			p.Metrics.damped(inc.Status.Flapping, written.Status.Flapping)
			p.dispatch(written, next.claims)
			p.search(written, next.search)
			p.later(written, next.outcome, next.at)
			p.widen(inc, written)
			return next.rest, nil
		}
		p.cancel(next.claims)
		if next.search != nil {
			p.wake(p.analyses.leave())
		}
		if apierrors.IsNotFound(err) {
			p.Forget(inc)
			return alerts, nil // none of them is stored
		}
		if !apierrors.IsConflict(err) {
			return nil, fmt.Errorf("update Incident %s: %w", inc.Name, err)
		}
		live, err := p.refresh(ctx, inc.Name)
		if apierrors.IsNotFound(err) {
			return alerts, nil
		}
		if err != nil {
			return nil, err
		}
		inc = live
	}
	return nil, errTooManyConflicts
}

// stepped is what a step computes.
type stepped struct {
	at      time.Time
	out     *v1alpha1.Incident
	rest    []alert.Alert
	outcome decide.Outcome
	claims  []attempt
	search  *search
}

// compute does a step in memory. Only taking places at the gates reaches beyond the Incident.
func (p *Pipeline) compute(inc *v1alpha1.Incident, alerts []alert.Alert, b *batch) stepped {
	now := p.Now()
	out, rest := Apply(inc, alerts, p.Damping, now)
	for _, r := range b.results {
		if r.incident == inc.Name {
			conclude(out, p.Replica, r, backoffAfter(attemptsOf(out, r.key), rand.Float64()))
		}
	}
	for _, f := range b.found {
		if f.incident == inc.Name {
			explain(out, p.Replica, f, sequenceOf(inc), now)
		}
	}
	p.relate(inc, out, now)
	first := out.Status.Decision == nil
	changed := sequenceOf(out) != sequenceOf(inc) || out.Status.Severity != inc.Status.Severity
	outcome := p.decide(inc, out, first || changed, now)
	decision := outcome.Decision
	if d := out.Status.Decision; decision.Reason == decide.ReasonEscalated && (d == nil || d.Reason != decision.Reason) {
		tellMore(out, sequenceOf(inc), decision.Message, now)
	}
	out.Status.Decision = &decision
	names := p.configured()
	planned := len(out.Status.Deliveries)
	plan(out, outcome, names, first, p.ends(out, now))
	if settledNow(inc.Status.Decision, &decision) {
		restamp(out.Status.Deliveries[planned:], now)
	}
	p.rush.see(out, now)
	expire(out, names, now)
	prune(out)
	claims := p.claim(out, outcome, now)
	out.Status.Receivers = summary(out)
	return stepped{at: now, out: out, rest: rest, outcome: outcome, claims: claims, search: p.claimAnalysis(out, now)}
}

func attemptsOf(inc *v1alpha1.Incident, key string) int64 {
	for _, d := range inc.Status.Deliveries {
		if d.Key == key {
			return d.AttemptCount
		}
	}
	return 0
}

func sequenceOf(inc *v1alpha1.Incident) int64 {
	if inc.Status.Transition == nil {
		return 0
	}
	return inc.Status.Transition.Sequence
}

// firstSight tells whether this process has not decided about an Incident before.
func (p *Pipeline) firstSight(inc *v1alpha1.Incident) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.decided[inc.UID]
}

// settled notes that this process's decision about an Incident is stored.
func (p *Pipeline) settled(inc *v1alpha1.Incident) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.decided[inc.UID] = true
}

func (p *Pipeline) wrote(inc *v1alpha1.Incident) {
	p.mu.Lock()
	p.own[inc.Name] = inc.ResourceVersion
	p.mu.Unlock()
	p.index.Put(inc)
	p.rush.see(inc, p.Now())
}

func (p *Pipeline) count(verb string, err error) {
	result := "ok"
	switch {
	case apierrors.IsAlreadyExists(err) || apierrors.IsConflict(err):
		result = "conflict"
	case err != nil:
		result = "error"
	}
	p.Metrics.writes.WithLabelValues(verb, result).Inc()
}

// later asks for the next look at an Incident, when time alone makes something due: also what became due since the Incident
// was looked at, because to write it takes a while. What this replica wrote last is its own to go on with; others come a
// little later.
func (p *Pipeline) later(inc *v1alpha1.Incident, outcome decide.Outcome, looked time.Time) {
	at := p.nextTime(inc, outcome, looked)
	if at.IsZero() {
		return
	}
	wait := max(at.Sub(p.Now()), 0) + 10*time.Millisecond
	p.mu.Lock()
	own := p.own[inc.Name] == inc.ResourceVersion
	p.mu.Unlock()
	if !own {
		wait += otherReplicaDelay()
	}
	p.queue.AddAfter(inc.Spec.GroupKey, wait)
}

// nextTime returns the earliest time after now at which something becomes due, zero for never.
func (p *Pipeline) nextTime(inc *v1alpha1.Incident, outcome decide.Outcome, now time.Time) time.Time {
	var next time.Time
	consider := func(t time.Time) {
		if t.After(now) && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	s := inc.Status
	if s.State == v1alpha1.IncidentResolved && s.ResolvedAt != nil {
		consider(s.ResolvedAt.Add(QuietTime))
	}
	consider(outcome.Again)
	if want := inc.Spec.Silence; want != nil {
		consider(want.Until.Time)
	}
	consider(p.releaseTime(inc))
	consider(calmAt(inc, p.Damping))
	if at, ok := analysisDue(inc); ok && p.Analyse != nil {
		consider(at)
	}
	if outcome.Reason == decide.ReasonRepeated || outcome.Reason == decide.ReasonInhibited {
		consider(now.Add(time.Minute))
	}
	for i := range s.Deliveries {
		if t, ok := due(inc, &s.Deliveries[i]); ok && outcome.Reason != decide.ReasonMuted {
			consider(t)
		}
	}
	if s.ResolvedAt != nil && pending(inc) {
		consider(s.ResolvedAt.Add(giveUpAfter + time.Second))
	}
	return next
}

// ref names an Incident in logs.
func ref(inc *v1alpha1.Incident) klog.ObjectRef { return klog.KRef(inc.Namespace, inc.Name) }

// root returns the first Incident of a chain of full ones.
func (p *Pipeline) root(inc *v1alpha1.Incident) *v1alpha1.Incident {
	for range 64 {
		if inc == nil || strings.TrimSpace(inc.Spec.Continues) == "" {
			return inc
		}
		inc = p.index.Get(inc.Spec.Continues)
	}
	return inc
}
