package pipeline

import (
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/util/resourceversion"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/alert"
)

// Index holds the newest known version of each Incident of the KubeBot: from the watch, and from this replica's own
// writes, which the watch shows a little later. What it holds is never changed in place.
type Index struct {
	kubeBotUID string

	mu     sync.RWMutex
	byName map[string]*v1alpha1.Incident
	byKey  map[string][]string // group key to names
	// inDigests are the names of those that wait for a digest.
	inDigests map[string]bool
}

// NewIndex returns an empty index for the Incidents of one KubeBot.
func NewIndex(kubeBotUID string) *Index {
	return &Index{kubeBotUID: kubeBotUID, byName: map[string]*v1alpha1.Incident{}, byKey: map[string][]string{}, inDigests: map[string]bool{}}
}

// Put takes a version of an Incident and tells whether it is news. Incidents of others are not taken.
func (x *Index) Put(inc *v1alpha1.Incident) bool {
	if inc.Name != IncidentName(x.kubeBotUID, inc.Spec.GroupKey, inc.Spec.Number) {
		return false
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	have, ok := x.byName[inc.Name]
	if ok && have.UID == inc.UID {
		if order, err := resourceversion.CompareResourceVersion(inc.ResourceVersion, have.ResourceVersion); err == nil && order <= 0 {
			return false
		}
	}
	if !ok {
		key := inc.Spec.GroupKey
		x.byKey[key] = append(x.byKey[key], inc.Name)
	}
	x.byName[inc.Name] = inc
	if slices.ContainsFunc(inc.Status.Deliveries, func(d v1alpha1.Delivery) bool { return d.Digest != "" && waits(&d) }) {
		x.inDigests[inc.Name] = true
	} else {
		delete(x.inDigests, inc.Name)
	}
	return true
}

// Delete forgets an Incident that was removed.
func (x *Index) Delete(inc *v1alpha1.Incident) {
	x.mu.Lock()
	defer x.mu.Unlock()
	have, ok := x.byName[inc.Name]
	if !ok || have.UID != inc.UID {
		return
	}
	delete(x.byName, inc.Name)
	delete(x.inDigests, inc.Name)
	key := inc.Spec.GroupKey
	x.byKey[key] = slices.DeleteFunc(x.byKey[key], func(name string) bool { return name == inc.Name })
	if len(x.byKey[key]) == 0 {
		delete(x.byKey, key)
	}
}

// WaitForDigest tells whether any Incident waits for a digest.
func (x *Index) WaitForDigest() bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return len(x.inDigests) > 0
}

// Get returns an Incident by name, nil if it is not known.
func (x *Index) Get(name string) *v1alpha1.Incident {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.byName[name]
}

// ByKey returns the Incidents of a group key, by number.
func (x *Index) ByKey(key string) []*v1alpha1.Incident {
	x.mu.RLock()
	defer x.mu.RUnlock()
	list := make([]*v1alpha1.Incident, 0, len(x.byKey[key]))
	for _, name := range x.byKey[key] {
		list = append(list, x.byName[name])
	}
	slices.SortFunc(list, func(a, b *v1alpha1.Incident) int { return int(a.Spec.Number - b.Spec.Number) })
	return list
}

// All returns every Incident in no order.
func (x *Index) All() []*v1alpha1.Incident {
	x.mu.RLock()
	defer x.mu.RUnlock()
	list := make([]*v1alpha1.Incident, 0, len(x.byName))
	for _, inc := range x.byName {
		list = append(list, inc)
	}
	return list
}

// Firing returns the alerts of a source that fire as far as the Incidents know, by fingerprint. Those that fired when a
// person closed their Incident count too.
func (x *Index) Firing(source v1alpha1.AlertSource) map[string]FiringAlert {
	return firingIn(x.All(), source)
}

// FiringOf is like Firing for one group key.
func (x *Index) FiringOf(key string, source v1alpha1.AlertSource) map[string]FiringAlert {
	return firingIn(x.ByKey(key), source)
}

func firingIn(incidents []*v1alpha1.Incident, source v1alpha1.AlertSource) map[string]FiringAlert {
	found := make(map[string]FiringAlert)
	for _, inc := range incidents {
		records := inc.Status.Alerts
		if inc.Status.State == "" {
			records = inc.Spec.OpeningAlerts
		}
		for i := range records {
			if r := &records[i]; r.Source == source && r.State == v1alpha1.AlertFiring {
				found[r.Fingerprint] = FiringAlert{Record: *r, GroupKey: inc.Spec.GroupKey, Subject: inc.Spec.Subject}
			}
		}
	}
	return found
}

// FiringAlert is an alert that fires as far as an Incident knows.
type FiringAlert struct {
	Record   v1alpha1.IncidentAlert
	GroupKey string
	Subject  v1alpha1.Subject
}

// End returns the end of the alert.
func (f FiringAlert) End(now time.Time) alert.Alert {
	labels := labelsOf(f.Record)
	return alert.Alert{
		Fingerprint: f.Record.Fingerprint, Labels: labels, StartsAt: f.Record.StartsAt.Time, EndsAt: now,
		Source: f.Record.Source, Severity: f.Record.Severity, GroupKey: f.GroupKey,
	}
}
