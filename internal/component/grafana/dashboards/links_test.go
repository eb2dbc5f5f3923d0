package dashboards

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	sdk "github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

// Every link leads to a dashboard of KubeBot, and gives it only variables that it has.
func TestLinksLeadSomewhere(t *testing.T) {
	o := options()
	address := regexp.MustCompile(`/d/` + o.Prefix + `([a-z]+)([^"]*)`)
	given := regexp.MustCompile(`var-([a-z]+)=|\$\{([a-z]+):queryparam\}`)
	targets := map[string]board{}
	for _, b := range boards() {
		targets[b.name] = b
	}
	found := 0
	follow := func(from, text string) {
		for _, m := range address.FindAllStringSubmatch(text, -1) {
			found++
			to, ok := targets[m[1]]
			if !ok {
				t.Errorf("%s links to the dashboard %s, which there is not", from, m[1])
			}
			for _, v := range given.FindAllStringSubmatch(m[2], -1) {
				if !slices.ContainsFunc(to.variables, func(has variable) bool { return has.name == v[1]+v[2] }) {
					t.Errorf("%s gives the dashboard %s a variable %s, which it has not", from, m[1], v[1]+v[2])
				}
			}
		}
	}
	for _, d := range all(t, o) {
		follow(d.Name, string(encode(t, d.Model)))
	}
	for _, s := range Sources(o, Addresses{}) {
		follow("the data source "+s.Name, string(encode(t, s.Settings)))
	}
	if found < 30 {
		t.Errorf("%d links found, want more", found)
	}
}

// Jaeger has no tag service.name, so what Grafana fills in for a span's tags may be its name alone, and for logs nothing.
func TestLinksOfSpansDoNotNeedTheirService(t *testing.T) {
	settings := string(encode(t, options().jaegerSettings()))
	if strings.Contains(settings, `"service.name"`) {
		t.Errorf("a link is made of the tag service.name: %s", settings)
	}
	logs := options().jaegerSettings()["tracesToLogsV2"].(map[string]any)["query"].(string)
	if strings.Contains(logs, "__tags") || !strings.Contains(logs, "${__trace.traceId}") {
		t.Errorf("the query of a trace's lines: %s", logs)
	}
}

// Lines have no values to click on: where they lead to is behind the panel's title.
func TestLinksOfLinesAreThePanels(t *testing.T) {
	for _, b := range boards() {
		for _, p := range b.panels {
			drawn := p.render(options(), &sdk.GridPos{})
			if p.kind == kindLogs && (len(drawn.Links) != len(p.to) || len(drawn.FieldConfig.Defaults.Links) > 0) {
				t.Errorf("%s/%s: the links are not the panel's", b.name, p.title)
			}
		}
	}
}

// All is a choice of lists alone: a dashboard of one namespace would ask for one of that name.
func TestAllIsNotHandedToADashboardOfOne(t *testing.T) {
	if eventsBoard().hands(namespaceBoard()) || !namespaceBoard().hands(eventsBoard()) || !logsBoard().hands(eventsBoard()) {
		t.Error("the choice of all namespaces goes where it is none, or one does not go along")
	}
}
