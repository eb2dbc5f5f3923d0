package pipeline

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/alert"
	"github.com/kubebot/kubebot/internal/document"
)

const (
	// analysisTime is the deadline of one analysis.
	analysisTime = 20 * time.Second
	// analysisGrace is how long after the deadline an answer is waited for.
	analysisGrace = 5 * time.Second
	// analysisClaim is how long a claim of an analysis holds.
	analysisClaim = analysisTime + 10*time.Second
	// analysesAtOnce in one replica: each may hold the lists of a namespace in memory.
	analysesAtOnce = 2
	// maxRuns of the analysis of one Incident.
	maxRuns = 6
	// rerunAfter is how long after an analysis the next one may begin when the Incident changed.
	rerunAfter = 30 * time.Second
	// sure is the score in percent from which on a cause is not looked for again by itself.
	sure = 75
	// maxEvidence of a cause in a message, maxTold the limit of a transition's text, and maxToldFix that of the commands in
	// it, which are to leave room for the evidence.
	maxEvidence = 6
	maxTold     = 1024
	maxToldFix  = 600
)

// again says how long after the first, second, ... analysis without a sure cause the next one is made: telemetry of the
// trouble comes in with a delay.
var again = []time.Duration{40 * time.Second, 2 * time.Minute}

// Analyst looks for the cause of an Incident and returns a status that holds causes and analysis. It returns soon after
// the context ends; what it could not read it says.
type Analyst func(ctx context.Context, inc *v1alpha1.Incident) v1alpha1.IncidentStatus

// search is an analysis that was claimed.
type search struct {
	incident string
	until    time.Time
	sequence int64
}

// found is how an analysis ended; an aborted one is to be made by another replica.
type found struct {
	search
	status  v1alpha1.IncidentStatus
	aborted bool
}

// analysisDue returns when an analysis of an Incident is due; false for never. What a person judged, and what is over,
// is not analysed.
func analysisDue(inc *v1alpha1.Incident) (time.Time, bool) {
	s := &inc.Status
	if s.State != v1alpha1.IncidentOpen && s.State != v1alpha1.IncidentAcknowledged || inc.Spec.Cause != nil {
		return time.Time{}, false
	}
	a := s.Analysis
	switch {
	case a == nil:
		return time.Time{}, true
	case a.State == v1alpha1.AnalysisRunning && a.Until != nil:
		return a.Until.Time, true
	case a.Runs >= maxRuns || a.FinishedAt == nil:
		return time.Time{}, false
	case sequenceOf(inc) > a.Trigger:
		return a.FinishedAt.Add(rerunAfter), true
	case unsure(s) && int(a.Runs) <= len(again) && a.Runs > 0:
		return a.FinishedAt.Add(again[a.Runs-1]), true
	}
	return time.Time{}, false
}

func unsure(s *v1alpha1.IncidentStatus) bool {
	return len(s.Causes) == 0 || s.Causes[0].ScorePercent < sure
}

// claimAnalysis takes the analysis of an Incident if it is due and there is a place for it now. The claim is part of the
// write that the pass makes anyway for a new Incident.
func (p *Pipeline) claimAnalysis(inc *v1alpha1.Incident, now time.Time) *search {
	if p.Analyse == nil || p.stopping.Load() {
		return nil
	}
	at, ok := analysisDue(inc)
	if !ok || at.After(now) {
		return nil
	}
	a := inc.Status.Analysis
	if a == nil {
		a = &v1alpha1.Analysis{}
	}
	if a.Runs >= maxRuns { // the last one was claimed and never ended
		a.State, a.Holder, a.Until, a.FinishedAt = v1alpha1.AnalysisFailed, "", nil, microStamp(now)
		a.Message = "the analysis did not come to an end"
		return nil
	}
	if !p.analyses.enter(inc.Spec.GroupKey, alert.Rank(inc.Status.Severity)) {
		return nil
	}
	a.State, a.Holder, a.Until = v1alpha1.AnalysisRunning, p.Replica, microStamp(now.Add(analysisClaim))
	a.Runs++
	a.Trigger = sequenceOf(inc)
	inc.Status.Analysis = a
	return &search{incident: inc.Name, until: a.Until.Time, sequence: a.Trigger}
}

