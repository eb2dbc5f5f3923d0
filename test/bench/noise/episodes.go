package noise

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"
)

// Episode is one thing that goes on, with the truth about it: Matters says that a person of the team has to do something.
type Episode struct {
	ID      int
	Kind    string
	Team    string
	Matters bool
	// Critical: one of its alerts is.
	Critical   bool
	Start, End time.Time
	// root is the service in which it began, and how that shows in traces; node is the node that is down.
	root string
	slow time.Duration
	node string
}

// Alert is one firing of one rule.
type Alert struct {
	Labels, Annotations map[string]string
	Start, End          time.Time
	// Episodes that it is a sign of: several where their alerts are one and the same to Prometheus.
	Episodes []*Episode
}

// Matters tells whether one of its episodes does.
func (a *Alert) Matters() bool {
	return slices.ContainsFunc(a.Episodes, func(e *Episode) bool { return e.Matters })
}

// information tells that the alert is for information alone.
func (a *Alert) information() bool { return a.Labels["severity"] == "info" }

// Week is what happens.
type Week struct {
	Start    time.Time
	Days     int
	Episodes []*Episode
	Alerts   []*Alert
	random   *rand.Rand
}

// Simulate makes the troubles of some days from a Monday on. The same seed gives the same.
//
// How often each kind comes is in the functions below, in times a week; what people do by day (deploys, load) comes by the
// rhythm of day and week, the rest at any hour.
func Simulate(start time.Time, days int, seed uint64) *Week {
	w := &Week{Start: start, Days: days, random: rand.New(rand.NewPCG(seed, 7))}
	for _, make := range []func(){
		w.background, w.deploys, w.blips, w.flapping, w.nodeTroubles, w.dependencies, w.batch, w.leaks, w.volumes,
	} {
		make()
	}
	w.merge()
	return w
}

// End of the simulated time.
func (w *Week) End() time.Time { return w.Start.Add(time.Duration(w.Days) * 24 * time.Hour) }

// busy is the rhythm of day and week, 0 to 1.
func busy(t time.Time) float64 {
	hour := t.Hour()
	weekend := t.Weekday() == time.Saturday || t.Weekday() == time.Sunday
	switch {
	case weekend:
		return 0.15
	case hour >= 9 && hour < 18:
		return 1
	case hour >= 7 && hour < 22:
		return 0.4
	}
	return 0.1
}

// times draws when something comes that comes n times a week on average; rhythmic things come by day.
func (w *Week) times(n float64, rhythmic bool) []time.Time {
	var list []time.Time
	perHour := n / (7 * 24)
	if rhythmic {
		perHour /= 0.42 // the mean of busy
	}
	for at := w.Start; ; {
		at = at.Add(time.Duration(w.random.ExpFloat64() / perHour * float64(time.Hour))).Truncate(time.Second)
		if !at.Before(w.End()) {
			return list
		}
		if !rhythmic || w.random.Float64() < busy(at) {
			list = append(list, at)
		}
	}
}

func (w *Week) between(from, to time.Duration) time.Duration {
	return (from + time.Duration(w.random.Int64N(int64(to-from)))).Truncate(time.Second)
}

func (w *Week) chance(p float64) bool { return w.random.Float64() < p }

func pick[T any](w *Week, list ...T) T { return list[w.random.IntN(len(list))] }

func (w *Week) episode(kind, team string, matters bool, start time.Time, lasts time.Duration) *Episode {
	e := &Episode{ID: len(w.Episodes) + 1, Kind: kind, Team: team, Matters: matters, Start: start, End: start.Add(lasts)}
	w.Episodes = append(w.Episodes, e)
	return e
}

// fire adds an alert: after is from the beginning of the episode, over how long after its end the alert ends.
func (w *Week) fire(e *Episode, name, severity string, after, over time.Duration, labels map[string]string) {
	w.alert(e, name, severity, e.Start.Add(after), e.End.Add(over), labels)
}

