package pipeline

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/alert"
	"github.com/kubebot/kubebot/internal/decide"
	"github.com/kubebot/kubebot/internal/pipeline/config"
)

// plant is a pipeline with Incidents of workloads, all in the namespace shop.
type plant struct {
	*Pipeline
	t        *testing.T
	now      time.Time
	version  int
	topology lostNodes
}

// lostNodes says which workloads run on lost nodes, and knows every Deployment by its name.
type lostNodes map[string]string

func (lostNodes) Workload(string, string, string) (v1alpha1.Subject, bool) {
	return v1alpha1.Subject{}, false
}
func (lostNodes) Named(namespace, name string) (v1alpha1.Subject, bool) { return workload(name), true }
func (l lostNodes) LostNode(s v1alpha1.Subject) (string, bool)          { return l[s.Name], l[s.Name] != "" }

func (lostNodes) Since(v1alpha1.Subject) (time.Time, bool) { return time.Time{}, false }

func workload(name string) v1alpha1.Subject {
	return v1alpha1.Subject{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "shop", Name: name}
}

func newPlant(t *testing.T) *plant {
	x := &plant{t: t, now: noon, topology: lostNodes{}}
	x.Pipeline = New(Options{
		Config: config.Config{UID: "uid"}, Topology: x.topology, Replica: "r", Metrics: NewMetrics(prometheus.NewRegistry(), nil),
		Rules:     decide.Rules{Receivers: []string{"oncall"}},
		Receivers: []Receiver{{Name: "oncall", Type: "webhook", Sink: &counter{}}}, Now: func() time.Time { return x.now },
	})
	return x
}

// open opens an Incident about a subject.
func (x *plant) open(s v1alpha1.Subject, severity v1alpha1.Severity) string {
	g := WorkloadGroup(s)
	if s.Kind == "Node" {
		g = NodeGroup(s.Name)
	}
	inc := opened(fired("Down", s.Name, severity, x.now))
	inc.Spec.GroupKey, inc.Spec.Subject = g.Key, g.Subject
	inc.Name, inc.UID = IncidentName("uid", g.Key, 1), types.UID(g.Key)
	inc.CreationTimestamp = metav1.NewTime(x.now)
	x.put(inc)
	return x.pass(inc.Name).Name
}

func (x *plant) put(inc *v1alpha1.Incident) {
	x.version++
	inc.ResourceVersion = fmt.Sprint(x.version)
	require.True(x.t, x.index.Put(inc))
}

// pass makes a step of an Incident as if it was written, and its messages delivered.
func (x *plant) pass(name string, alerts ...alert.Alert) *v1alpha1.Incident {
	out := x.compute(x.index.Get(name), alerts, &batch{}).out
	for i := range out.Status.Deliveries {
		if d := &out.Status.Deliveries[i]; d.State == v1alpha1.DeliveryClaimed {
			d.State = v1alpha1.DeliveryDelivered
		}
	}
	x.receivers["oncall"].gate = newGate()
	x.put(out)
	x.settled(out)
	return out
}

// blame gives an Incident a cause that stands out.
func (x *plant) blame(name string, object v1alpha1.CauseObject) *v1alpha1.Incident {
	inc := x.index.Get(name).DeepCopy()
	inc.Status.Causes = []v1alpha1.Cause{{Object: object, Kind: "dependency", ScorePercent: 90, Sentence: object.Name + " is broken"}}
	inc.Status.Cause = inc.Status.Causes[0].Sentence
	x.put(inc)
	return x.pass(name)
}

func deployment(name string) v1alpha1.CauseObject {
	return v1alpha1.CauseObject{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "shop", Name: name}
}

