package main

import (
	"strings"
	"testing"
	"time"

	"github.com/kubebot/kubebot/api/v1alpha1"
)

func cause(workload, object string, kind v1alpha1.CauseKind) v1alpha1.Cause {
	return v1alpha1.Cause{Workload: workload, Object: v1alpha1.CauseObject{Kind: "Deployment", Name: object}, Kind: kind}
}

func TestJudgeComparesServiceAndKind(t *testing.T) {
	f := fault{services: []string{"cart"}, kinds: []string{"cpu"}}
	for name, c := range map[string]struct {
		causes                           []v1alpha1.Cause
		service1, both1, service3, both3 bool
	}{
		"right at once":               {[]v1alpha1.Cause{cause("", "cart", "cpu")}, true, true, true, true},
		"right service, wrong kind":   {[]v1alpha1.Cause{cause("", "cart", "code")}, true, false, true, false},
		"right in the third place":    {[]v1alpha1.Cause{cause("", "a", "cpu"), cause("", "b", "cpu"), cause("", "cart", "cpu")}, false, false, true, true},
		"right in the fourth place":   {[]v1alpha1.Cause{cause("", "a", "cpu"), cause("", "b", "cpu"), cause("", "c", "cpu"), cause("", "cart", "cpu")}, false, false, false, false},
		"another object of the right": {[]v1alpha1.Cause{cause("cart", "settings", "cpu")}, true, true, true, true},
	} {
		var m Measured
		m.judge(c.causes, f)
		if m.Top1Service != c.service1 || m.Top1 != c.both1 || m.Top3Service != c.service3 || m.Top3 != c.both3 {
			t.Errorf("%s: got %+v", name, m)
		}
	}
}

func TestTimesAreThoseOfTheFirstPushedIncident(t *testing.T) {
	quiet := v1alpha1.Incident{Status: v1alpha1.IncidentStatus{Title: "quiet", Decision: &v1alpha1.Decision{Verdict: v1alpha1.VerdictQuiet}}}
	pushed := v1alpha1.Incident{Status: v1alpha1.IncidentStatus{Title: "pushed", Decision: &v1alpha1.Decision{Verdict: v1alpha1.VerdictNotify},
		Analysis: &v1alpha1.Analysis{State: v1alpha1.AnalysisCauseFound}, Causes: []v1alpha1.Cause{cause("", "cart", "cpu")}}}
	var m Measured
	f := fault{services: []string{"cart"}, kinds: []string{"cpu"}}
	began := time.Now()
	m.see(nil, f, began, time.Second)
	m.see([]v1alpha1.Incident{quiet}, f, began, 2*time.Second)
	m.see([]v1alpha1.Incident{quiet, pushed}, f, began, 3*time.Second)
	if m.SecondsToIncident != 2 || m.SecondsToCause != 3 || m.Incidents != 2 || m.Notified != 1 || !m.Top1 {
		t.Errorf("got %+v", m)
	}
}

func TestEveryFaultHasATruthAndAName(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range faults {
		if f.name == "" || seen[f.name] || (len(f.services) == 0) == (f.node == "") || len(f.kinds) == 0 || f.inject == nil || f.mend == nil {
			t.Errorf("fault %q is not whole", f.name)
		}
		seen[f.name] = true
	}
	if len(faults) != 14 {
		t.Errorf("%d faults are played, want the 14 of the list", len(faults))
	}
	if _, err := choose("bad image, CPU hog"); err != nil {
		t.Error(err)
	}
	if _, err := choose("nonsense"); err == nil || !strings.Contains(err.Error(), "nonsense") {
		t.Errorf("got %v", err)
	}
}
