package pipeline

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/alert"
	"github.com/kubebot/kubebot/internal/decide"
)

func TestAnalysisDue(t *testing.T) {
	ended := microStamp(noon)
	good, weak := []v1alpha1.Cause{{ScorePercent: 90}}, []v1alpha1.Cause{{ScorePercent: 60}}
	for name, c := range map[string]struct {
		state    v1alpha1.IncidentState
		analysis *v1alpha1.Analysis
		causes   []v1alpha1.Cause
		judged   bool
		due      bool
		at       time.Time
	}{
		"a new incident":                       {state: v1alpha1.IncidentOpen, due: true},
		"one that somebody looks after":        {state: v1alpha1.IncidentAcknowledged, due: true},
		"one that is over":                     {state: v1alpha1.IncidentResolved},
		"one that was not opened yet":          {},
		"one whose cause a person judged":      {state: v1alpha1.IncidentOpen, judged: true},
		"one that a replica analyses":          {state: v1alpha1.IncidentOpen, analysis: &v1alpha1.Analysis{State: v1alpha1.AnalysisRunning, Until: ended, Runs: 1}, due: true, at: noon},
		"a sure cause":                         {state: v1alpha1.IncidentOpen, analysis: &v1alpha1.Analysis{FinishedAt: ended, Runs: 1, Trigger: 2}, causes: good},
		"a sure cause, and it got worse since": {state: v1alpha1.IncidentOpen, analysis: &v1alpha1.Analysis{FinishedAt: ended, Runs: 1, Trigger: 1}, causes: good, due: true, at: noon.Add(rerunAfter)},
		"no sure cause after the first":        {state: v1alpha1.IncidentOpen, analysis: &v1alpha1.Analysis{FinishedAt: ended, Runs: 1, Trigger: 2}, causes: weak, due: true, at: noon.Add(again[0])},
		"no cause after the second":            {state: v1alpha1.IncidentOpen, analysis: &v1alpha1.Analysis{FinishedAt: ended, Runs: 2, Trigger: 2}, due: true, at: noon.Add(again[1])},
		"no cause after the third":             {state: v1alpha1.IncidentOpen, analysis: &v1alpha1.Analysis{FinishedAt: ended, Runs: 3, Trigger: 2}},
		"worse, but often enough":              {state: v1alpha1.IncidentOpen, analysis: &v1alpha1.Analysis{FinishedAt: ended, Runs: maxRuns, Trigger: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			inc := changed(v1alpha1.TransitionOpened, 2)
			inc.Status.State, inc.Status.Analysis, inc.Status.Causes = c.state, c.analysis, c.causes
			if c.judged {
				inc.Spec.Cause = &v1alpha1.CauseJudgement{Confirm: new(int32(1))}
			}
			at, due := analysisDue(inc)
			assert.Equal(t, c.due, due)
			assert.True(t, c.at.Equal(at), "%s, not %s", at, c.at)
		})
	}
}

func TestWhatBecameCriticalIsAnalysedAgainHoweverOftenItWas(t *testing.T) {
	inc, _ := Apply(opened(fired("A", "1", v1alpha1.SeverityWarning, noon)), nil, decide.Damping{}, noon)
	inc.Status.Analysis = &v1alpha1.Analysis{FinishedAt: microStamp(noon), Runs: maxRuns, Trigger: 1}
	if _, due := analysisDue(inc); due {
		t.Error("it was analysed often enough")
	}
	inc, _ = Apply(inc, []alert.Alert{fired("A", "2", v1alpha1.SeverityCritical, noon)}, decide.Damping{}, noon.Add(time.Hour))
	at, due := analysisDue(inc)
	assert.True(t, due)
	assert.Equal(t, noon.Add(rerunAfter), at.UTC())
}

// outcome is what an analysis says.
func outcome(state v1alpha1.AnalysisState, causes ...v1alpha1.Cause) v1alpha1.IncidentStatus {
	return v1alpha1.IncidentStatus{Analysis: &v1alpha1.Analysis{State: state}, Causes: causes}
}

func cause(object string, score int32, sentence string) v1alpha1.Cause {
	return v1alpha1.Cause{Object: v1alpha1.CauseObject{Kind: "Deployment", Name: object}, Kind: "config", ScorePercent: score, Sentence: sentence}
}

