package pipeline

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/decide"
	"github.com/kubebot/kubebot/internal/learn"
)

const teamReceiver = "shop/route/chat"

// withTeam gives the namespace shop a route of its own for critical and warning.
func (b *bubble) withTeam(change ...func(*Receiver)) *editor {
	sink := &editor{}
	r := Receiver{Name: teamReceiver, Type: "slack", Sink: sink}
	for _, c := range change {
		c(&r)
	}
	b.SetTeams([]decide.TeamRoute{{
		Namespace: "shop", Match: v1alpha1.AlertRouteMatch{Severities: []v1alpha1.Severity{v1alpha1.SeverityCritical, v1alpha1.SeverityWarning}}, Receivers: []string{teamReceiver},
	}}, []Receiver{r})
	return sink
}

func TestAStormIsADigestForATeamToo(t *testing.T) {
	inBubble(t, nil, func(b *bubble) {
		team := b.withTeam()
		alerts := b.storm(8)
		time.Sleep(time.Minute)
		for name, sink := range map[string]*editor{"the KubeBot's receiver": b.oncall, "the team's": team} {
			singles, digests := sink.news()
			assert.Equal(t, []int{3, 1}, []int{singles, digests}, name)
		}
		assert.Equal(t, decide.ReasonStorm, b.incident("w7").Status.Decision.Reason)
		b.end(alerts...)
		time.Sleep(2 * time.Minute)
		last := team.messages()[len(team.messages())-1]
		assert.Contains(t, last.Incident.Status.Title, "all over")
	})
}

func TestATeamsProgramIsToldOneByOneInAStorm(t *testing.T) {
	inBubble(t, nil, func(b *bubble) {
		team := b.withTeam(func(r *Receiver) { r.Type, r.OneByOne, r.NoDigest = "webhook", true, true })
		b.storm(8)
		time.Sleep(time.Minute)
		singles, digests := team.news()
		assert.Equal(t, []int{8, 0}, []int{singles, digests})
		singles, digests = b.oncall.news()
		assert.Equal(t, []int{3, 1}, []int{singles, digests})
		assert.Equal(t, v1alpha1.VerdictNotify, b.incident("w7").Status.Decision.Verdict)
	})
}

func TestAStormOfWarningsThatOnlyATeamIsToldOfIsADigest(t *testing.T) {
	inBubble(t, nil, func(b *bubble) {
		team := b.withTeam()
		for i := range 6 {
			b.take(failing(fmt.Sprint("w", i), v1alpha1.SeverityWarning))
		}
		time.Sleep(time.Minute)
		singles, digests := team.news()
		assert.LessOrEqual(t, singles, 5)
		assert.Equal(t, 1, digests)
		assert.Empty(t, b.oncall.messages())
	})
}

// waits is what people taught: that nothing but what is critical needs a push.
type waitsTaught struct{}

func (waitsTaught) Advise(learn.Holdable, learn.Question) learn.Advice {
	return learn.Advice{Action: learn.Digest, Reason: "Taught", Message: "it can wait"}
}

func TestWhatCanWaitComesInTheTeamsDigestToo(t *testing.T) {
	inBubble(t, func(o *Options) {
		o.Learned = func() decide.Learned { return waitsTaught{} }
		o.Rules.Routes = []v1alpha1.Route{{Match: v1alpha1.RouteMatch{Severities: []v1alpha1.Severity{v1alpha1.SeverityWarning}}, Receivers: []string{"oncall"}}}
	}, func(b *bubble) {
		team := b.withTeam()
		b.take(failing("a", v1alpha1.SeverityWarning))
		time.Sleep(30 * time.Minute)
		assert.Empty(t, team.messages())
		time.Sleep(31 * time.Minute)
		for _, sink := range []*editor{b.oncall, team} {
			singles, digests := sink.news()
			assert.Equal(t, []int{0, 1}, []int{singles, digests})
		}
		d := b.incident("a").Status.Decision
		assert.Equal(t, []any{v1alpha1.VerdictDigest, decide.ReasonDigest}, []any{d.Verdict, d.Reason})
	})
}