func (w *Week) alert(e *Episode, name, severity string, start, end time.Time, labels map[string]string) {
	start, end = start.Truncate(time.Second), end.Truncate(time.Second)
	if !start.Before(end) {
		return
	}
	l := map[string]string{"alertname": name, "severity": severity}
	maps.Copy(l, labels)
	if _, ok := l["namespace"]; !ok {
		l["namespace"] = "monitoring"
	}
	e.Critical = e.Critical || severity == "critical"
	w.Alerts = append(w.Alerts, &Alert{
		Labels: l, Annotations: map[string]string{"summary": name + " of " + e.Team}, Start: start, End: end, Episodes: []*Episode{e},
	})
}

func (s service) labels(more ...string) map[string]string {
	l := map[string]string{"namespace": s.namespace, "workload": s.name, "workload_kind": s.kind}
	for i := 0; i+1 < len(more); i += 2 {
		l[more[i]] = more[i+1]
	}
	return l
}

func podLabels(s service, pod string) map[string]string {
	return map[string]string{"namespace": s.namespace, "pod": pod, "container": "main"}
}

// background is what fires all the time and nobody cares about: throttling, autoscalers at their bound in the busy hours, a
// target that nobody removed, a clock that is a little off.
func (w *Week) background() {
	stale := w.episode("stale target", "monitoring", false, w.Start.Add(time.Minute), w.End().Sub(w.Start))
	w.fire(stale, "TargetDown", "warning", 0, 0, map[string]string{"namespace": "monitoring", "job": "old-exporter", "service": "old-exporter"})
	for _, s := range services {
		if s.kind != "Deployment" || !w.chance(0.6) {
			continue
		}
		for _, at := range w.times(14, true) {
			e := w.episode("throttling", s.namespace, false, at, w.between(10*time.Minute, 3*time.Hour))
			for i, pod := range s.pods() {
				w.fire(e, "CPUThrottling", "info", time.Duration(i)*20*time.Second, 0, podLabels(s, pod))
			}
		}
	}
	for day := range w.Days {
		noon := w.Start.Add(time.Duration(day)*24*time.Hour + 11*time.Hour)
		if busy(noon) < 1 {
			continue
		}
		for _, name := range []string{"front", "landing"} {
			s := find(name)
			e := w.episode("autoscaler at its bound", s.namespace, false, noon.Add(w.between(0, time.Hour)), w.between(time.Hour, 4*time.Hour))
			w.fire(e, "HPAAtLimit", "warning", 0, 0, map[string]string{"namespace": s.namespace, "horizontalpodautoscaler": s.name})
		}
	}
	for _, at := range w.times(4, false) {
		node := pick(w, nodes...)
		e := w.episode("clock skew", "platform", false, at, w.between(20*time.Minute, 2*time.Hour))
		w.fire(e, "NodeClockSkew", "warning", 0, 0, map[string]string{"node": node, "instance": node})
	}
}

// deploys: most are seen by nobody, some make a short spike, a few are bad and stay so until somebody rolls back.
func (w *Week) deploys() {
	for _, at := range w.times(40, true) {
		s := services[w.random.IntN(len(services))]
		switch roll := w.random.Float64(); {
		case roll < 0.55:
		case roll < 0.85:
			e := w.episode("restart of a deploy", s.namespace, false, at, w.between(40*time.Second, 3*time.Minute))
			w.fire(e, "ServiceErrorRateHigh", "critical", 0, 0, s.labels())
		default:
			e := w.episode("bad deploy", s.namespace, true, at, w.between(12*time.Minute, 50*time.Minute))
			e.root = s.name
			for i, pod := range s.pods() {
				w.fire(e, "PodCrashLooping", "warning",
					w.between(50*time.Second, 2*time.Minute)+time.Duration(i)*10*time.Second, time.Minute, podLabels(s, pod))
			}
			w.fire(e, "ServiceErrorRateHigh", "critical", w.between(30*time.Second, 90*time.Second), 0, s.labels())
			w.fire(e, "RolloutStuck", "warning", 10*time.Minute, 0, s.labels())
			w.suffer(e, s.name, 0.8)
		}
	}
}