func TestExplain(t *testing.T) {
	found, nothing := v1alpha1.AnalysisCauseFound, v1alpha1.AnalysisNothingStandsOut
	for name, c := range map[string]struct {
		have     []v1alpha1.Cause
		stated   string
		state    v1alpha1.IncidentState
		status   v1alpha1.IncidentStatus
		cause    string
		sequence int64
	}{
		"a cause is told":                                {status: outcome(found, cause("a", 90, "A is bad")), cause: "A is bad", sequence: 3},
		"the same cause in other words is not":           {have: []v1alpha1.Cause{cause("a", 80, "A is bad")}, stated: "A is bad", status: outcome(found, cause("a", 90, "A is very bad")), cause: "A is very bad", sequence: 2},
		"another cause is":                               {have: []v1alpha1.Cause{cause("a", 80, "A is bad")}, stated: "A is bad", status: outcome(found, cause("b", 90, "B is bad")), cause: "B is bad", sequence: 3},
		"what no longer stands out stays":                {have: []v1alpha1.Cause{cause("a", 80, "A is bad")}, stated: "A is bad", status: outcome(nothing, cause("b", 30, "B may be")), cause: "A is bad", sequence: 2},
		"what an alert said stays where nothing does":    {stated: "no image", status: outcome(nothing, cause("b", 30, "B may be")), cause: "no image", sequence: 2},
		"what an alert said is replaced by what is sure": {stated: "no image", status: outcome(found, cause("a", 97, "Image x does not exist")), cause: "Image x does not exist", sequence: 3},
		"a failed analysis changes nothing":              {stated: "no image", status: outcome(v1alpha1.AnalysisFailed), cause: "no image", sequence: 2},
		"nobody is told after the end":                   {state: v1alpha1.IncidentResolved, status: outcome(found, cause("a", 90, "A is bad")), cause: "A is bad", sequence: 2},
	} {
		t.Run(name, func(t *testing.T) {
			inc := changed(v1alpha1.TransitionOpened, 2)
			if c.state != "" {
				inc.Status.State = c.state
			}
			inc.Status.Causes, inc.Status.Cause = c.have, c.stated
			inc.Status.Analysis = &v1alpha1.Analysis{State: v1alpha1.AnalysisRunning, Holder: "me", Until: microStamp(noon), Runs: 1, Trigger: 2}
			explain(inc, "me", foundBy(c.status), 2, noon)
			assert.Equal(t, c.cause, inc.Status.Cause)
			assert.Equal(t, c.sequence, sequenceOf(inc))
			assert.Equal(t, c.status.Analysis.State, inc.Status.Analysis.State)
			assert.EqualValues(t, 1, inc.Status.Analysis.Runs)
			assert.Equal(t, sequenceOf(inc), inc.Status.Analysis.Trigger, "its own news is no reason to look again")
		})
	}
}

func foundBy(status v1alpha1.IncidentStatus) found {
	return found{search: search{until: noon}, status: status}
}

func TestAnswerOfALostClaimIsDropped(t *testing.T) {
	inc := changed(v1alpha1.TransitionOpened, 2)
	inc.Status.Analysis = &v1alpha1.Analysis{State: v1alpha1.AnalysisRunning, Holder: "other", Until: microStamp(noon)}
	explain(inc, "me", foundBy(outcome(v1alpha1.AnalysisCauseFound, cause("a", 90, "A is bad"))), 2, noon)
	assert.Empty(t, inc.Status.Causes)
	inc.Status.Analysis.Holder = "me"
	inc.Status.Analysis.Until = microStamp(noon.Add(time.Second))
	explain(inc, "me", foundBy(outcome(v1alpha1.AnalysisCauseFound, cause("a", 90, "A is bad"))), 2, noon)
	assert.Empty(t, inc.Status.Causes, "an earlier claim of the same replica")
}

func TestCauseJoinsTheChangeOfTheSamePass(t *testing.T) {
	inc := changed(v1alpha1.TransitionUpdated, 3)
	inc.Status.Transition.Text = "Now critical: checkout is down"
	inc.Status.Analysis = &v1alpha1.Analysis{State: v1alpha1.AnalysisRunning, Holder: "me", Until: microStamp(noon)}
	explain(inc, "me", foundBy(outcome(v1alpha1.AnalysisCauseFound, cause("a", 90, "A is bad"))), 2, noon)
	assert.EqualValues(t, 3, sequenceOf(inc))
	assert.Equal(t, "Now critical: checkout is down\nLikely cause (90 %): A is bad", inc.Status.Transition.Text)
}

func TestWhatIsToldFitsAndHoldsNoHalfLine(t *testing.T) {
	c := cause("a", 90, "A is bad")
	c.Fix = &v1alpha1.CauseFix{Explanation: "Go back.", Commands: []string{"kubectl rollout undo deployment/a"}}
	for range 8 {
		c.Evidence = append(c.Evidence, v1alpha1.CauseEvidence{From: v1alpha1.EvidenceLogs, Text: strings.Repeat("x", 400)})
	}
	s := outcome(v1alpha1.AnalysisCauseFound, c, cause("b", 30, "B may be"))
	s.Analysis.Sources = []v1alpha1.AnalysisSource{{Name: "loki", State: v1alpha1.SourceMissing, Message: "no answer within 4s"}}
	text := tell(&v1alpha1.Incident{Status: s}, maxTold)
	assert.LessOrEqual(t, len(text), maxTold)
	for _, want := range []string{"Likely cause (90 %): A is bad", "Fix: Go back.", "    kubectl rollout undo deployment/a", "2. (30 %) B may be", "Nothing of loki: no answer within 4s"} {
		assert.Contains(t, strings.Split(text, "\n"), want)
	}
}

