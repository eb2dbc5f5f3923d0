package chaos

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/alert"
	"github.com/kubebot/kubebot/internal/notify/webhook"
	slacktest "github.com/kubebot/kubebot/test/slack"
)

func message(channel, ts, thread, key, incident string, sequence int) slacktest.Message {
	return slacktest.Message{Channel: channel, TS: ts, ThreadTS: thread, Metadata: &slacktest.Metadata{EventType: "kubebot",
		EventPayload: map[string]any{"key": key, "incident": incident, "sequence": float64(sequence)}}}
}

func hook(t *testing.T, name string, sequence int64, repeat bool) slacktest.Webhook {
	t.Helper()
	body, err := json.Marshal(webhook.Document{Sequence: sequence, Incident: webhook.Incident{Namespace: "kubebot", Name: name}})
	if err != nil {
		t.Fatal(err)
	}
	return slacktest.Webhook{Body: string(body), Repeat: repeat}
}

func TestWhatReceiversHold(t *testing.T) {
	held, err := holdingsOf([]slacktest.Message{
		message("C1", "1", "", "a1", "kubebot/one", 1),
		message("C1", "2", "", "a1", "kubebot/one", 1), // a second copy of the head
		message("C1", "3", "1", "a2", "kubebot/one", 2),
		message("C1", "4", "1", "a1", "kubebot/one", 1), // the reply of the first change, after that of the second
		message("C2", "5", "", "b1", "kubebot/two", 1),
	}, []slacktest.Webhook{hook(t, "one", 2, false), hook(t, "one", 1, false), hook(t, "one", 2, true)})
	if err != nil {
		t.Fatal(err)
	}
	if held.doubled != 1 || held.repeated != 1 || held.disordered != 2 {
		t.Errorf("%d doubled, %d repeated, %d out of order; want 1, 1 and 2", held.doubled, held.repeated, held.disordered)
	}
	if !held.slack["C1"]["kubebot/one"] || held.slack["C1"]["kubebot/two"] || !held.hooks["kubebot/one"] {
		t.Errorf("held: %v %v", held.slack, held.hooks)
	}
}

func TestADigestTellsOfEachOfItsIncidents(t *testing.T) {
	digest := slacktest.Message{Channel: "C1", TS: "1", Metadata: &slacktest.Metadata{EventType: "kubebot", EventPayload: map[string]any{
		"key": "d", "namespace": "kubebot", "incidents": []any{"one", "two"}, "sequence": float64(1)}}}
	again := digest
	again.TS = "2"
	body, err := json.Marshal(webhook.Document{Sequence: 1, Incidents: []webhook.Incident{{Namespace: "kubebot", Name: "one"}, {Namespace: "kubebot", Name: "two"}}})
	if err != nil {
		t.Fatal(err)
	}
	held, err := holdingsOf([]slacktest.Message{digest, again}, []slacktest.Webhook{{Body: string(body)}})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"kubebot/one", "kubebot/two"} {
		if !held.slack["C1"][name] || !held.hooks[name] {
			t.Errorf("%s is not held: %v %v", name, held.slack, held.hooks)
		}
	}
	if held.doubled != 1 || held.disordered != 0 {
		t.Errorf("%d doubled, %d out of order; want 1 and 0", held.doubled, held.disordered)
	}
	marked := v1alpha1.Incident{}
	marked.Status.Deliveries = []v1alpha1.Delivery{{Digest: "d", PossibleDuplicate: "why"}}
	report := Report{}
	if report.tally(nil, []v1alpha1.Incident{marked, marked}, held); report.PossibleDuplicate != 1 {
		t.Errorf("a digest that may be there twice counts %d times", report.PossibleDuplicate)
	}
}

func TestAnAlertIsDeliveredOnlyIfEveryReceiverHasItsIncident(t *testing.T) {
	r := round{Options: Options{Alerts: 4, Workloads: 2, Channels: 2}, tag: "chaos-x"}
	sent := r.alerts()
	var inc v1alpha1.Incident
	inc.Namespace, inc.Name = "kubebot", "one"
	inc.Spec.OpeningAlerts = []v1alpha1.IncidentAlert{{Fingerprint: alert.Fingerprint(sent[0].labels)}}
	inc.Status.Alerts = []v1alpha1.IncidentAlert{{Fingerprint: alert.Fingerprint(sent[2].labels)}}
	inc.Status.Deliveries = []v1alpha1.Delivery{{PossibleDuplicate: "why"}}
	slack := map[string]map[string]bool{channelID(0): {"kubebot/one": true}}
	for name, c := range map[string]struct {
		held      holdings
		delivered int
	}{
		"both":                {holdings{slack: slack, hooks: map[string]bool{"kubebot/one": true}}, 2},
		"no webhook":          {holdings{slack: slack}, 0},
		"another channel":     {holdings{slack: map[string]map[string]bool{channelID(1): {"kubebot/one": true}}, hooks: map[string]bool{"kubebot/one": true}}, 0},
		"another incident":    {holdings{slack: slack, hooks: map[string]bool{"kubebot/two": true}}, 0},
		"nobody has anything": {holdings{}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			report := Report{Sent: 4}
			report.tally(sent, []v1alpha1.Incident{inc}, c.held)
			if report.Delivered != c.delivered || report.Lost != 4-c.delivered || report.PossibleDuplicate != 1 || len(report.MissingAt) != report.Lost {
				t.Errorf("%+v, want %d delivered", report, c.delivered)
			}
		})
	}
}

func TestARoundFailsForEachThingThatMustNotBe(t *testing.T) {
	o := Options{Alerts: 10, Kills: 2}
	good := Report{Sent: 10, Delivered: 10, Kills: 2, Doubled: 1, PossibleDuplicate: 1}
	if err := good.Check(o); err != nil {
		t.Errorf("a good round fails: %v", err)
	}
	for want, change := range map[string]func(*Report){
		"9 of 10 alerts were sent": func(r *Report) { r.Sent = 9 },
		"1 of 2 kills":             func(r *Report) { r.Kills = 1 },
		"were lost":                func(r *Report) { r.Lost = 1 },
		"second copies":            func(r *Report) { r.Doubled = 2 },
		"out of order":             func(r *Report) { r.Disordered = 1 },
	} {
		r := good
		change(&r)
		if err := r.Check(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