// search makes a claimed analysis in a goroutine of its own: no message waits for it.
func (p *Pipeline) search(inc *v1alpha1.Incident, s *search) {
	if s == nil {
		return
	}
	p.sendMu.Lock()
	stopping := p.stopping.Load()
	if !stopping {
		p.sends.Add(1)
	}
	p.sendMu.Unlock()
	if stopping {
		p.wake(p.analyses.leave())
		p.concludeAnalysis(inc, found{search: *s, aborted: true})
		return
	}
	go func() {
		defer p.sends.Done()
		ctx, cancel := context.WithTimeout(p.analysing, analysisTime)
		defer cancel()
		began := p.Now()
		status := p.analyse(ctx, inc.DeepCopy())
		p.Metrics.analysing.Observe(max(p.Now().Sub(began), 0).Seconds())
		aborted := p.analysing.Err() != nil
		if !aborted {
			p.Metrics.analyses.WithLabelValues(string(status.Analysis.State)).Inc()
		}
		p.concludeAnalysis(inc, found{search: *s, status: status, aborted: aborted})
		p.wake(p.analyses.leave())
	}()
}

// analyse asks the analyst. One that panics, gives nothing or does not come back has failed: its place is for others, and
// a responder that stops does not wait for it.
func (p *Pipeline) analyse(ctx context.Context, inc *v1alpha1.Incident) v1alpha1.IncidentStatus {
	answer := make(chan v1alpha1.IncidentStatus, 1)
	go func() { answer <- p.ask(ctx, inc) }()
	select {
	case status := <-answer:
		return status
	case <-ctx.Done():
	}
	grace := time.NewTimer(analysisGrace)
	defer grace.Stop()
	select {
	case status := <-answer:
		return status
	case <-grace.C:
	}
	p.Log.Error(ctx.Err(), "The analysis was given up", "incident", ref(inc))
	return failedAnalysis("the analysis did not come to an end")
}

// ask returns what the analyst answers, and that it failed if it panics or gives nothing.
func (p *Pipeline) ask(ctx context.Context, inc *v1alpha1.Incident) (status v1alpha1.IncidentStatus) {
	defer func() {
		if v := recover(); v != nil {
			p.Log.Error(fmt.Errorf("the analysis failed with a %T", v), "Cause was not looked for", "incident", ref(inc))
			status = failedAnalysis("the analysis failed by an error of its own")
		}
	}()
	status = p.Analyse(ctx, inc)
	if status.Analysis == nil {
		status = failedAnalysis("the analysis gave no answer")
	}
	return status
}

func failedAnalysis(message string) v1alpha1.IncidentStatus {
	return v1alpha1.IncidentStatus{Analysis: &v1alpha1.Analysis{State: v1alpha1.AnalysisFailed, Message: message}}
}

// concludeAnalysis hands in what an analysis found; the group's next pass writes it.
func (p *Pipeline) concludeAnalysis(inc *v1alpha1.Incident, f found) {
	key := inc.Spec.GroupKey
	p.mu.Lock()
	b := p.box(key)
	b.found = append(b.found, f)
	p.mu.Unlock()
	p.queue.Add(key)
}

// explain writes what an analysis found into an Incident, if this replica still holds its claim. Receivers are told when
// the first cause is another one than before; before is the sequence that the pass began with.
func explain(inc *v1alpha1.Incident, holder string, f found, before int64, now time.Time) {
	a := inc.Status.Analysis
	if a == nil || a.State != v1alpha1.AnalysisRunning || a.Holder != holder || a.Until == nil || !a.Until.Time.Equal(f.until) {
		return
	}
	if f.aborted {
		a.Until = microStamp(now)
		a.Runs = max(a.Runs-1, 0)
		return
	}
	next := f.status.Analysis.DeepCopy()
	next.Runs, next.Trigger, next.FinishedAt = a.Runs, a.Trigger, microStamp(now)
	s := &inc.Status
	s.Analysis = next
	if inc.Spec.Cause != nil || next.State == v1alpha1.AnalysisFailed {
		return
	}
	if len(f.status.Causes) == 0 && len(s.Causes) > 0 || next.State == v1alpha1.AnalysisNothingStandsOut && stood(s) {
		return // the trouble is seen less well than before; what was found stays
	}
	old := s.Causes
	s.Causes = f.status.Causes
	if next.State != v1alpha1.AnalysisCauseFound || sameCause(old, s.Causes) && s.Cause == cut(s.Causes[0].Sentence, 512) {
		return
	}
	told := sameCause(old, s.Causes) || s.Cause == cut(s.Causes[0].Sentence, 512)
	s.Cause = cut(s.Causes[0].Sentence, 512)
	if told || s.State != v1alpha1.IncidentOpen && s.State != v1alpha1.IncidentAcknowledged {
		return
	}
	if t := s.Transition; t != nil && t.Sequence > before && t.Kind != v1alpha1.TransitionResolved {
		t.Text = cut(t.Text+"\n"+tell(inc, max(maxTold-len(t.Text)-1, 0)), maxTold)
	} else {
		transit(inc, v1alpha1.TransitionUpdated, tell(inc, maxTold), now)
	}
	next.Trigger = s.Transition.Sequence
}