func TestAFixIsToldWithAllOfItsCommandsOrWhereTheyAre(t *testing.T) {
	remove, create := "kubectl -n shop delete job/report", "kubectl -n shop apply -f FILE"
	for name, c := range map[string]struct {
		commands []string
		before   string
		want     []string
	}{
		"all":                      {commands: []string{remove, remove, create}, want: []string{remove, remove, create}},
		"more than there is room":  {commands: []string{remove, create + strings.Repeat("x", maxToldFix)}, want: []string{"kubectl kubebot why incident/main-1 -n kubebot"}},
		"beside what was to tell":  {commands: []string{remove, create}, before: strings.Repeat("x", 915), want: []string{"kubectl kubebot why incident/main-1 -n kubebot"}},
		"no room for what is told": {commands: []string{remove, create}, before: strings.Repeat("x", maxTold)},
	} {
		t.Run(name, func(t *testing.T) {
			inc := changed(v1alpha1.TransitionUpdated, 3)
			inc.Name, inc.Namespace, inc.Status.Transition.Text = "main-1", "kubebot", c.before
			inc.Status.Analysis = &v1alpha1.Analysis{State: v1alpha1.AnalysisRunning, Holder: "me", Until: microStamp(noon)}
			bad := cause("a", 90, "A is bad")
			bad.Fix = &v1alpha1.CauseFix{Explanation: "Make it anew.", Commands: c.commands}
			explain(inc, "me", foundBy(outcome(v1alpha1.AnalysisCauseFound, bad)), 2, noon)
			var got []string
			for line := range strings.SplitSeq(inc.Status.Transition.Text, "\n") {
				if command, ok := strings.CutPrefix(line, "    "); ok {
					got = append(got, command)
				}
			}
			assert.Equal(t, c.want, got)
			assert.LessOrEqual(t, len(inc.Status.Transition.Text), maxTold)
		})
	}
}

func TestSlotsBoundAndOrderAnalyses(t *testing.T) {
	s := &slots{places: 1}
	require.True(t, s.enter("a", 1))
	for _, w := range []waiter{{"info", 1}, {"critical", 3}, {"critical", 3}, {"warning", 2}} {
		assert.False(t, s.enter(w.key, w.rank))
	}
	assert.Equal(t, []string{"critical"}, s.leave())
	assert.Equal(t, []string{"warning"}, s.free(), "the one that was woken had nothing to do")
	require.True(t, s.enter("warning", 2))
	assert.Empty(t, s.free())
	assert.Equal(t, []string{"info"}, s.leave())
}

func TestAnalystThatPanicsHasFailed(t *testing.T) {
	p, _ := start(t, &counter{}, &broken{})
	p.Analyse = func(context.Context, *v1alpha1.Incident) v1alpha1.IncidentStatus { panic("bad") }
	assert.Equal(t, v1alpha1.AnalysisFailed, p.analyse(t.Context(), &v1alpha1.Incident{}).Analysis.State)
	p.Analyse = func(context.Context, *v1alpha1.Incident) v1alpha1.IncidentStatus { return v1alpha1.IncidentStatus{} }
	assert.Equal(t, v1alpha1.AnalysisFailed, p.analyse(t.Context(), &v1alpha1.Incident{}).Analysis.State)
}

func TestAnalystThatDoesNotComeBackIsGivenUp(t *testing.T) {
	var back chan struct{}
	hang := func(o *Options) {
		back = make(chan struct{})
		o.Analyse = func(context.Context, *v1alpha1.Incident) v1alpha1.IncidentStatus {
			<-back
			return v1alpha1.IncidentStatus{}
		}
	}
	inBubble(t, hang, func(b *bubble) {
		b.t.Cleanup(func() { close(back) }) // after the pipeline stopped
		for i := range analysesAtOnce + 1 {
			b.take(failing(fmt.Sprint("w", i), v1alpha1.SeverityCritical))
		}
		time.Sleep(2*(analysisTime+analysisGrace) + time.Second)
		for i := range analysesAtOnce + 1 {
			a := b.incident(fmt.Sprint("w", i)).Status.Analysis
			require.NotNil(t, a)
			assert.Equal(t, v1alpha1.AnalysisFailed, a.State)
			assert.Equal(t, "the analysis did not come to an end", a.Message)
		}
	})
}
