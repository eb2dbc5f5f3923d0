package dashboards

import (
	"fmt"

	"github.com/grafana/grafana-foundation-sdk/go/cog/variants"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	sdk "github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/loki"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
)

// logLines is how many lines a panel of logs asks for.
const logLines = 200

// traceCount is how many traces a panel lists.
const traceCount = 20

// target writes a query in the data source's own form.
func (p panel) target(source common.DataSourceRef, ref string, q query) variants.Dataquery {
	switch p.store {
	case Loki:
		return p.lokiTarget(source, ref, q)
	case Jaeger:
		return variants.UnknownDataquery{
			"refId": ref, "datasource": source, "queryType": "search", "service": q.expr, "limit": traceCount,
		}
	}
	out := prometheus.Dataquery{
		Expr: q.expr, RefId: &ref, Datasource: &source, EditorMode: new(prometheus.QueryEditorModeCode), LegendFormat: new(legend(q)),
	}
	switch p.kind {
	case kindGraph:
		out.Range, out.Instant = new(true), new(false)
		if q.exemplars {
			out.Exemplar = new(true)
		}
	case kindTable, kindMap:
		out.Range, out.Instant, out.Format = new(false), new(true), new(prometheus.PromQueryFormatTable)
	default:
		out.Range, out.Instant = new(false), new(true)
	}
	return out
}

func legend(q query) string {
	if q.legend == "" {
		return "__auto"
	}
	return q.legend
}

func (p panel) lokiTarget(source common.DataSourceRef, ref string, q query) loki.Dataquery {
	out := loki.Dataquery{Expr: q.expr, RefId: &ref, Datasource: &source, EditorMode: new(loki.QueryEditorModeCode), QueryType: new("range")}
	switch p.kind {
	case kindLogs:
		out.MaxLines = new(int64(logLines))
	case kindGraph:
		out.LegendFormat = new(q.legend)
	default:
		out.QueryType, out.LegendFormat = new("instant"), new(q.legend)
	}
	return out
}

// arrange makes one table of the queries: a row per set of labels, the columns that are named in their order.
func (p panel) arrange(o Options, out *sdk.Panel) {
	if p.store != Prometheus {
		return // Jaeger's data source arranges its own table, with links to the traces
	}
	if p.mayBeEmpty != "" {
		// What the whole table says when it is empty is not for the cells of those that are not.
		out.FieldConfig.Overrides = append(out.FieldConfig.Overrides, sdk.DashboardFieldConfigSourceOverrides{
			Matcher: sdk.MatcherConfig{Id: "byRegexp", Options: ".*"}, Properties: []sdk.DynamicConfigValue{{Id: "noValue", Value: ""}},
		})
	}
	renamed, order := map[string]string{}, map[string]int{}
	var kept []string
	for i, c := range p.columns {
		renamed[c.field], order[c.field] = c.title, i
		kept = append(kept, c.field)
		out.FieldConfig.Overrides = append(out.FieldConfig.Overrides, c.override(o, true))
	}
	out.Transformations = []sdk.DataTransformerConfig{
		{Id: "merge", Options: map[string]any{}},
		{Id: "filterFieldsByName", Options: map[string]any{"include": map[string]any{"names": kept}}},
		{Id: "organize", Options: map[string]any{"indexByName": order, "renameByName": renamed, "excludeByName": map[string]any{}}},
	}
}

func (c column) override(o Options, cell bool) sdk.DashboardFieldConfigSourceOverrides {
	out := sdk.DashboardFieldConfigSourceOverrides{
		Matcher: sdk.MatcherConfig{Id: "byName", Options: c.title}, Properties: []sdk.DynamicConfigValue{},
	}
	set := func(id string, value any) {
		out.Properties = append(out.Properties, sdk.DynamicConfigValue{Id: id, Value: value})
	}
	if c.unit != "" {
		set("unit", c.unit)
	}
	if c.whole {
		set("decimals", 0)
	}
	if len(c.limits) > 0 {
		set("thresholds", steps(c.limits))
	}
	if len(c.states) > 0 {
		set("mappings", mappings(c.states))
	}
	if (len(c.limits) > 0 || len(c.states) > 0) && cell {
		set("custom.cellOptions", map[string]any{"type": "color-text"})
	}
	if c.color != "" {
		set("color", map[string]any{"mode": "fixed", "fixedColor": c.color})
	}
	if l := links(o, c.to); len(l) > 0 {
		set("links", l)
	}
	return out
}

// connect names the fields of a table of calls as the node graph wants them: its edges have id, source and target
// (https://grafana.com/docs/grafana/latest/panels-visualizations/visualizations/node-graph/#edges-data-frame-structure).
func (p panel) connect(out *sdk.Panel) {
	value := "Value"
	if len(p.queries) > 1 {
		value = fmt.Sprintf("Value #%s", "A")
	}
	out.Transformations = []sdk.DataTransformerConfig{{Id: "organize", Options: map[string]any{
		"excludeByName": map[string]any{"Time": true},
		"indexByName":   map[string]any{},
		"renameByName":  map[string]any{value: "mainstat"},
	}}}
}
