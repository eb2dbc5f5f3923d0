package opsgenie_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/notify"
	"github.com/kubebot/kubebot/internal/notify/notifytest"
	"github.com/kubebot/kubebot/internal/notify/opsgenie"
)

func sink(t *testing.T, r *notifytest.Recorder) *opsgenie.Sink {
	t.Helper()
	return opsgenie.New(opsgenie.Options{
		APIKey: notifytest.Secret(t, "og", "key", "K0123"), APIURL: r.URL + "/",
		Responders: []v1alpha1.OpsGenieResponder{{Type: "team", Name: "ops"}, {Type: "user", Name: "anna@example.com"}},
	})
}

func sent(t *testing.T, msg notify.Message) (notifytest.Call, notify.Result) {
	t.Helper()
	r := notifytest.NewRecorder(t)
	res := sink(t, r).Send(t.Context(), msg)
	if res.Outcome != notify.Delivered {
		t.Fatalf("got %+v", res)
	}
	return r.Calls()[0], res
}

func TestTheCallsOfAnIncidentShareAnAlias(t *testing.T) {
	acknowledged := notifytest.Later(v1alpha1.TransitionUpdated, 2)
	acknowledged.Incident.Spec.Acknowledge = &v1alpha1.Request{By: "anna"}
	found := acknowledged
	acknowledged.Details = []v1alpha1.TransitionDetail{v1alpha1.DetailAcknowledged}
	const alert = "/v2/alerts/kubebot%2Fkubebot%2Fmain-7f3a-1"
	for name, c := range map[string]struct {
		msg  notify.Message
		path string
	}{
		"opened":                    {notifytest.Message(), "/v2/alerts"},
		"updated":                   {notifytest.Later(v1alpha1.TransitionUpdated, 2), alert + "/notes"},
		"acknowledged":              {acknowledged, alert + "/acknowledge"},
		"updated once acknowledged": {found, alert + "/notes"},
		"resolved":                  {notifytest.Later(v1alpha1.TransitionResolved, 3), alert + "/close"},
		"reopened":                  {notifytest.Later(v1alpha1.TransitionReopened, 4), "/v2/alerts"},
	} {
		call, _ := sent(t, c.msg)
		if call.Path != c.path || call.Header.Get("Authorization") != "GenieKey K0123" {
			t.Errorf("%s: %s with %q", name, call.Path, call.Header.Get("Authorization"))
		}
		if aliased := call.Query == "identifierType=alias"; aliased != strings.HasPrefix(c.path, alert) {
			t.Errorf("%s: the query is %q", name, call.Query)
		}
	}
}

func TestWhatBecomesCriticalIsAnAlertOfItsOwn(t *testing.T) {
	const alert = "/v2/alerts/kubebot%2Fkubebot%2Fmain-7f3a-1"
	worse := notifytest.Later(v1alpha1.TransitionUpdated, 2)
	worse.Details = []v1alpha1.TransitionDetail{v1alpha1.DetailAcknowledged, v1alpha1.DetailBecameCritical}
	worse.Incident.Spec.Acknowledge = &v1alpha1.Request{By: "anna"}
	r := notifytest.NewRecorder(t)
	if res := sink(t, r).Send(t.Context(), worse); res.Outcome != notify.Delivered {
		t.Fatalf("got %+v", res)
	}
	calls := r.Calls()
	if len(calls) != 2 || calls[0].Path != "/v2/alerts" || !strings.Contains(calls[0].Body, `"priority":"P1"`) ||
		!strings.Contains(calls[0].Body, `"alias":"kubebot/kubebot/main-7f3a-1"`) || calls[1].Path != alert+"%2Flower/close" {
		t.Errorf("got %+v", calls)
	}
}

func TestAnAlertTellsTheIncident(t *testing.T) {
	call, _ := sent(t, notifytest.Message())
	var got struct {
		Message, Alias, Description, Entity, Priority string
		Responders                                    []map[string]string
		Details                                       map[string]string
	}
	if err := json.Unmarshal([]byte(call.Body), &got); err != nil {
		t.Fatal(err)
	}
	if got.Message != "checkout answers with errors" || got.Alias != "kubebot/kubebot/main-7f3a-1" || got.Priority != "P1" || got.Entity != "Deployment shop/checkout" {
		t.Errorf("got %+v", got)
	}
	if len(got.Responders) != 2 || got.Responders[0]["name"] != "ops" || got.Responders[1]["username"] != "anna@example.com" {
		t.Errorf("responders: %v", got.Responders)
	}
	if !strings.Contains(got.Description, "HTTPErrorsHigh") || got.Details["Fix"] != "Undo the rollout." {
		t.Errorf("got %+v", got)
	}
}

func TestTextFromTheClusterIsBounded(t *testing.T) {
	msg := notifytest.Hostile()
	msg.Incident.Name = "a/../../v2/teams?x=1#"
	call, _ := sent(t, msg)
	var got struct{ Message string }
	if err := json.Unmarshal([]byte(call.Body), &got); err != nil {
		t.Fatal(err)
	}
	if n := len([]rune(got.Message)); n > 130 || strings.ContainsAny(got.Message, "\r\n\u202e") {
		t.Errorf("the message has %d characters: %q", n, got.Message)
	}
	msg = notifytest.Later(v1alpha1.TransitionResolved, 2)
	msg.Incident.Name = "a/../../v2/teams?x=1#"
	if call, _ = sent(t, msg); !strings.HasPrefix(call.Path, "/v2/alerts/kubebot%2F") || !strings.HasSuffix(call.Path, "/close") {
		t.Errorf("a name leads to %s", call.Path)
	}
}

func TestOnlyANoteCanBeThereTwice(t *testing.T) {
	for kind, marked := range map[v1alpha1.TransitionKind]bool{v1alpha1.TransitionUpdated: true, v1alpha1.TransitionResolved: false, v1alpha1.TransitionReopened: false} {
		msg := notifytest.Later(kind, 2)
		msg.MayHaveArrived = true
		if _, res := sent(t, msg); (res.PossibleDuplicate != "") != marked {
			t.Errorf("%s: %+v", kind, res)
		}
	}
}

func TestWhatIsMissingIsSaid(t *testing.T) {
	for name, c := range map[string]struct {
		options opsgenie.Options
		word    string
		reason  string
	}{
		"key":             {opsgenie.Options{APIKey: notifytest.Absent(t)}, "SecretMissing", v1alpha1.ReasonSecretMissing},
		"key with a line": {opsgenie.Options{APIKey: notifytest.Secret(t, "og", "key", "a\nX-Other: b")}, "InvalidKey", v1alpha1.ReasonInvalidSpec},
	} {
		s := opsgenie.New(c.options)
		if res := s.Send(t.Context(), notifytest.Message()); res.Outcome != notify.Refused || res.Word != c.word {
			t.Errorf("%s: %+v", name, res)
		}
		if reason, _ := s.Check(t.Context()); reason != c.reason {
			t.Errorf("%s: %s", name, reason)
		}
	}
}
