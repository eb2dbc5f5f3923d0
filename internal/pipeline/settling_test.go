package pipeline

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/decide"
)

// warns routes warnings too, each once it has lasted for a minute.
func warns(o *Options) {
	o.Rules.PushAfter = time.Minute
	o.Rules.Routes = []v1alpha1.Route{{
		Match:     v1alpha1.RouteMatch{Severities: []v1alpha1.Severity{v1alpha1.SeverityWarning, v1alpha1.SeverityCritical}},
		Receivers: []string{"oncall"},
	}}
}

// told are the workloads of which the first messages tell, in order.
func (c *collector) told() []string {
	var list []string
	for _, msg := range c.messages() {
		if msg.Head.ID == "" && msg.Digest == nil {
			list = append(list, msg.Incident.Spec.Subject.Name)
		}
	}
	return list
}

func TestABlipIsRecordedAndNeverPushed(t *testing.T) {
	inBubble(t, warns, func(b *bubble) {
		blip, lasts := failing("blip", v1alpha1.SeverityWarning), failing("lasts", v1alpha1.SeverityWarning)
		b.take(blip, lasts)
		time.Sleep(45 * time.Second)
		d := b.incident("blip").Status.Decision
		assert.Equal(t, []any{v1alpha1.VerdictQuiet, decide.ReasonSettling}, []any{d.Verdict, d.Reason})
		require.NotNil(t, d.PushesAt)
		assert.WithinDuration(t, lasts.StartsAt.Add(time.Minute), d.PushesAt.Time, time.Second)
		assert.Empty(t, b.oncall.messages())
		b.end(blip)
		time.Sleep(14 * time.Second)
		assert.Empty(t, b.oncall.messages())
		time.Sleep(2 * time.Second)
		assert.Equal(t, []string{"lasts"}, b.oncall.told())
		assert.Nil(t, b.incident("lasts").Status.Decision.PushesAt)
		delivery := b.incident("lasts").Status.Deliveries[0]
		assert.Equal(t, v1alpha1.TransitionOpened, delivery.Transition)
		assert.WithinDuration(t, time.Now(), delivery.At.Time, 3*time.Second, "its receiver was late by seconds, not by the wait")
		time.Sleep(time.Hour)
		inc := b.incident("blip")
		assert.Equal(t, v1alpha1.IncidentClosed, inc.Status.State)
		assert.Equal(t, decide.ReasonBrief, inc.Status.Decision.Reason)
		assert.Empty(t, inc.Status.Deliveries)
		assert.Equal(t, []string{"lasts"}, b.oncall.told())
	})
}

func TestABlipOfAnIncidentThatNobodyIsToldOfIsNotPushed(t *testing.T) {
	inBubble(t, warns, func(b *bubble) {
		b.take(failing("a", v1alpha1.SeverityInfo))
		time.Sleep(10 * time.Minute)
		assert.Equal(t, decide.ReasonNotRouted, b.incident("a").Status.Decision.Reason)
		blip := failing("a", v1alpha1.SeverityWarning)
		b.take(blip)
		time.Sleep(20 * time.Second)
		b.end(blip)
		time.Sleep(10 * time.Minute)
		assert.Equal(t, v1alpha1.IncidentOpen, b.incident("a").Status.State)
		assert.Equal(t, decide.ReasonBrief, b.incident("a").Status.Decision.Reason)
		assert.Empty(t, b.oncall.messages())
		b.take(failing("a", v1alpha1.SeverityWarning))
		time.Sleep(59 * time.Second)
		assert.Empty(t, b.oncall.messages())
		time.Sleep(3 * time.Second)
		assert.Equal(t, []string{"a"}, b.oncall.told(), "this time it lasts")
	})
}

func TestWhatIsOrBecomesCriticalDoesNotWait(t *testing.T) {
	inBubble(t, warns, func(b *bubble) {
		b.take(failing("a", v1alpha1.SeverityCritical), failing("b", v1alpha1.SeverityWarning))
		time.Sleep(5 * time.Second)
		assert.Equal(t, []string{"a"}, b.oncall.told())
		b.take(failing("b", v1alpha1.SeverityCritical))
		time.Sleep(5 * time.Second)
		assert.Equal(t, []string{"a", "b"}, b.oncall.told())
	})
}

func TestWhatWaitsIsPushedInTimeByAReplicaThatStarts(t *testing.T) {
	inBubble(t, warns, func(b *bubble) {
		b.take(failing("a", v1alpha1.SeverityWarning))
		time.Sleep(20 * time.Second)
		b.restart()
		time.Sleep(39 * time.Second)
		assert.Empty(t, b.oncall.messages())
		time.Sleep(4 * time.Second)
		assert.Equal(t, []string{"a"}, b.oncall.told())
		b.take(failing("b", v1alpha1.SeverityWarning))
		time.Sleep(time.Second)
		b.stop()
		time.Sleep(10 * time.Minute)
		b.restart()
		time.Sleep(5 * time.Second)
		assert.Equal(t, []string{"a", "b"}, b.oncall.told(), "its time came while nobody was there")
	})
}

