package links

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestLinksLeadIntoGrafana(t *testing.T) {
	g := Grafana{URL: "https://grafana.example.com/sub/", Prefix: "kubebot-1-"}
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	w := Window{From: noon.Add(-time.Hour), To: noon}
	for got, want := range map[string]string{
		g.Home(Window{}):                    "https://grafana.example.com/sub/d/kubebot-1-home?from=now-1h&to=now",
		g.Workload("shop", "a&b", w):        "https://grafana.example.com/sub/d/kubebot-1-workload?from=1772362800000&to=1772366400000&var-namespace=shop&var-workload=a%26b",
		g.Node("n1", w):                     "https://grafana.example.com/sub/d/kubebot-1-node?from=1772362800000&to=1772366400000&var-node=n1",
		g.Service("cart", w):                "https://grafana.example.com/sub/d/kubebot-1-service?from=1772362800000&to=1772366400000&var-service=cart",
		Grafana{}.Home(w):                   "",
		Grafana{URL: "ftp://x"}.Home(w):     "",
		Grafana{URL: "https:x"}.Home(w):     "",
		Grafana{URL: "\x00"}.Traces("x", w): "",
	} {
		if got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	traces, err := url.Parse(g.Traces(`a"b`, w))
	panes := traces.Query().Get("panes")
	if err != nil || traces.Path != "/sub/explore" || !json.Valid([]byte(panes)) || !strings.Contains(panes, `"service":"a\"b"`) || !strings.Contains(panes, "kubebot-1-jaeger") {
		t.Errorf("traces: %v, %s", err, panes)
	}
}
