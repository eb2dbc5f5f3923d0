package slack_test

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/links"
	"github.com/kubebot/kubebot/internal/notify"
	"github.com/kubebot/kubebot/internal/notify/slack"
)

// shownButtons sends a message and returns the buttons of the head by action ID.
func shownButtons(t *testing.T, grafana links.Grafana, change func(*notify.Message)) map[string]map[string]any {
	t.Helper()
	w := newWorkspace(t, nil)
	s := newSink(t, slack.Options{Channel: channel, Token: secret(t, token), APIURL: w.url, Buttons: true, Links: grafana})
	msg := message()
	msg.Incident.UID = "5ad7d8b0-8f0d-4b0c-9a53-7d6c1a0a6a11"
	for i := range msg.Incident.Status.Alerts {
		msg.Incident.Status.Alerts[i].Source, msg.Incident.Status.Alerts[i].Labels = v1alpha1.AlertSourceAlertmanager, map[string]string{"namespace": "shop"}
	}
	change(&msg)
	delivered(t, s, msg)
	var blocks []struct {
		Type     string           `json:"type"`
		Elements []map[string]any `json:"elements"`
	}
	if err := json.Unmarshal(w.Messages(channel)[0].Blocks, &blocks); err != nil {
		t.Fatal(err)
	}
	found := map[string]map[string]any{}
	for _, b := range blocks {
		for _, e := range b.Elements {
			if e["type"] == "button" {
				found[strings.TrimPrefix(e["action_id"].(string), "kubebot_")] = e
			}
		}
	}
	return found
}

func names(found map[string]map[string]any) map[string]bool {
	list := map[string]bool{}
	for name := range found {
		list[name] = true
	}
	return list
}

func TestButtonsFollowWhereTheIncidentStands(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*notify.Message)
		want   string
	}{
		"open": {func(*notify.Message) {}, "acknowledge silence-1h silence-1d details mattered noise"},
		"caused": {func(m *notify.Message) {
			m.Incident.Status.Causes = []v1alpha1.Cause{{Sentence: m.Incident.Status.Cause}}
		}, "acknowledge silence-1h silence-1d details mattered noise cause-right cause-wrong"},
		"acknowledged": {func(m *notify.Message) {
			m.Incident.Spec.Acknowledge, m.Incident.Status.State = &v1alpha1.Request{By: "anna"}, v1alpha1.IncidentAcknowledged
		}, "release silence-1h silence-1d details mattered noise"},
		"silenced": {func(m *notify.Message) {
			m.Incident.Spec.Silence = &v1alpha1.SilenceRequest{By: "anna", Until: metav1.NewTime(m.At.Add(time.Hour))}
		}, "acknowledge unsilence details mattered noise"},
		"a silence that is over": {func(m *notify.Message) {
			m.Incident.Spec.Silence = &v1alpha1.SilenceRequest{Until: metav1.NewTime(m.At)}
		}, "acknowledge silence-1h silence-1d details mattered noise"},
		"seen by the watch alone": {func(m *notify.Message) {
			for i := range m.Incident.Status.Alerts {
				m.Incident.Status.Alerts[i].Source = v1alpha1.AlertSourceWatch
			}
		}, "acknowledge details mattered noise"},
		"over": {func(m *notify.Message) { m.Incident.Status.State = v1alpha1.IncidentResolved }, "details mattered noise"},
	} {
		t.Run(name, func(t *testing.T) {
			got := names(shownButtons(t, links.Grafana{}, c.change))
			for want := range strings.FieldsSeq(c.want) {
				if !got[want] {
					t.Errorf("no button %s", want)
				}
				delete(got, want)
			}
			if len(got) > 0 {
				t.Errorf("too much: %v", got)
			}
		})
	}
}

