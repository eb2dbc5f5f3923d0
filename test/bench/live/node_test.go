package main

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubebot/kubebot/api/v1alpha1"
)

func TestAFaultOfANodeIsNamedByTheNodeAlone(t *testing.T) {
	ofNode := fault{node: "node-a", kinds: []string{"node", "memory"}}
	ofService := fault{services: []string{"cart", "node-a"}, kinds: []string{"memory"}}
	on := func(kind, name, workload string) v1alpha1.Cause {
		return v1alpha1.Cause{Workload: workload, Object: v1alpha1.CauseObject{Kind: kind, Name: name}, Kind: "memory"}
	}
	for name, c := range map[string]struct {
		cause         v1alpha1.Cause
		node, service bool
	}{
		"the node":                         {on("Node", "node-a", ""), true, true},
		"the node under a service's pods":  {on("Node", "node-a", "web"), true, false},
		"another node":                     {on("Node", "node-b", ""), false, false},
		"a service that is called like it": {on("Deployment", "node-a", ""), false, true},
		"a service":                        {on("Deployment", "cart", ""), false, true},
	} {
		if got := ofNode.named(c.cause); got != c.node {
			t.Errorf("%s: named %t for a fault of the node", name, got)
		}
		if got := ofService.named(c.cause); got != c.service {
			t.Errorf("%s: named %t for a fault of a service", name, got)
		}
		var m Measured
		if m.judge([]v1alpha1.Cause{c.cause}, ofNode); m.Top1 != c.node {
			t.Errorf("%s: got %+v", name, m)
		}
	}
}

func TestAnIncidentOfBeforeCountsFromTheAlertThatTells(t *testing.T) {
	began := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	f := fault{node: "node-a", kinds: []string{"memory"}, alerts: []string{"NodePressure"}}
	alert := func(name string, after time.Duration) v1alpha1.IncidentAlert {
		return v1alpha1.IncidentAlert{Name: name, State: v1alpha1.AlertFiring, StartsAt: metav1.NewTime(began.Add(after))}
	}
	finished := func(after time.Duration) *v1alpha1.Analysis {
		at := metav1.NewMicroTime(began.Add(after))
		return &v1alpha1.Analysis{State: v1alpha1.AnalysisCauseFound, FinishedAt: &at}
	}
	inc := v1alpha1.Incident{Status: v1alpha1.IncidentStatus{Title: "clock", Alerts: []v1alpha1.IncidentAlert{alert("NodeClockSkew", -time.Hour)},
		Analysis: finished(-50 * time.Minute), Causes: []v1alpha1.Cause{{Object: v1alpha1.CauseObject{Kind: "Node", Name: "node-a"}, Kind: "unknown"}}}}
	var m Measured
	see := func(after time.Duration) { m.see([]v1alpha1.Incident{inc}, f, began, after) }
	if see(time.Second); m.Detected {
		t.Error("the trouble of before was taken for the fault")
	}
	inc.Status.Alerts = append(inc.Status.Alerts, alert("NodePressure", time.Minute))
	if see(2 * time.Minute); !m.Detected || m.SecondsToIncident != 120 || m.SecondsToCause != 0 || m.Causes != nil {
		t.Errorf("with the alert: %+v", m)
	}
	inc.Status.Analysis, inc.Status.Causes[0].Kind = finished(2*time.Minute), "memory"
	if see(3 * time.Minute); m.SecondsToCause != 180 || !m.Top1 {
		t.Errorf("with the analysis: %+v", m)
	}
	if !f.fires(&inc) {
		t.Error("the alert does not fire")
	}
	inc.Status.Alerts[1].State = v1alpha1.AlertResolved
	if f.fires(&inc) {
		t.Error("another alert keeps the fault going")
	}
}