func TestCallerBecomesADuplicateOfItsBrokenCallee(t *testing.T) {
	for name, order := range map[string][]string{"the callee first": {"catalog", "checkout"}, "the caller first": {"checkout", "catalog"}} {
		t.Run(name, func(t *testing.T) {
			x := newPlant(t)
			names := map[string]string{}
			for _, w := range order {
				names[w] = x.open(workload(w), v1alpha1.SeverityCritical)
				x.now = x.now.Add(20 * time.Second)
			}
			caller := x.blame(names["checkout"], deployment("catalog"))
			assert.Equal(t, names["catalog"], caller.Status.DuplicateOf)
			assert.Equal(t, decide.ReasonDuplicate, caller.Status.Decision.Reason)
			assert.Contains(t, caller.Status.Decision.Message, "Deployment shop/catalog ("+names["catalog"]+")")
			require.Len(t, caller.Status.Deliveries, 2, "whoever holds its message sees it edited")
			assert.Equal(t, v1alpha1.TransitionUpdated, caller.Status.Deliveries[1].Transition)
			assert.Contains(t, caller.Status.Deliveries[1].Text, "Part of Deployment shop/catalog")
			again := x.pass(names["checkout"])
			assert.Equal(t, caller.Status.Deliveries, again.Status.Deliveries)
		})
	}
}

func TestWhatAnOpenIncidentExplainsIsNotPushed(t *testing.T) {
	x := newPlant(t)
	node := x.open(v1alpha1.Subject{Kind: "Node", Name: "n1"}, v1alpha1.SeverityCritical)
	x.topology["checkout"] = "n1"
	inc := x.index.Get(x.open(workload("checkout"), v1alpha1.SeverityCritical))
	assert.Equal(t, node, inc.Status.DuplicateOf)
	assert.Empty(t, inc.Status.Deliveries)
	assert.Equal(t, v1alpha1.VerdictQuiet, inc.Status.Decision.Verdict)
}

func TestCriticalIsPushedWhereTheOtherIncidentIsNotToldToTheSamePeople(t *testing.T) {
	x := newPlant(t)
	x.open(v1alpha1.Subject{Kind: "Node", Name: "n1"}, v1alpha1.SeverityWarning) // no route takes it
	x.topology["checkout"] = "n1"
	inc := x.index.Get(x.open(workload("checkout"), v1alpha1.SeverityCritical))
	assert.Empty(t, inc.Status.DuplicateOf)
	assert.Len(t, inc.Status.Deliveries, 1)
}

func TestDuplicateFollowsOrIsReleased(t *testing.T) {
	type step struct {
		after time.Duration
		on    string
		ends  bool
		close bool
	}
	for name, c := range map[string]struct {
		steps     []step
		state     v1alpha1.IncidentState
		duplicate bool
		reason    string
	}{
		"its main is over and it fires still, for a moment": {[]step{{on: "catalog", ends: true}, {after: time.Minute}}, v1alpha1.IncidentOpen, true, decide.ReasonDuplicate},
		"its main is over and it fires still":               {[]step{{on: "catalog", ends: true}, {after: releaseAfter}}, v1alpha1.IncidentOpen, false, decide.ReasonCritical},
		"both are over":                                     {[]step{{on: "catalog", ends: true}, {on: "checkout", ends: true}, {after: QuietTime, on: "catalog"}}, v1alpha1.IncidentClosed, true, decide.ReasonDuplicate},
		"a person closes the main one":                      {[]step{{on: "catalog", close: true}}, v1alpha1.IncidentClosed, true, decide.ReasonDuplicate},
		"it alone is over":                                  {[]step{{on: "checkout", ends: true}}, v1alpha1.IncidentResolved, true, decide.ReasonDuplicate},
	} {
		t.Run(name, func(t *testing.T) {
			x := newPlant(t)
			names := map[string]string{"catalog": x.open(workload("catalog"), v1alpha1.SeverityCritical), "checkout": x.open(workload("checkout"), v1alpha1.SeverityCritical)}
			x.blame(names["checkout"], deployment("catalog"))
			for _, s := range c.steps {
				x.now = x.now.Add(s.after)
				if s.close {
					inc := x.index.Get(names[s.on]).DeepCopy()
					inc.Spec.Close = &v1alpha1.Request{By: "ann"}
					x.put(inc)
				}
				if s.ends {
					x.pass(names[s.on], ended(fired("Down", s.on, v1alpha1.SeverityCritical, noon), x.now))
				} else if s.on != "" {
					x.pass(names[s.on])
				}
			}
			inc := x.pass(names["checkout"])
			assert.Equal(t, c.state, inc.Status.State)
			assert.Equal(t, c.duplicate, inc.Status.DuplicateOf != "")
			assert.Equal(t, c.reason, inc.Status.Decision.Reason)
		})
	}
}

