package pipeline

import (
	"fmt"
	"time"

	"github.com/prometheus/common/model"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/decide"
)

// An Incident that comes back again and again is kept open as one: it is neither resolved nor reopened, and nobody is told
// of that, until nothing has fired for a while.

// cameBack notes a return of an Incident that was resolved. When it is one too many it returns what receivers are told.
func cameBack(inc *v1alpha1.Incident, damping decide.Damping, now time.Time) string {
	if damping.Times <= 0 {
		return ""
	}
	f := inc.Status.Flapping
	if f == nil {
		f = &v1alpha1.FlappingStatus{}
		inc.Status.Flapping = f
	}
	returns := make([]time.Time, 0, len(f.Returns)+1)
	for _, at := range f.Returns {
		returns = append(returns, at.Time)
	}
	returns = damping.Recent(append(returns, now), now)
	f.Returns = nil
	for _, at := range returns {
		f.Returns = append(f.Returns, stamp(at))
	}
	if !damping.Flaps(returns, now) {
		return ""
	}
	since := stamp(now)
	f.Since, f.CalmSince, f.HeldBack = &since, nil, 0
	return fmt.Sprintf("Flapping: it came back %d times within %s. It stays open, and nothing more is told of that, until it was quiet for %s",
		len(returns), model.Duration(damping.Within), model.Duration(damping.Calm))
}

// flaps tells whether an Incident is kept open.
func flaps(inc *v1alpha1.Incident) bool {
	f := inc.Status.Flapping
	return f != nil && f.Since != nil
}

// calming takes note of whether the alerts of a flapping Incident fire; n of them do. It returns true while the Incident is
// kept open although none does. Once it was calm for long enough it flaps no longer, and what follows resolves it.
func calming(inc *v1alpha1.Incident, n int, damping decide.Damping, now time.Time) bool {
	if !flaps(inc) {
		return false
	}
	f := inc.Status.Flapping
	switch {
	case n > 0:
		if f.CalmSince != nil {
			f.HeldBack++
		}
		f.CalmSince = nil
		return false
	case f.CalmSince == nil:
		at := stamp(now)
		f.CalmSince = &at
	}
	if now.Before(f.CalmSince.Add(damping.Calm)) {
		return true
	}
	f.Since, f.CalmSince, f.Returns = nil, nil, []metav1.Time(nil)
	return false
}

// calmAt is when a flapping Incident that is quiet is over; zero for none.
func calmAt(inc *v1alpha1.Incident, damping decide.Damping) time.Time {
	if !flaps(inc) || inc.Status.Flapping.CalmSince == nil {
		return time.Time{}
	}
	return inc.Status.Flapping.CalmSince.Add(damping.Calm)
}