func TestLinksLeadToTheWorkloadInGrafana(t *testing.T) {
	got := shownButtons(t, links.Grafana{URL: "https://grafana.example.com/sub", Prefix: "kubebot-1-"}, func(*notify.Message) {})
	board, err := url.Parse(got["link_dashboard"]["url"].(string))
	if err != nil || board.Host != "grafana.example.com" || board.Path != "/sub/d/kubebot-1-workload" || board.Query().Get("var-namespace") != "shop" || board.Query().Get("var-workload") != "checkout" {
		t.Errorf("dashboard: %v, %v", board, err)
	}
	traces, err := url.Parse(got["link_traces"]["url"].(string))
	if err != nil || traces.Path != "/sub/explore" || !json.Valid([]byte(traces.Query().Get("panes"))) {
		t.Errorf("traces: %v, %v", traces, err)
	}
	node := shownButtons(t, links.Grafana{URL: "https://grafana.example.com"}, func(m *notify.Message) {
		m.Incident.Spec.Subject = v1alpha1.Subject{Kind: "Node", Name: "n1"}
	})
	if node["link_traces"] != nil || !strings.Contains(node["link_dashboard"]["url"].(string), "/d/node?") || !strings.Contains(node["link_dashboard"]["url"].(string), "var-node=n1") {
		t.Errorf("node: %v", node["link_dashboard"])
	}
	if got := shownButtons(t, links.Grafana{URL: "javascript:alert(1)"}, func(*notify.Message) {}); got["link_dashboard"] != nil {
		t.Error("a link to no web page")
	}
}

func TestLinksAreTextWhereNobodyAnswersToButtons(t *testing.T) {
	line := func(grafana links.Grafana, name string) string {
		t.Helper()
		w := newWorkspace(t, nil)
		msg := message()
		msg.Incident.Spec.Subject.Name = name
		delivered(t, newSink(t, slack.Options{Channel: channel, Token: secret(t, token), APIURL: w.url, Links: grafana}), msg)
		var blocks []struct {
			Elements []struct{ Type, Text string } `json:"elements"`
		}
		if err := json.Unmarshal(w.Messages(channel)[0].Blocks, &blocks); err != nil {
			t.Fatal(err)
		}
		for _, b := range blocks {
			for _, e := range b.Elements {
				if e.Type == "mrkdwn" {
					return e.Text
				}
			}
		}
		return ""
	}
	grafana := links.Grafana{URL: "https://grafana.example.com", Prefix: "kubebot-1-"}
	got := line(grafana, "checkout")
	for _, part := range []string{"<https://grafana.example.com/d/kubebot-1-workload?", "&amp;var-workload=checkout|Open dashboard>", "|Open traces>"} {
		if !strings.Contains(got, part) {
			t.Errorf("the line has no %q: %s", part, got)
		}
	}
	hostile := line(grafana, "x|y> <!channel> "+strings.Repeat("z", 1000))
	if strings.Contains(hostile, "<!") || strings.Count(hostile, "<") != strings.Count(hostile, "|") || len(hostile) > 3000 {
		t.Errorf("the line is %s", hostile)
	}
	if got := line(links.Grafana{}, "checkout"); got != "" {
		t.Errorf("without an address of Grafana: %s", got)
	}
}

func TestTextFromTheClusterChangesNoButton(t *testing.T) {
	hostile := `"},{"type":"button","action_id":"kubebot_acknowledge"` + strings.Repeat("<!here>", 2000)
	got := shownButtons(t, links.Grafana{URL: "https://grafana.example.com"}, func(m *notify.Message) {
		m.Incident.Spec.Subject.Name, m.Incident.Spec.Subject.Display = hostile, hostile
		m.Incident.Status.Title, m.Incident.Status.Cause = hostile, hostile
		m.Incident.Status.Causes = []v1alpha1.Cause{{Sentence: hostile, Object: v1alpha1.CauseObject{Kind: hostile, Name: hostile}}}
	})
	for name, b := range got {
		if text, err := json.Marshal(b["text"]); err != nil || strings.Contains(string(text), "here") {
			t.Errorf("%s: %s", name, text)
		}
		if u, ok := b["url"].(string); ok && len(u) > 3000 {
			t.Errorf("%s: %d characters of an address", name, len(u))
		}
	}
	if got["acknowledge"]["value"] != "5ad7d8b0-8f0d-4b0c-9a53-7d6c1a0a6a11/main-7f3a-1" {
		t.Errorf("value %v", got["acknowledge"]["value"])
	}
}
