// Package sim shows how well package learn does: it makes up teams whose preferences are known, weeks of their
// incidents and people of several habits, and counts what each way to decide would have cost them.
package sim

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/kubebot/kubebot/internal/learn"
)

// start of every simulation, a Monday.
var start = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

// kind is one kind of alert.
type kind struct {
	name, severity, subject string
	// weekly is how many incidents a team has in a week on average.
	weekly float64
}

// kinds and their rates: few kinds make most of the incidents, as in the clusters that the default rules are made for.
var kinds = []kind{
	{"PodCrashLooping", learn.SeverityWarning, "Deployment", 12},
	{"ContainerOOMKilled", learn.SeverityWarning, "Deployment", 6},
	{"ReplicasUnavailable", learn.SeverityWarning, "Deployment", 8},
	{"ProbeFailing", learn.SeverityWarning, "Deployment", 14},
	{"AutoscalerAtMaximum", learn.SeverityWarning, "HorizontalPodAutoscaler", 9},
	{"LatencyHigh", learn.SeverityWarning, "Service", 7},
	{"JobFailed", learn.SeverityWarning, "Job", 10},
	{"CronJobLate", learn.SeverityWarning, "CronJob", 4},
	{"ImagePullFailing", learn.SeverityWarning, "Deployment", 3},
	{"VolumeFillingUp", learn.SeverityWarning, "PersistentVolumeClaim", 2},
	{"CertificateExpiring", learn.SeverityWarning, "Secret", 0.7},
	{"QueueLagging", learn.SeverityWarning, "StatefulSet", 5},
	{"CPUThrottled", learn.SeverityInfo, "Deployment", 10},
	{"ErrorRateHigh", learn.SeverityCritical, "Deployment", 2},
	{"WorkloadDown", learn.SeverityCritical, "StatefulSet", 1},
}

var teams = []string{"payments", "shop", "search", "data"}

// taste is what one team thinks of one kind of alert.
type taste int

const (
	never    taste = iota // noise
	always                // matters
	working               // matters in working hours
	first                 // matters when it did not happen in the day before
	lasting               // matters when it has lasted for five minutes
	contexts = 3          // how many of the tastes look at the incident
)

// matters tells what a team that never errs thinks of an incident.
func (t taste) matters(c learn.Case) bool {
	switch t {
	case always:
		return true
	case working:
		return c.Hour < 5*24 && c.Hour%24 >= 7 && c.Hour%24 < 18
	case first:
		return c.Recurrence == 0
	case lasting:
		return c.Seconds > 300
	}
	return false
}

// surprise is how often an incident is the contrary of what its team thinks of such ones: no policy can know it.
const surprise = 0.03

// event is one incident with its truth.
type event struct {
	incident learn.Incident
	opened   time.Time
	matters  bool
	repeated bool
	taste    taste
	// luck decides what the user does, the same for every policy.
	luck [4]float64
}

// world makes the incidents of some weeks for a user, in the order of time. The same seed gives the same world.
func world(u User, weeks int, seed uint64) []event {
	r := rand.New(rand.NewPCG(seed, 0x6b756265626f74))
	end := start.AddDate(0, 0, 7*weeks)
	var events []event
	for _, k := range kinds {
		common := draw(r, u.Context)
		for _, team := range teams {
			before := common
			if r.Float64() < u.OwnTaste {
				before = draw(r, u.Context)
			}
			after := before
			if r.Float64() < u.Drift {
				after = turned(before)
			}
			rate := k.weekly * (0.4 + 1.2*r.Float64())
			for at := start; ; {
				at = at.Add(time.Duration(r.ExpFloat64() / rate * float64(7*24*time.Hour)))
				if !at.Before(end) {
					break
				}
				t := before
				if at.After(start.Add(end.Sub(start) / 2)) {
					t = after
				}
				events = append(events, incidents(r, k, team, t, at)...)
			}
		}
	}
	events = slices.DeleteFunc(events, func(e event) bool { return !e.opened.Before(end) })
	slices.SortStableFunc(events, func(a, b event) int {
		return cmp.Or(a.opened.Compare(b.opened), cmp.Compare(a.incident.Team+a.incident.Kind, b.incident.Team+b.incident.Kind))
	})
	settle(r, events)
	return events
}

// draw makes a taste: of ten kinds of warning about three matter, as those do who count what they are paged for.
func draw(r *rand.Rand, context float64) taste {
	if r.Float64() < context {
		return working + taste(r.IntN(contexts))
	}
	if r.Float64() < 0.35 {
		return always
	}
	return never
}

func turned(t taste) taste {
	if t == never {
		return always
	}
	return never
}

// incidents makes one incident and, at times, repeats of it within half an hour.
func incidents(r *rand.Rand, k kind, team string, t taste, at time.Time) []event {
	var out []event
	for repeated := false; ; repeated = true {
		e := event{opened: at.Truncate(time.Second), taste: t, repeated: repeated, incident: learn.Incident{Team: team, Kind: k.name, Case: learn.Case{
			Severity: k.severity, Subject: k.subject, Source: "Alertmanager", Hour: learn.HourOfWeek(at),
			Seconds: int64(30 + r.ExpFloat64()*400), Symptoms: 1 + int(r.ExpFloat64()*2), Cause: r.Float64() < 0.6,
		}}}
		for i := range e.luck {
			e.luck[i] = r.Float64()
		}
		out = append(out, e)
		if k.severity == learn.SeverityCritical || r.Float64() > 0.15 {
			return out
		}
		at = at.Add(time.Duration(5+r.IntN(20)) * time.Minute)
	}
}

// settle names the incidents, counts what recurs, and says what mattered.
func settle(r *rand.Rand, events []event) {
	before := map[string][]time.Time{}
	for i := range events {
		e := &events[i]
		in := &e.incident
		key := in.Team + "/" + in.Kind
		recent := slices.DeleteFunc(before[key], func(t time.Time) bool { return e.opened.Sub(t) > 24*time.Hour })
		in.Recurrence = len(recent)
		before[key] = append(recent, e.opened)
		in.Name = fmt.Sprintf("main-%s-%s-%d", in.Team, in.Kind, i)
		e.matters = e.taste.matters(in.Case) != (r.Float64() < surprise)
		switch {
		case in.Severity == learn.SeverityCritical:
			e.matters = r.Float64() < 0.9
		case e.repeated:
			e.matters = r.Float64() < surprise
		}
	}
}
