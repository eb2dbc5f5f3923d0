package pipeline

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/decide"
	"github.com/kubebot/kubebot/internal/learn"
	"github.com/kubebot/kubebot/internal/pipeline/config"
)

// noisy is a state in which people said often that the alert A is noise.
func noisy(t *testing.T) *learn.Model {
	t.Helper()
	state := learn.State{}
	for i := range 6 {
		next, changed := state.Learn(learn.Feedback{
			Incident: learn.Incident{Name: fmt.Sprint(i), Kind: "A", Case: learn.Case{Severity: "warning", Symptoms: 1}},
			By:       "ann", Signal: learn.Noise, Shown: learn.Push, At: noon.Add(time.Duration(i-60) * time.Minute),
		})
		require.True(t, changed)
		state = next
	}
	return learn.NewModel(state, learn.Defaults())
}

// deciding is a pipeline that routes warnings and asks for what was learned.
func deciding(learned decide.Learned) *Pipeline {
	return New(Options{
		Config: config.Config{UID: "uid"}, Topology: shop{}, Replica: "r", Metrics: NewMetrics(prometheus.NewRegistry(), nil),
		Rules: decide.Rules{Receivers: []string{"oncall"}, Routes: []v1alpha1.Route{{
			Match: v1alpha1.RouteMatch{Severities: []v1alpha1.Severity{v1alpha1.SeverityWarning, v1alpha1.SeverityCritical}}, Receivers: []string{"oncall"},
		}}},
		Receivers: []Receiver{{Name: "oncall", Type: "webhook", Sink: &counter{}}},
		Learned:   func() decide.Learned { return learned }, Now: func() time.Time { return noon },
	})
}

// unexplored returns an Incident with a name by which it is not told to see whether what was learned still holds.
func unexplored(p *Pipeline, instance string) *v1alpha1.Incident {
	inc := opened(fired("A", instance, v1alpha1.SeverityWarning, noon))
	for i := 0; ; i++ {
		inc.Name = fmt.Sprintf("inc-%d", i)
		if p.compute(inc, nil, &batch{}).out.Status.Decision.Reason == decide.ReasonUnimportant {
			return inc
		}
	}
}

// countedNode is a topology in which everything is on the lost node n1, and that counts how often it is asked.
type countedNode struct {
	shop
	asked int
}

func (c *countedNode) LostNode(v1alpha1.Subject) (string, bool) { c.asked++; return "n1", true }

func TestPodsAreLookedAtForALostNodeOnlyWhileANodeIsInTrouble(t *testing.T) {
	p := deciding(nil)
	topology := &countedNode{}
	p.Topology = topology
	warning := opened(fired("A", "1", v1alpha1.SeverityWarning, noon))
	warning.Spec.Subject = workload("checkout")
	decision := func() string { return p.compute(warning, nil, &batch{}).out.Status.Decision.Reason }
	assert.NotEqual(t, decide.ReasonInhibited, decision())
	assert.Zero(t, topology.asked)

	g := NodeGroup("n1")
	lost := opened(fired("NodeNotReady", "n1", v1alpha1.SeverityCritical, noon))
	lost.Name, lost.Spec.GroupKey, lost.Spec.Subject = IncidentName("uid", g.Key, 1), g.Key, g.Subject
	lost.Status.State, lost.Status.Alerts = v1alpha1.IncidentOpen, lost.Spec.OpeningAlerts
	require.True(t, p.index.Put(lost))
	assert.Equal(t, decide.ReasonInhibited, decision())
	assert.NotZero(t, topology.asked)
}