func TestIncidentsThatNameEachOtherAreToldByOne(t *testing.T) {
	x := newPlant(t)
	a := x.open(workload("a"), v1alpha1.SeverityCritical)
	x.now = x.now.Add(time.Second)
	b := x.open(workload("b"), v1alpha1.SeverityCritical)
	for name, other := range map[string]string{a: b, b: a} { // as two replicas write at a time
		inc := x.index.Get(name).DeepCopy()
		inc.Status.DuplicateOf = other
		x.put(inc)
	}
	for range 2 {
		x.pass(b)
		x.pass(a)
	}
	assert.Empty(t, x.index.Get(a).Status.DuplicateOf, "the first stands for itself")
	assert.Equal(t, a, x.index.Get(b).Status.DuplicateOf)
}

func TestSymptomsOfOneCauseThatHasNoIncidentAreOne(t *testing.T) {
	x := newPlant(t)
	config := v1alpha1.CauseObject{APIVersion: "v1", Kind: "ConfigMap", Namespace: "shop", Name: "settings"}
	var names []string
	for _, w := range []string{"a", "b", "c"} {
		names = append(names, x.open(workload(w), v1alpha1.SeverityCritical))
		x.now = x.now.Add(time.Second)
	}
	for _, name := range names {
		x.blame(name, config)
	}
	assert.Empty(t, x.pass(names[0]).Status.DuplicateOf)
	for _, name := range names[1:] {
		assert.Equal(t, names[0], x.pass(name).Status.DuplicateOf)
	}
	x.blame(names[1], deployment("b"))
	assert.Empty(t, x.pass(names[1]).Status.DuplicateOf, "a later analysis found the cause in it")
}

// judge says something of the causes of an Incident, in the place of a person.
func (x *plant) judge(name string, says v1alpha1.CauseJudgement) {
	inc := x.index.Get(name).DeepCopy()
	inc.Spec.Cause = &says
	x.put(inc)
}

func TestWhatIsNotPartOfAnotherIncidentDoesNotBecomeSoAgain(t *testing.T) {
	catalog, other := deployment("catalog"), deployment("other")
	cause := func(object v1alpha1.CauseObject) v1alpha1.Cause {
		return v1alpha1.Cause{Object: object, Kind: "dependency", ScorePercent: 90, Sentence: object.Name + " is broken"}
	}
	for name, c := range map[string]struct {
		lost   bool // checkout runs on the lost node
		causes []v1alpha1.CauseObject
		says   *v1alpha1.CauseJudgement
		part   string // of which it is one in the end
	}{
		"corrected to something else":     {causes: []v1alpha1.CauseObject{catalog}, says: &v1alpha1.CauseJudgement{Correct: &v1alpha1.CorrectedCause{Workload: "c", Kind: "code"}}},
		"corrected to the same":           {causes: []v1alpha1.CauseObject{catalog}, says: &v1alpha1.CauseJudgement{Correct: &v1alpha1.CorrectedCause{Workload: "catalog", Kind: "code"}}, part: "catalog"},
		"the cause is wrong":              {causes: []v1alpha1.CauseObject{catalog}, says: &v1alpha1.CauseJudgement{Reject: new(int32(1))}},
		"a less likely cause is wrong":    {causes: []v1alpha1.CauseObject{catalog, other}, says: &v1alpha1.CauseJudgement{Reject: new(int32(2))}, part: "catalog"},
		"another cause is right":          {causes: []v1alpha1.CauseObject{catalog, deployment("c")}, says: &v1alpha1.CauseJudgement{Confirm: new(int32(2))}},
		"that of another one is right":    {causes: []v1alpha1.CauseObject{catalog, other}, says: &v1alpha1.CauseJudgement{Confirm: new(int32(2))}, part: "other"},
		"the cause is right":              {causes: []v1alpha1.CauseObject{catalog, other}, says: &v1alpha1.CauseJudgement{Confirm: new(int32(1))}, part: "catalog"},
		"its own fault on a lost node":    {lost: true, causes: []v1alpha1.CauseObject{deployment("checkout")}},
		"the lost node is wrong":          {lost: true, causes: []v1alpha1.CauseObject{{APIVersion: "v1", Kind: "Node", Name: "n1"}}, says: &v1alpha1.CauseJudgement{Reject: new(int32(1))}},
		"a lost node, and no other fault": {lost: true, causes: []v1alpha1.CauseObject{deployment("c")}, says: &v1alpha1.CauseJudgement{Reject: new(int32(1))}, part: "n1"},
	} {
		t.Run(name, func(t *testing.T) {
			x := newPlant(t)
			names := map[string]string{"n1": x.open(v1alpha1.Subject{Kind: "Node", Name: "n1"}, v1alpha1.SeverityCritical)}
			for _, w := range []string{"catalog", "other", "checkout"} {
				x.now = x.now.Add(time.Second)
				names[w] = x.open(workload(w), v1alpha1.SeverityCritical)
			}
			if c.lost {
				x.topology["checkout"] = "n1"
			} else {
				x.blame(names["checkout"], catalog)
			}
			require.Equal(t, c.lost, x.pass(names["checkout"]).Status.DuplicateOf == names["n1"])
			inc := x.index.Get(names["checkout"]).DeepCopy()
			inc.Status.Causes = nil
			for _, object := range c.causes {
				inc.Status.Causes = append(inc.Status.Causes, cause(object))
			}
			inc.Status.Cause = inc.Status.Causes[0].Sentence
			x.put(inc)
			if c.says != nil {
				x.judge(inc.Name, *c.says)
			}
			x.pass(inc.Name)
			settled := x.pass(inc.Name) // one to leave, one to join
			for range 3 {
				x.now = x.now.Add(time.Minute)
				inc = x.pass(inc.Name)
			}
			assert.Equal(t, names[c.part], inc.Status.DuplicateOf)
			assert.Equal(t, sequenceOf(settled), sequenceOf(inc), "nothing is told again")
		})
	}
}

