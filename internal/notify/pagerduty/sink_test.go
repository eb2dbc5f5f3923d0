package pagerduty_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/notify"
	"github.com/kubebot/kubebot/internal/notify/notifytest"
	"github.com/kubebot/kubebot/internal/notify/pagerduty"
)

func sink(t *testing.T, r *notifytest.Recorder) *pagerduty.Sink {
	t.Helper()
	return pagerduty.New(pagerduty.Options{RoutingKey: notifytest.Secret(t, "pd", "key", "R0123"), APIURL: r.URL + "/"})
}

// event is what PagerDuty is sent, read back.
type event struct {
	RoutingKey string `json:"routing_key"`
	Action     string `json:"event_action"`
	DedupKey   string `json:"dedup_key"`
	Payload    *struct {
		Summary, Source, Severity, Timestamp, Component, Group string
		Details                                                map[string]any `json:"custom_details"`
	}
}

func sent(t *testing.T, msg notify.Message) event {
	t.Helper()
	r := notifytest.NewRecorder(t)
	if res := sink(t, r).Send(t.Context(), msg); res.Outcome != notify.Delivered || res.PossibleDuplicate != "" {
		t.Fatalf("got %+v", res)
	}
	call := r.Calls()[0]
	if call.Path != "/v2/enqueue" {
		t.Errorf("posted to %s", call.Path)
	}
	var e event
	if err := json.Unmarshal([]byte(call.Body), &e); err != nil {
		t.Fatal(err)
	}
	return e
}

func TestTheEventsOfAnIncidentShareAKey(t *testing.T) {
	acknowledged := notifytest.Later(v1alpha1.TransitionUpdated, 2)
	acknowledged.Incident.Spec.Acknowledge = &v1alpha1.Request{By: "anna"}
	found := acknowledged
	acknowledged.Details = []v1alpha1.TransitionDetail{v1alpha1.DetailAcknowledged}
	for name, c := range map[string]struct {
		msg    notify.Message
		action string
	}{
		"opened":                    {notifytest.Message(), "trigger"},
		"updated":                   {notifytest.Later(v1alpha1.TransitionUpdated, 2), "trigger"},
		"acknowledged":              {acknowledged, "acknowledge"},
		"updated once acknowledged": {found, "trigger"},
		"resolved":                  {notifytest.Later(v1alpha1.TransitionResolved, 3), "resolve"},
		"reopened":                  {notifytest.Later(v1alpha1.TransitionReopened, 4), "trigger"},
	} {
		e := sent(t, c.msg)
		if e.Action != c.action || e.DedupKey != "kubebot/kubebot/main-7f3a-1" || e.RoutingKey != "R0123" {
			t.Errorf("%s: %+v", name, e)
		}
		if (e.Payload != nil) != (c.action == "trigger") {
			t.Errorf("%s: payload %+v", name, e.Payload)
		}
	}
}

func TestWhatBecomesCriticalIsAnAlertOfItsOwn(t *testing.T) {
	const lower, critical = "kubebot/kubebot/main-7f3a-1/lower", "kubebot/kubebot/main-7f3a-1"
	warning := notifytest.Message()
	warning.Incident.Status.Severity = v1alpha1.SeverityWarning
	for i := range warning.Incident.Status.Alerts {
		warning.Incident.Status.Alerts[i].Severity = v1alpha1.SeverityWarning
	}
	worse := notifytest.Later(v1alpha1.TransitionUpdated, 2)
	worse.Details = []v1alpha1.TransitionDetail{v1alpha1.DetailAcknowledged, v1alpha1.DetailBecameCritical}
	worse.Incident.Spec.Acknowledge = &v1alpha1.Request{By: "anna"}
	overSoon := notifytest.Later(v1alpha1.TransitionResolved, 2)
	overSoon.Details = worse.Details
	r := notifytest.NewRecorder(t)
	s := sink(t, r)
	for _, msg := range []notify.Message{warning, worse, overSoon} {
		if res := s.Send(t.Context(), msg); res.Outcome != notify.Delivered {
			t.Fatalf("got %+v", res)
		}
	}
	var got []string
	for _, call := range r.Calls() {
		var e event
		if err := json.Unmarshal([]byte(call.Body), &e); err != nil {
			t.Fatal(err)
		}
		if e.Payload != nil {
			e.Action += " " + e.Payload.Severity
		}
		got = append(got, e.Action+" "+e.DedupKey)
	}
	want := []string{"trigger warning " + lower, "trigger critical " + critical, "resolve " + lower, "resolve " + critical, "resolve " + lower}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestATriggerTellsTheIncident(t *testing.T) {
	p := sent(t, notifytest.Message()).Payload
	if p.Summary != "checkout answers with errors" || p.Source != "prod-eu" || p.Severity != "critical" || p.Timestamp != "2026-11-21T03:19:00Z" ||
		p.Component != "Deployment shop/checkout" || p.Group != "shop" {
		t.Errorf("got %+v", p)
	}
	if p.Details["Likely cause"] != "The rollout of catalog at 03:18 UTC (90 %)" || p.Details["Fix"] != "Undo the rollout." {
		t.Errorf("details: %v", p.Details)
	}
}

func TestTextFromTheClusterIsBoundedAndPlain(t *testing.T) {
	msg := notifytest.Hostile()
	msg.Incident.Status.Title = strings.Repeat(notifytest.HostileText, 50)
	e := sent(t, msg)
	if n := len([]rune(e.Payload.Summary)); n > 1024 {
		t.Errorf("the summary has %d characters", n)
	}
	if strings.ContainsAny(e.Payload.Summary, "\r\n\u202e\x00") {
		t.Errorf("the summary is more than a line: %q", e.Payload.Summary)
	}
}

func TestWhatIsMissingIsSaid(t *testing.T) {
	s := pagerduty.New(pagerduty.Options{RoutingKey: notifytest.Absent(t)})
	if res := s.Send(t.Context(), notifytest.Message()); res.Outcome != notify.Refused || res.Word != "SecretMissing" {
		t.Errorf("got %+v", res)
	}
	if reason, message := s.Check(t.Context()); reason != v1alpha1.ReasonSecretMissing || !strings.Contains(message, "PagerDuty") {
		t.Errorf("%s %q", reason, message)
	}
}