func TestWhatPeopleTaughtIsAskedAndKeptWithTheDecision(t *testing.T) {
	p := deciding(noisy(t))
	inc := p.compute(unexplored(p, "1"), nil, &batch{}).out
	d := inc.Status.Decision
	require.NotNil(t, d.Learned)
	assert.Equal(t, v1alpha1.VerdictQuiet, d.Verdict)
	assert.Equal(t, decide.ReasonUnimportant, d.Reason)
	assert.Contains(t, d.Message, "Noise in 6 of 6 judgements of A")
	assert.Equal(t, v1alpha1.ActionQuiet, d.Learned.Action)
	assert.Equal(t, v1alpha1.ActionPush, d.Learned.Without, "what it would have been")
	assert.EqualValues(t, 6, d.Learned.Revision)
	assert.Positive(t, d.Learned.Permille)
	assert.Empty(t, inc.Status.Deliveries)

	critical := p.compute(opened(fired("A", "2", v1alpha1.SeverityCritical, noon)), nil, &batch{}).out
	assert.Equal(t, v1alpha1.VerdictNotify, critical.Status.Decision.Verdict)
	assert.Nil(t, critical.Status.Decision.Learned, "of what is critical nothing is asked")
}

func TestReplicaThatHasNotReadTheStateYetKeepsWhatAnotherDecided(t *testing.T) {
	p := deciding(noisy(t))
	inc := p.compute(unexplored(p, "1"), nil, &batch{}).out
	for name, learned := range map[string]decide.Learned{"nothing learned": learn.NewModel(learn.State{}, learn.Defaults()), "nothing read": nil} {
		next := deciding(learned).compute(inc, nil, &batch{}).out
		assert.Equal(t, inc.Status, next.Status, name)
	}
}

func TestWithoutJudgementsLearningChangesNothing(t *testing.T) {
	plain, asked := deciding(nil), deciding(learn.NewModel(learn.State{}, learn.Defaults()))
	for _, severity := range []v1alpha1.Severity{v1alpha1.SeverityInfo, v1alpha1.SeverityWarning, v1alpha1.SeverityCritical} {
		inc := opened(fired("A", "1", severity, noon))
		a, b := plain.compute(inc, nil, &batch{}).out.Status, asked.compute(inc, nil, &batch{}).out.Status
		assert.Equal(t, a.Decision.Verdict, b.Decision.Verdict)
		assert.Equal(t, a.Decision.Reason, b.Decision.Reason)
	}
}

func TestNobodyAcknowledgesSoTheEscalationIsToldInTime(t *testing.T) {
	now := noon
	p := deciding(nil)
	p.Now = func() time.Time { return now }
	p.Rules.Receivers = []string{"oncall", "lead"}
	p.Rules.Routes[0].Escalation = &v1alpha1.Escalation{Receivers: []string{"lead"}, After: "10m"}
	p.names = append(p.names, "lead")
	inc := opened(fired("A", "1", v1alpha1.SeverityCritical, noon))
	inc.CreationTimestamp = metav1.NewTime(noon)
	step := func() stepped {
		next := p.compute(inc, nil, &batch{})
		inc = next.out
		p.settled(inc)
		return next
	}
	first := step()
	require.NotNil(t, inc.Status.Decision.EscalatesAt)
	assert.Equal(t, noon.Add(10*time.Minute), first.outcome.Again)
	now = noon.Add(9 * time.Minute)
	again := step()
	assert.Equal(t, first.outcome.Again, again.outcome.Again, "a stored decision waits on")
	assert.Len(t, inc.Status.Deliveries, 1)
	now = noon.Add(10 * time.Minute)
	acknowledged := inc.DeepCopy()
	step()
	assert.Equal(t, decide.ReasonEscalated, inc.Status.Decision.Reason)
	require.Len(t, inc.Status.Deliveries, 3)
	assert.Equal(t, "lead", inc.Status.Deliveries[2].Receiver)
	assert.Equal(t, v1alpha1.TransitionOpened, inc.Status.Deliveries[2].Transition)
	assert.Contains(t, inc.Status.Deliveries[1].Text, "lead is told too")

	inc = acknowledged
	inc.Spec.Acknowledge = &v1alpha1.Request{By: "ann"}
	step()
	assert.Equal(t, decide.ReasonRouted, inc.Status.Decision.Reason)
	assert.Nil(t, inc.Status.Decision.EscalatesAt)
}