func TestEscalationIsNotLostInAnotherIncident(t *testing.T) {
	critical, warning := v1alpha1.SeverityCritical, v1alpha1.SeverityWarning
	escalation := &v1alpha1.Escalation{Receivers: []string{"lead"}, After: "15m"}
	for name, c := range map[string]struct {
		main      v1alpha1.Severity
		of        []string // namespaces whose route escalates
		looked    bool
		duplicate bool
	}{
		"the other one is less severe":             {main: warning, of: []string{"shop"}},
		"the other one does not escalate":          {main: critical, of: []string{"shop"}},
		"somebody looks after the other one":       {main: critical, of: []string{"shop"}, looked: true, duplicate: true},
		"the other one escalates to the same":      {main: critical, of: []string{"shop", ""}, duplicate: true},
		"neither escalates":                        {main: critical, duplicate: true},
		"neither escalates, and it is less severe": {main: warning},
	} {
		t.Run(name, func(t *testing.T) {
			x := newPlant(t)
			x.Rules.Receivers = []string{"oncall", "lead"}
			all := v1alpha1.RouteMatch{Severities: []v1alpha1.Severity{critical}}
			own := v1alpha1.Route{Match: all, Receivers: []string{"oncall"}}
			own.Match.Namespaces = []string{"shop"}
			other := v1alpha1.Route{Match: all, Receivers: []string{"oncall"}}
			if len(c.of) > 0 {
				own.Escalation = escalation
			}
			if len(c.of) > 1 {
				other.Escalation = escalation
			}
			x.Rules.Routes = []v1alpha1.Route{own, other}
			main := x.open(v1alpha1.Subject{Kind: "Node", Name: "n1"}, c.main)
			if c.looked {
				inc := x.index.Get(main).DeepCopy()
				inc.Spec.Acknowledge = &v1alpha1.Request{By: "ann"}
				x.put(inc)
			}
			checkout := x.open(workload("checkout"), critical)
			x.topology["checkout"] = "n1"
			x.pass(checkout)
			assert.Equal(t, c.duplicate, x.pass(checkout).Status.DuplicateOf == main)
		})
	}
}