func TestAStormOfWarningsThatLastIsADigest(t *testing.T) {
	inBubble(t, warns, func(b *bubble) {
		team := b.withTeam()
		for i := range 8 {
			b.take(failing(fmt.Sprint("w", i), v1alpha1.SeverityWarning))
			time.Sleep(time.Second)
		}
		time.Sleep(50 * time.Second)
		assert.Empty(t, b.oncall.messages())
		assert.Empty(t, team.messages())
		time.Sleep(time.Minute)
		for name, sink := range map[string]*editor{"the KubeBot's receiver": b.oncall, "the team's": team} {
			singles, digests := sink.news()
			assert.Equal(t, []int{3, 1}, []int{singles, digests}, name)
		}
	})
}

func TestAWarningOfWhichATeamAloneIsToldWaitsToo(t *testing.T) {
	inBubble(t, func(o *Options) { o.Rules.PushAfter = time.Minute }, func(b *bubble) {
		team := b.withTeam()
		blip, lasts := failing("blip", v1alpha1.SeverityWarning), failing("lasts", v1alpha1.SeverityWarning)
		b.take(blip, lasts)
		time.Sleep(30 * time.Second)
		b.end(blip)
		time.Sleep(29 * time.Second)
		assert.Empty(t, team.messages())
		time.Sleep(2 * time.Second)
		assert.Equal(t, []string{"lasts"}, team.told())
		assert.Empty(t, b.oncall.messages())
		assert.Equal(t, decide.ReasonTeam, b.incident("lasts").Status.Decision.Reason)
	})
}

func TestBlipsThatKeepComingBackAreToldAsThat(t *testing.T) {
	inBubble(t, func(o *Options) {
		warns(o)
		o.Damping = decide.Damping{Times: 3, Within: time.Hour, Calm: 10 * time.Minute}
	}, func(b *bubble) {
		for i := range 4 {
			assert.Empty(t, b.oncall.messages(), i)
			a := failing("a", v1alpha1.SeverityWarning)
			b.take(a)
			time.Sleep(20 * time.Second)
			b.end(a)
			time.Sleep(time.Minute)
		}
		list := b.oncall.messages()
		require.Len(t, list, 1)
		assert.Contains(t, list[0].Text, "Flapping: it came back 3 times")
	})
}

// blaming finds the cause of every Incident in one workload, after the time that an analysis takes.
func blaming(name string) Analyst {
	return func(context.Context, *v1alpha1.Incident) v1alpha1.IncidentStatus {
		time.Sleep(5 * time.Second)
		return v1alpha1.IncidentStatus{
			Analysis: &v1alpha1.Analysis{State: v1alpha1.AnalysisCauseFound},
			Causes:   []v1alpha1.Cause{{Object: deployment(name), Kind: "dependency", ScorePercent: 90, Sentence: name + " is broken"}},
		}
	}
}

func TestCallersWaitForTheIncidentOfTheirDependency(t *testing.T) {
	const caller, other, callee = "checkout", "frontend", "catalog"
	after := func(s int) time.Duration { return time.Duration(s) * time.Second }
	for name, c := range map[string]struct {
		begin    map[string]time.Duration
		severity v1alpha1.Severity // of the dependency
		ends     time.Duration     // of the dependency; 0 for never
		told     []string
	}{
		"the dependency is critical and first":   {map[string]time.Duration{callee: 0, caller: after(20), other: after(40)}, v1alpha1.SeverityCritical, 0, []string{callee}},
		"the dependency is critical and follows": {map[string]time.Duration{caller: 0, other: after(10), callee: after(45)}, v1alpha1.SeverityCritical, 0, []string{callee}},
		"the dependency waits itself":            {map[string]time.Duration{callee: 0, caller: after(5), other: after(20)}, v1alpha1.SeverityWarning, 0, []string{callee}},
		"the dependency waits longer":            {map[string]time.Duration{caller: 0, other: after(5), callee: after(40)}, v1alpha1.SeverityWarning, 0, []string{callee}},
		"the dependency was a blip":              {map[string]time.Duration{callee: 0, caller: after(5)}, v1alpha1.SeverityWarning, after(50), []string{caller}},
		"the dependency has no incident":         {map[string]time.Duration{caller: 0}, v1alpha1.SeverityWarning, 0, []string{caller}},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(o *Options) { warns(o); o.Analyse = blaming(callee) }, func(b *bubble) {
				began := time.Now()
				for s := range 100 {
					for workload, at := range c.begin {
						if at != after(s) {
							continue
						}
						severity := v1alpha1.SeverityWarning
						if workload == callee {
							severity = c.severity
						}
						b.take(failing(workload, severity))
					}
					if c.ends > 0 && c.ends == after(s) {
						a := failing(callee, c.severity)
						a.StartsAt = began
						b.end(a)
					}
					time.Sleep(time.Until(began.Add(after(s + 1))))
				}
				time.Sleep(10 * time.Minute)
				assert.Equal(t, c.told, b.oncall.told())
			})
		})
	}
}