// suffer adds the alerts of the callers of a failing service.
func (w *Week) suffer(e *Episode, name string, p float64) {
	for i, c := range callers(name) {
		late := w.between(20*time.Second, 70*time.Second) + time.Duration(i)*10*time.Second
		if w.chance(p) {
			w.fire(e, "ServiceErrorRateHigh", "critical", late, w.between(0, time.Minute), c.labels())
		}
		if w.chance(p / 2) {
			w.fire(e, "ServiceSlow", "warning", late+30*time.Second, time.Minute, c.labels())
		}
		if slices.Contains(c.calls, name) {
			w.fire(e, "ServiceDependencyErrors", "warning", late, 30*time.Second,
				map[string]string{"namespace": c.namespace, "service": c.name, "dependency": name})
		}
	}
}

// blips heal themselves within minutes.
func (w *Week) blips() {
	for _, at := range w.times(60, true) {
		s := services[w.random.IntN(len(services))]
		e := w.episode("blip", s.namespace, false, at, w.between(30*time.Second, 4*time.Minute))
		name, severity := pick(w, "ServiceSlow", "ServiceErrorRateHigh", "PodCrashLooping"), "warning"
		labels := s.labels()
		switch name {
		case "ServiceErrorRateHigh":
			severity = "critical"
		case "PodCrashLooping":
			labels = podLabels(s, s.pods()[0])
		}
		w.fire(e, name, severity, 0, 0, labels)
	}
}

// flapping: a probe with a limit that is too tight, for hours.
func (w *Week) flapping() {
	for i, at := range w.times(4, false) {
		s := services[w.random.IntN(len(services))]
		e := w.episode("flapping probe", s.namespace, false, at, w.between(2*time.Hour, 8*time.Hour))
		severity := "warning"
		if i%2 == 1 {
			severity = "critical"
		}
		for t := e.Start; t.Before(e.End); {
			on := w.between(time.Minute, 4*time.Minute)
			w.alert(e, "ProbeFailing", severity, t, t.Add(on), s.labels())
			t = t.Add(on + w.between(2*time.Minute, 8*time.Minute))
		}
	}
}

// nodeTroubles: a node goes, and with it all that runs there.
func (w *Week) nodeTroubles() {
	for _, at := range w.times(3, false) {
		node := pick(w, nodes...)
		e := w.episode("node lost", "platform", true, at, w.between(8*time.Minute, 40*time.Minute))
		e.node = node
		w.fire(e, "NodeNotReady", "critical", time.Minute, 0, map[string]string{"node": node})
		w.fire(e, "TargetDown", "warning", 2*time.Minute, 0,
			map[string]string{"namespace": "monitoring", "job": "node-exporter", "node": node, "pod": "node-exporter-" + node})
		for _, s := range services {
			on := 0
			for i, pod := range s.pods() {
				if nodeOf(s, i) != node {
					continue
				}
				on++
				w.fire(e, "PodNotReady", "warning", w.between(50*time.Second, 3*time.Minute), w.between(0, 2*time.Minute), podLabels(s, pod))
			}
			if on == s.replicas {
				w.fire(e, "WorkloadDown", "critical", w.between(70*time.Second, 3*time.Minute), w.between(0, 2*time.Minute), s.labels())
			} else if on > 0 {
				w.fire(e, "WorkloadNotReady", "warning", 10*time.Minute, w.between(0, time.Minute), s.labels())
			}
		}
	}
}