// stood tells whether the causes that are there hold one that stands out.
func stood(s *v1alpha1.IncidentStatus) bool {
	return len(s.Causes) > 0 && s.Cause == cut(s.Causes[0].Sentence, 512)
}

// sameCause tells whether two lists begin with the same cause, however it is worded: numbers in sentences change.
func sameCause(a, b []v1alpha1.Cause) bool {
	return len(a) > 0 && len(b) > 0 && alike(a[0], b[0])
}

func alike(a, b v1alpha1.Cause) bool {
	return a.Object == b.Object && a.Kind == b.Kind && a.Field == b.Field
}

// tell says what an analysis found, for the thread: the cause, its evidence, the fix, what else may be, what was missing.
func tell(inc *v1alpha1.Incident, limit int) string {
	s := &inc.Status
	first := s.Causes[0]
	lines := []string{fmt.Sprintf("Likely cause (%d %%): %s", first.ScorePercent, first.Sentence)}
	if fix := first.Fix; fix != nil {
		lines = append(lines, "Fix: "+fix.Explanation)
		if len(fix.Commands) > 0 {
			lines = append(lines, commands(inc, fix, min(maxToldFix, limit-len(lines[0])-len(lines[1])-2)))
		}
	}
	for i, e := range first.Evidence[:min(len(first.Evidence), maxEvidence)] {
		if i == 0 {
			lines = append(lines, "Evidence:")
		}
		lines = append(lines, fmt.Sprintf("• %s: %s", e.From, e.Text))
	}
	if len(first.Path) > 1 {
		lines = append(lines, "Path: "+strings.Join(first.Path, " → "))
	}
	for i, c := range s.Causes[1:min(len(s.Causes), 3)] {
		lines = append(lines, fmt.Sprintf("%d. (%d %%) %s", i+2, c.ScorePercent, c.Sentence))
	}
	for _, source := range s.Analysis.Sources {
		if source.State != v1alpha1.SourceRead {
			lines = append(lines, fmt.Sprintf("%s of %s: %s",
				map[bool]string{true: "Part", false: "Nothing"}[source.State == v1alpha1.SourcePartial], source.Name, source.Message))
		}
	}
	return fitLines(lines, limit)
}

// commands are those of a fix, all of them or where they are: the first of two may only delete what the next makes anew.
func commands(inc *v1alpha1.Incident, fix *v1alpha1.CauseFix, limit int) string {
	all := "    " + strings.Join(fix.Commands, "\n    ")
	if len(all) > limit {
		return "    " + document.Why(inc)
	}
	return all
}

// fitLines joins as many lines as fit; a line that is too long is left out, the first is cut.
func fitLines(lines []string, limit int) string {
	out := cut(lines[0], limit)
	for _, l := range lines[1:] {
		if len(out)+1+len(l) <= limit {
			out += "\n" + l
		}
	}
	return out
}

// slots bounds how many analyses run at once; the most severe that wait come first, then the first that came.
type slots struct {
	mu      sync.Mutex
	places  int
	busy    int
	waiting []waiter
}

type waiter struct {
	key  string
	rank int
}

// enter takes a place. Without one, the key is remembered and returned later by leave or free.
func (s *slots) enter(key string, rank int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.busy < s.places {
		s.busy++
		return true
	}
	if !slices.ContainsFunc(s.waiting, func(w waiter) bool { return w.key == key }) {
		s.waiting = append(s.waiting, waiter{key, rank})
		slices.SortStableFunc(s.waiting, func(a, b waiter) int { return cmp.Compare(b.rank, a.rank) })
	}
	return false
}

// leave gives a place back and returns the keys that can go on.
func (s *slots) leave() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy--
	return s.pop()
}

// free returns the keys that can go on: one that was woken may have had nothing to do.
func (s *slots) free() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pop()
}

func (s *slots) pop() []string {
	n := min(max(s.places-s.busy, 0), len(s.waiting))
	keys := make([]string, n)
	for i := range keys {
		keys[i] = s.waiting[i].key
	}
	s.waiting = s.waiting[n:]
	return keys
}
