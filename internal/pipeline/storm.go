package pipeline

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/decide"
)

// rush knows which Incidents are new, by receiver. Every replica derives it from the Incidents, so that a restart forgets
// nothing.
type rush struct {
	mu   sync.Mutex
	told map[string]map[string]time.Time // receiver, Incident: when the first message was planned
}

func newRush() *rush { return &rush{told: map[string]map[string]time.Time{}} }

// see takes what an Incident says of its first messages, also of those in a storm's digest. What is older than the KubeBot or
// can wait is no storm, and what is new then is told at once.
func (r *rush) see(inc *v1alpha1.Incident, now time.Time) {
	dec := inc.Status.Decision
	calm := dec != nil && (dec.Reason == decide.ReasonQuietStart || dec.Reason == decide.ReasonDigest)
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range inc.Status.Deliveries {
		d := &inc.Status.Deliveries[i]
		if d.Transition != v1alpha1.TransitionOpened || d.At == nil || calm && d.Digest != "" || now.Sub(d.At.Time) >= decide.StormWindow {
			continue
		}
		if r.told[d.Receiver] == nil {
			r.told[d.Receiver] = map[string]time.Time{}
		}
		if _, known := r.told[d.Receiver][inc.Name]; !known {
			r.told[d.Receiver][inc.Name] = d.At.Time
		}
	}
}

// crowded returns the receivers of more than bound new Incidents, another one counted too, in their order.
func (r *rush) crowded(incident string, bound int, now time.Time) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forget(now)
	if bound <= 0 {
		return nil
	}
	var list []string
	for receiver, incidents := range r.told {
		others := len(incidents)
		if _, known := incidents[incident]; known {
			others--
		}
		if others >= bound {
			list = append(list, receiver)
		}
	}
	slices.Sort(list)
	return list
}

// forget drops what is new no longer, with the receivers that were told of nothing else; the lock is held.
func (r *rush) forget(now time.Time) {
	for receiver, incidents := range r.told {
		maps.DeleteFunc(incidents, func(_ string, at time.Time) bool { return now.Sub(at) >= decide.StormWindow })
		if len(incidents) == 0 {
			delete(r.told, receiver)
		}
	}
}

// bundled returns the receivers that were told, or are to be told, of an Incident by digests alone, and the reason of that.
func bundled(inc *v1alpha1.Incident) ([]string, string) {
	var list []string
	for _, d := range inc.Status.Deliveries {
		if d.Digest != "" && d.State != v1alpha1.DeliverySuperseded && !slices.Contains(list, d.Receiver) {
			list = append(list, d.Receiver)
		}
	}
	list = slices.DeleteFunc(list, func(receiver string) bool {
		return slices.ContainsFunc(inc.Status.Deliveries, func(d v1alpha1.Delivery) bool { return d.Receiver == receiver && d.Digest == "" })
	})
	if d := inc.Status.Decision; len(list) > 0 && d != nil && d.Verdict == v1alpha1.VerdictDigest {
		return list, d.Reason
	}
	return list, ""
}