func TestWhatCanWaitIsNotToldWhereATeamTakesNoDigest(t *testing.T) {
	inBubble(t, func(o *Options) {
		o.Learned = func() decide.Learned { return waitsTaught{} }
		o.Rules.Routes = []v1alpha1.Route{{Match: v1alpha1.RouteMatch{Severities: []v1alpha1.Severity{v1alpha1.SeverityWarning}}, Receivers: []string{"oncall"}}}
		o.Rules.NoDigest = map[string]bool{"oncall": true}
	}, func(b *bubble) {
		team := b.withTeam(func(r *Receiver) { r.NoDigest = true })
		b.take(failing("a", v1alpha1.SeverityWarning))
		time.Sleep(2 * time.Hour)
		assert.Empty(t, team.messages())
		assert.Equal(t, v1alpha1.VerdictQuiet, b.incident("a").Status.Decision.Verdict)
	})
}

func TestAnEscalationIsNoNewPushForATeam(t *testing.T) {
	phone := &collector{}
	inBubble(t, func(o *Options) {
		o.Rules.Receivers = append(o.Rules.Receivers, "phone")
		o.Receivers = append(o.Receivers, Receiver{Name: "phone", Type: "webhook", Sink: phone})
		o.Rules.Routes = []v1alpha1.Route{{Receivers: []string{"oncall"}, Escalation: &v1alpha1.Escalation{Receivers: []string{"phone"}, After: "10m"}}}
	}, func(b *bubble) {
		team := b.withTeam()
		b.take(failing("a", v1alpha1.SeverityCritical))
		time.Sleep(9 * time.Minute)
		assert.Empty(t, phone.messages())
		assert.Len(t, team.messages(), 1)
		time.Sleep(2 * time.Minute)
		require.Len(t, phone.messages(), 1)
		assert.Equal(t, v1alpha1.TransitionOpened, phone.messages()[0].Transition)
		singles, _ := team.news()
		assert.Equal(t, 1, singles)
		require.Len(t, team.messages(), 2, "its thread says that it went on")
		assert.Contains(t, team.messages()[1].Text, "Nobody acknowledged it")
		assert.Equal(t, decide.ReasonEscalated, b.incident("a").Status.Decision.Reason)
	})
}

func TestWhoeverAcknowledgesForATeamStopsTheEscalation(t *testing.T) {
	phone := &collector{}
	inBubble(t, func(o *Options) {
		o.Receivers = append(o.Receivers, Receiver{Name: "phone", Type: "webhook", Sink: phone})
		o.Rules.Routes = []v1alpha1.Route{{Receivers: []string{"oncall"}, Escalation: &v1alpha1.Escalation{Receivers: []string{"phone"}, After: "10m"}}}
	}, func(b *bubble) {
		b.withTeam()
		b.take(failing("a", v1alpha1.SeverityCritical))
		time.Sleep(5 * time.Minute)
		b.edit(b.incident("a").Name, func(s *v1alpha1.IncidentSpec) { s.Acknowledge = &v1alpha1.Request{By: "ann"} })
		time.Sleep(time.Hour)
		assert.Empty(t, phone.messages())
	})
}

func mutedUntil(t *testing.T, o *Options, end string) {
	mute, err := decide.NewMute(v1alpha1.MuteTime{Name: "night", Start: "00:00", End: end})
	require.NoError(t, err)
	o.Rules.Mutes = map[string]decide.Mute{"night": mute}
	o.Rules.Routes = []v1alpha1.Route{{Receivers: []string{"oncall"}, MuteTimes: []string{"night"}}}
}

func TestATeamIsToldInAMuteTimeAndTheOthersWhenItEnds(t *testing.T) {
	inBubble(t, func(o *Options) { mutedUntil(t, o, "01:00") }, func(b *bubble) {
		team := b.withTeam()
		b.take(failing("a", v1alpha1.SeverityCritical))
		time.Sleep(time.Minute)
		assert.Len(t, team.messages(), 1)
		assert.Empty(t, b.oncall.messages())
		time.Sleep(time.Hour)
		assert.Len(t, team.messages(), 1, "it knows")
		assert.Len(t, b.oncall.messages(), 1)
		assert.Equal(t, decide.ReasonRouted, b.incident("a").Status.Decision.Reason)
	})
}

func TestAStormInAMuteTimeIsToldToAllInTheEnd(t *testing.T) {
	inBubble(t, func(o *Options) { mutedUntil(t, o, "01:00") }, func(b *bubble) {
		team := b.withTeam()
		b.storm(8)
		time.Sleep(time.Minute)
		singles, digests := team.news()
		assert.Equal(t, []int{3, 1}, []int{singles, digests})
		assert.Equal(t, decide.ReasonTeamAlone, b.incident("w7").Status.Decision.Reason)
		assert.Empty(t, b.oncall.messages())
		time.Sleep(62 * time.Minute)
		told := map[string]bool{}
		for _, msg := range b.oncall.messages() {
			told[msg.Incident.Name] = true
			for _, inc := range msg.Digest {
				told[inc.Name] = true
			}
		}
		for i := range 8 {
			assert.True(t, told[b.incident(fmt.Sprint("w", i)).Name])
		}
		again, more := team.news()
		assert.Equal(t, []int{singles, digests}, []int{again, more})
	})
}

