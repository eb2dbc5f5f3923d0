package dashboards

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	sdk "github.com/grafana/grafana-foundation-sdk/go/dashboard"

	"github.com/kubebot/kubebot/internal/endpoints"
	"github.com/kubebot/kubebot/internal/testutil/golden"
)

func options() Options {
	return Options{Prefix: "kubebot-0123abcd-", ClusterName: "test", ScrapeInterval: "15s", Stores: []Store{Prometheus, Loki, Jaeger, Alertmanager}}
}

// sample are values of every variable that queries use.
func sample() map[string]string {
	return map[string]string{
		"namespace": "shop", "workload": "checkout", "service": "checkout", "node": "node-1", "search": "",
		"__rate_interval": "1m", "__auto": "1m", "__interval": "15s", "__range": "1h",
	}
}

func all(t *testing.T, o Options) []Dashboard {
	t.Helper()
	built, err := All(o)
	if err != nil {
		t.Fatal(err)
	}
	return built
}

func encode(t *testing.T, v any) []byte {
	t.Helper()
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	if err := e.Encode(v); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestDashboardsMatchGoldenFiles(t *testing.T) {
	for _, d := range all(t, options()) {
		golden.Compare(t, filepath.Join("testdata", d.Name+".json"), encode(t, d.Model))
	}
	first := encode(t, all(t, options()))
	for range 20 {
		if !bytes.Equal(first, encode(t, all(t, options()))) {
			t.Fatal("the same options give different dashboards")
		}
	}
}

// What people read must be there: a title, a description, a unit on every axis, a colour's origin.
func TestEveryPanelSaysWhatItShows(t *testing.T) {
	for _, b := range boards() {
		if b.title == "" || b.description == "" || len(b.panels) == 0 {
			t.Errorf("dashboard %s lacks a title, a description or panels", b.name)
		}
		if len(b.panels) > 16 {
			t.Errorf("dashboard %s has %d panels: few and clear ones are wanted", b.name, len(b.panels))
		}
		seen := map[string]bool{}
		for _, p := range b.panels {
			at := b.name + "/" + p.title
			if p.title == "" || p.about == "" || len(p.queries) == 0 || p.width == 0 || p.width > 24 || p.height == 0 {
				t.Errorf("%s lacks a title, a description, a query or a size", at)
			}
			if seen[p.title] {
				t.Errorf("%s: two panels have this title", at)
			}
			seen[p.title] = true
			if p.kind == kindGraph && p.unit == "" {
				t.Errorf("%s: the axis has no unit", at)
			}
			if len(p.limits) > 1 && p.states == nil && !regexp.MustCompile(`threshold|[Rr]ed from|[Ff]rom [0-9]|Anything above|Share of the nodes|[Dd]own|not closed|not scheduled`).MatchString(p.about) {
				t.Errorf("%s: the description does not say where the colours come from", at)
			}
			if p.kind == kindLogs && strings.Contains(p.queries[0].expr, "{"+eventStream) && !strings.Contains(p.queries[0].expr, ofWhat) {
				t.Errorf("%s: an event's message alone does not say what it is about", at)
			}
		}
	}
}

// What a panel without data shows is the reason why all may be well, and no cell of a table that has rows shows it.
func TestAnEmptyPanelSaysWhyItMayBe(t *testing.T) {
	for _, b := range boards() {
		for _, p := range b.panels {
			drawn := p.render(options(), &sdk.GridPos{})
			if got := drawn.FieldConfig.Defaults.NoValue; p.kind != kindStat && p.mayBeEmpty != "" && (got == nil || !strings.Contains(*got, p.mayBeEmpty)) {
				t.Errorf("%s/%s is empty without a word", b.name, p.title)
			}
			if p.kind == kindTable && p.mayBeEmpty != "" && drawn.FieldConfig.Overrides[0].Properties[0] != (sdk.DynamicConfigValue{Id: "noValue", Value: ""}) {
				t.Errorf("%s/%s: cells without a value would show why a table may be empty", b.name, p.title)
			}
		}
	}
}

// Grafana takes a figure that is not there for minus infinity: it would have the colour of the first threshold, mostly
// green. And without thresholds it has its own, red from 80 on.
func TestAFigureThatIsNotThereIsGray(t *testing.T) {
	for _, b := range boards() {
		for _, p := range b.panels {
			if p.kind != kindStat {
				continue
			}
			drawn := p.render(options(), &sdk.GridPos{}).FieldConfig
			absent := slices.IndexFunc(drawn.Defaults.Mappings, func(m sdk.ValueMapping) bool {
				return m.SpecialValueMap != nil && m.SpecialValueMap.Options.Match == sdk.SpecialValueMatchNullAndNan
			})
			if absent < 0 {
				t.Errorf("%s/%s says nothing of a value that is not there", b.name, p.title)
				continue
			}
			if shown := drawn.Defaults.Mappings[absent].SpecialValueMap.Options.Result; *shown.Color != gray || *shown.Text == "" {
				t.Errorf("%s/%s shows %q in %s where there is no value", b.name, p.title, *shown.Text, *shown.Color)
			}
			for _, o := range drawn.Overrides {
				if slices.ContainsFunc(o.Properties, func(v sdk.DynamicConfigValue) bool { return v.Id == "mappings" }) {
					t.Errorf("%s/%s: a series has mappings of its own, without a word on a value that is not there", b.name, p.title)
				}
			}
			if drawn.Defaults.Thresholds == nil && p.states == nil {
				t.Errorf("%s/%s is coloured by Grafana's own thresholds", b.name, p.title)
			}
			if strings.Contains(p.queries[0].expr, "vector(") {
				t.Errorf("%s/%s shows a figure even if nothing is measured: %s", b.name, p.title, p.queries[0].expr)
			}
		}
	}
}

func TestUIDsAreValidAndPanelsDoNotOverlap(t *testing.T) {
	valid := regexp.MustCompile(`^[a-zA-Z0-9_-]{1,40}$`) // Grafana's pkg/util.IsValidShortUID and its length limit
	for _, d := range all(t, options()) {
		if !valid.MatchString(d.UID) || d.Model["uid"] != d.UID {
			t.Errorf("UID %q of %s", d.UID, d.Name)
		}
		taken := map[string]bool{}
		ids := map[any]bool{}
		for _, p := range d.Model["panels"].([]any) {
			panel := p.(map[string]any)
			if ids[panel["id"]] {
				t.Errorf("%s: panel id %v is there twice", d.Name, panel["id"])
			}
			ids[panel["id"]] = true
			pos := panel["gridPos"].(map[string]any)
			for x := range int(pos["w"].(float64)) {
				for y := range int(pos["h"].(float64)) {
					cell := fmt.Sprint(int(pos["x"].(float64))+x, ",", int(pos["y"].(float64))+y)
					if taken[cell] || int(pos["x"].(float64))+x >= 24 {
						t.Fatalf("%s: panel %v overlaps another or the edge at %s", d.Name, panel["title"], cell)
					}
					taken[cell] = true
				}
			}
		}
	}
}

func TestWithoutAStoreItsPanelsAreLeftOut(t *testing.T) {
	o := options()
	o.Stores = []Store{Prometheus}
	for _, d := range all(t, o) {
		if d.Name == "logs" || d.Name == "events" {
			t.Errorf("the dashboard %s is there without Loki", d.Name)
		}
		if text := string(encode(t, d.Model)); strings.Contains(text, o.UID("loki")) || strings.Contains(text, o.UID("jaeger")) || strings.Contains(text, o.UID("logs")) {
			t.Errorf("%s names a store or dashboard that there is not", d.Name)
		}
	}
	for _, q := range Queries(o, sample()) {
		if q.Store != Prometheus {
			t.Errorf("%s/%s asks %s", q.Dashboard, q.Panel, q.Store)
		}
	}
}

// What KubeBot sends itself, to prove that signals flow, is among neither the services nor the lines.
func TestProofsOfFlowAreNotShown(t *testing.T) {
	for _, b := range boards() {
		for _, v := range b.variables {
			if v.label == "service_name" && !strings.Contains(v.series, `service_name!="`+endpoints.ProofService+`"`) {
				t.Errorf("%s: the services of %s are those of %s", b.name, v.name, v.series)
			}
		}
		for _, p := range b.panels {
			for _, q := range p.queries {
				chosen := strings.Contains(q.expr, eventStream) || strings.Contains(q.expr, `service_name="$service"`)
				if p.store == Loki && !chosen && !strings.Contains(q.expr, endpoints.ProofService) {
					t.Errorf("%s/%s shows the lines that prove that logs flow: %s", b.name, p.title, q.expr)
				}
			}
		}
	}
}

// A query may only use variables that its dashboard has, and after replacing none is left.
func TestQueriesUseTheirDashboardsVariables(t *testing.T) {
	used := regexp.MustCompile(`\$\{?([a-z_]+)`)
	for _, b := range boards() {
		for _, p := range b.panels {
			for _, q := range p.queries {
				for _, m := range used.FindAllStringSubmatch(q.expr, -1) {
					if !strings.HasPrefix(m[1], "__") && !slices.ContainsFunc(b.variables, func(v variable) bool { return v.name == m[1] }) {
						t.Errorf("%s/%s uses $%s, which the dashboard has not", b.name, p.title, m[1])
					}
				}
			}
		}
	}
	for _, q := range Queries(options(), sample()) {
		left := strings.ReplaceAll(q.Expr, `"$1"`, "")
		if strings.Contains(left, "$") {
			t.Errorf("%s/%s: a variable is left in %s", q.Dashboard, q.Panel, q.Expr)
		}
	}
}

// Of a long range a graph shows a point every few minutes: what falls between two windows of fixed length is in neither.
func TestGraphsCountAllOfALongRange(t *testing.T) {
	for _, b := range boards() {
		for _, p := range b.panels {
			for _, q := range p.queries {
				if p.kind == kindGraph && regexp.MustCompile(`\[[0-9]+[sm]\]`).MatchString(q.expr) {
					t.Errorf("%s/%s counts less than the hours that may be between two points: %s", b.name, p.title, q.expr)
				}
			}
		}
	}
}