// dependencies: a service that others call fails, or is slow, and takes its callers along.
func (w *Week) dependencies() {
	for _, at := range w.times(5, false) {
		s := find(pick(w, "ledger", "payment", "stock", "search", "cart"))
		e := w.episode("dependency failing", s.namespace, true, at, w.between(10*time.Minute, 70*time.Minute))
		e.root = s.name
		if w.chance(0.4) {
			e.slow = w.between(800*time.Millisecond, 3*time.Second)
			w.fire(e, "ServiceVerySlow", "critical", w.between(0, time.Minute), 0, s.labels())
			for _, c := range callers(s.name) {
				w.fire(e, "ServiceVerySlow", "critical", w.between(30*time.Second, 2*time.Minute), w.between(0, time.Minute), c.labels())
			}
			continue
		}
		w.fire(e, "ServiceErrorRateHigh", "critical", w.between(0, time.Minute), 0, s.labels())
		w.suffer(e, s.name, 0.9)
	}
}

// batch: jobs that fail stay failed until their next run.
func (w *Week) batch() {
	for _, j := range jobs {
		n := map[bool]float64{true: 1, false: 5}[j.matters]
		for i, at := range w.times(n, false) {
			e := w.episode("job failed", j.namespace, j.matters, at, w.between(j.every/2, j.every))
			w.fire(e, "JobFailed", "warning", 0, 0, map[string]string{"namespace": j.namespace, "job_name": fmt.Sprintf("%s-%d", j.name, 29000000+i*60)})
		}
	}
}

// leaks: memory grows until the kernel ends a container, every few hours, for as long as nobody mends it.
func (w *Week) leaks() {
	for _, at := range w.times(2, false) {
		s := services[w.random.IntN(len(services))]
		e := w.episode("memory leak", s.namespace, true, at, w.between(10*time.Hour, 30*time.Hour))
		for t := e.Start; t.Before(e.End); t = t.Add(w.between(90*time.Minute, 4*time.Hour)) {
			for i, pod := range s.pods() {
				w.alert(e, "OOMKilled", "warning", t.Add(time.Duration(i)*time.Minute), t.Add(15*time.Minute), podLabels(s, pod))
			}
		}
	}
}

// volumes fill up for hours, first with a warning, then critical.
func (w *Week) volumes() {
	for _, at := range w.times(2, false) {
		s := find(pick(w, "ledger", "warehouse", "stream"))
		e := w.episode("volume filling", s.namespace, true, at, w.between(6*time.Hour, 14*time.Hour))
		labels := map[string]string{"namespace": s.namespace, "persistentvolumeclaim": "data-" + s.pods()[0]}
		w.fire(e, "VolumeFillingUp", "warning", 0, 0, labels)
		w.alert(e, "VolumeAlmostFull", "critical", e.End.Add(-2*time.Hour), e.End, labels)
	}
}

// merge joins alerts of the same labels that overlap: for Prometheus they are one.
func (w *Week) merge() {
	slices.SortStableFunc(w.Alerts, func(a, b *Alert) int { return cmp.Compare(a.Start.UnixNano(), b.Start.UnixNano()) })
	open := map[string]*Alert{}
	var out []*Alert
	for _, a := range w.Alerts {
		key := fmt.Sprint(a.Labels)
		before := open[key]
		if before == nil || before.End.Add(15*time.Second).Before(a.Start) {
			open[key] = a
			out = append(out, a)
			continue
		}
		if a.End.After(before.End) {
			before.End = a.End
		}
		before.Episodes = append(before.Episodes, a.Episodes...)
	}
	w.Alerts = out
}

// lost tells whether a node is down.
func (w *Week) lost(node string, now time.Time) bool {
	return slices.ContainsFunc(w.Episodes, func(e *Episode) bool { return e.node == node && !now.Before(e.Start) && now.Before(e.End) })
}

// failing returns how a service itself is in trouble: that it fails, or how much slower it is.
func (w *Week) failing(name string, at time.Time) (fails bool, slow time.Duration) {
	for _, e := range w.Episodes {
		if e.root == name && !at.Before(e.Start) && at.Before(e.End) {
			if e.slow > 0 {
				slow = max(slow, e.slow)
			} else {
				fails = true
			}
		}
	}
	return fails, slow
}