func TestAnEscalationRunsFromTheEndOfAMuteTime(t *testing.T) {
	phone := &collector{}
	inBubble(t, func(o *Options) {
		mutedUntil(t, o, "01:00")
		o.Rules.Routes[0].Escalation = &v1alpha1.Escalation{Receivers: []string{"phone"}, After: "10m"}
		o.Receivers = append(o.Receivers, Receiver{Name: "phone", Type: "webhook", Sink: phone})
	}, func(b *bubble) {
		team := b.withTeam()
		b.take(failing("a", v1alpha1.SeverityCritical))
		time.Sleep(50 * time.Minute)
		assert.Empty(t, phone.messages())
		time.Sleep(12 * time.Minute)
		assert.Empty(t, phone.messages(), "nobody could have acknowledged it")
		assert.Len(t, b.oncall.messages(), 1)
		time.Sleep(10 * time.Minute)
		assert.Len(t, phone.messages(), 1)
		singles, _ := team.news()
		assert.Equal(t, 1, singles)
	})
}

func TestAQuietStartFloodsNoTeam(t *testing.T) {
	inBubble(t, func(o *Options) {
		time.Sleep(24 * time.Hour) // before 2000 no alert begins
		began := time.Now()
		o.Rules.QuietStart, o.Began = true, func() time.Time { return began }
	}, func(b *bubble) {
		team := b.withTeam()
		for i := range 3 {
			a := failing(fmt.Sprint("old", i), v1alpha1.SeverityCritical)
			a.StartsAt = time.Now().Add(-time.Hour)
			b.take(a)
		}
		time.Sleep(30 * time.Second)
		b.take(failing("new", v1alpha1.SeverityCritical))
		time.Sleep(2 * time.Minute)
		for _, sink := range []*editor{b.oncall, team} {
			singles, digests := sink.news()
			assert.Equal(t, []int{1, 1}, []int{singles, digests})
		}
	})
}

func TestATeamIsToldOfADuplicateOnlyWhereItIsNotToldOfWhatThatIsPartOf(t *testing.T) {
	for name, c := range map[string]struct {
		namespace string
		told      []string
		reason    string
	}{
		"the team of both":              {"shop", nil, decide.ReasonDuplicate},
		"the team of the duplicate":     {"pay", []string{"pay/route/chat"}, decide.ReasonTeam},
		"a namespace that has no route": {"web", nil, decide.ReasonDuplicate},
	} {
		t.Run(name, func(t *testing.T) {
			facts := decide.Facts{Severity: v1alpha1.SeverityCritical, Namespace: c.namespace, PartOf: "It is part of x", PartTold: []string{"oncall", teamReceiver}}
			rules := decide.Rules{Receivers: []string{"oncall"}, Teams: []decide.TeamRoute{{Namespace: "shop", Receivers: []string{teamReceiver}}, {Namespace: "pay", Receivers: []string{"pay/route/chat"}}}}
			out := decide.Decide(rules, facts, noon)
			assert.Equal(t, c.reason, out.Reason)
			assert.Equal(t, c.told, out.Receivers)
		})
	}
}

func TestADuplicateThatATeamIsToldOfIsNoPushForTheOthers(t *testing.T) {
	inc := changed(v1alpha1.TransitionUpdated, 2,
		v1alpha1.Delivery{Receiver: "oncall", Sequence: 1, State: v1alpha1.DeliveryPending},
		v1alpha1.Delivery{Receiver: "second", Sequence: 1, State: v1alpha1.DeliveryDelivered})
	inc.Status.DuplicateOf = "main"
	out := decide.Outcome{Decision: v1alpha1.Decision{Verdict: v1alpha1.VerdictNotify, Reason: decide.ReasonTeam}, Receivers: []string{"pay/r/a"}}
	plan(inc, out, []string{"oncall", "second", "pay/r/a"}, false, noEnds)
	assert.Equal(t, v1alpha1.DeliverySuperseded, inc.Status.Deliveries[0].State, "it is told of what this is part of")
	var told []string
	for _, d := range inc.Status.Deliveries[2:] {
		told = append(told, d.Receiver)
	}
	assert.Equal(t, []string{"second", "pay/r/a"}, told)
}
