package dashboards

import (
	"slices"
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/common"
	sdk "github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

// refresh is how often an open dashboard asks anew: the interval of scrapes is 15 s.
const refresh = "30s"

// render makes the dashboard of the panels that are shown.
func (b board) render(o Options, panels []panel) (sdk.Dashboard, error) {
	tags := []string{Tag}
	if b.name == Home {
		tags = append(tags, TagHome)
	}
	d := sdk.NewDashboardBuilder(b.title).Uid(o.UID(b.name)).Description(b.description).Tags(tags).
		Refresh(refresh).Time("now-1h", "now").Timezone("browser").Tooltip(sdk.DashboardCursorSyncCrosshair).Editable().
		WithVariable(clusterVariable(o))
	for _, v := range b.variables {
		d = d.WithVariable(v.builder(o))
	}
	for _, l := range b.navigation(o) {
		d = d.Link(l)
	}
	built, err := d.Build()
	if err != nil {
		return sdk.Dashboard{}, err
	}
	var at place
	for i, p := range panels {
		rendered := p.render(o, at.next(p))
		rendered.Id = new(uint32(i + 1))
		built.Panels = append(built.Panels, sdk.PanelOrRowPanel{Panel: &rendered})
	}
	return built, nil
}

// place is where the next panel goes.
type place struct{ x, y, rowHeight uint32 }

func (at *place) next(p panel) *sdk.GridPos {
	if at.x+p.width > 24 {
		at.x, at.y, at.rowHeight = 0, at.y+at.rowHeight, 0
	}
	pos := &sdk.GridPos{X: at.x, Y: at.y, W: p.width, H: p.height}
	at.x += p.width
	at.rowHeight = max(at.rowHeight, p.height)
	return pos
}

// clusterVariable says which cluster the dashboard tells of: its data sources are that cluster's. The dashboards of
// other clusters in the same Grafana are behind the link Clusters.
func clusterVariable(o Options) *sdk.CustomVariableBuilder {
	value := sdk.StringOrArrayOfString{String: &o.ClusterName}
	option := sdk.VariableOption{Selected: new(true), Text: value, Value: value}
	return sdk.NewCustomVariableBuilder("cluster").Label("Cluster").Values(sdk.StringOrMap{String: &o.ClusterName}).
		Current(option).Options([]sdk.VariableOption{option}).AllowCustomValue(false)
}

type variableBuilder interface {
	Build() (sdk.VariableModel, error)
}

func (v variable) builder(o Options) variableBuilder {
	if v.label == "" {
		return sdk.NewTextBoxVariableBuilder(v.name).Label(v.title).DefaultValue(sdk.StringOrMap{String: new("")})
	}
	text := "label_values(" + v.series + ", " + v.label + ")"
	q := sdk.NewQueryVariableBuilder(v.name).Label(v.title).Datasource(o.source(Prometheus)).Definition(text).
		Query(sdk.StringOrMap{Map: map[string]any{"query": text, "refId": v.name, "qryType": 1}}).
		Refresh(sdk.VariableRefreshOnTimeRangeChanged).Sort(sdk.VariableSortAlphabeticalAsc)
	if v.all {
		// Who types All and presses Enter would choose a namespace of that name.
		q = q.IncludeAll(true).AllValue(".+").AllowCustomValue(false).Current(sdk.VariableOption{
			Text: sdk.StringOrArrayOfString{String: new("All")}, Value: sdk.StringOrArrayOfString{String: new("$__all")},
		})
	}
	return q
}

// source names the data source of a store.
func (o Options) source(s Store) common.DataSourceRef {
	return common.DataSourceRef{Type: new(string(s)), Uid: new(o.UID(string(s)))}
}

// navigation is the links above the panels.
func (b board) navigation(o Options) []*sdk.DashboardLinkBuilder {
	var links []*sdk.DashboardLinkBuilder
	for _, name := range b.links {
		i := slices.IndexFunc(boards(), func(other board) bool { return other.name == name })
		if other := boards()[i]; len(other.shown(o)) > 0 {
			links = append(links, sdk.NewDashboardLinkBuilder(other.title).Type(sdk.DashboardLinkTypeLink).Icon("dashboard").
				Url("/d/"+o.UID(name)).IncludeVars(b.hands(other)).KeepTime(true))
		}
	}
	return append(links,
		sdk.NewDashboardLinkBuilder("Dashboards").Type(sdk.DashboardLinkTypeDashboards).Tags([]string{Tag}).AsDropdown(true).KeepTime(true),
		sdk.NewDashboardLinkBuilder("Clusters").Type(sdk.DashboardLinkTypeDashboards).Tags([]string{TagHome}).AsDropdown(true).KeepTime(true))
}

// hands tells whether another dashboard can take the choices of this one: where one namespace must be chosen, All is none.
func (b board) hands(other board) bool {
	return !slices.ContainsFunc(b.variables, func(v variable) bool {
		return v.all && slices.ContainsFunc(other.variables, func(o variable) bool { return o.name == v.name && !o.all })
	})
}

func (p panel) render(o Options, at *sdk.GridPos) sdk.Panel {
	source := o.source(p.store)
	out := sdk.Panel{
		Type: string(p.kind), Title: &p.title, Description: &p.about, Datasource: &source, GridPos: at,
		FieldConfig: &sdk.FieldConfigSource{Defaults: p.field(o), Overrides: []sdk.DashboardFieldConfigSourceOverrides{}},
		Options:     p.options(),
	}
	if p.kind == kindLogs {
		out.Links = links(o, p.to)
	}
	for i, q := range p.queries {
		out.Targets = append(out.Targets, p.target(source, string(rune('A'+i)), q))
	}
	for _, c := range p.series {
		out.FieldConfig.Overrides = append(out.FieldConfig.Overrides, c.override(o, false))
	}
	if p.store == Loki && p.kind == kindGraph {
		out.Interval = new("15s")
	}
	switch p.kind {
	case kindTable:
		p.arrange(o, &out)
	case kindMap:
		p.connect(&out)
	}
	return out
}

func (p panel) field(o Options) sdk.FieldConfig {
	f := sdk.FieldConfig{Mappings: mappings(p.states)}
	if p.kind == kindStat {
		f.Mappings = append(f.Mappings, p.absent())
	}
	if p.kind != kindLogs {
		f.Links = links(o, p.to)
	}
	if p.unit != "" {
		f.Unit = &p.unit
	}
	if len(p.limits) > 0 {
		f.Thresholds = steps(p.limits)
	}
	if p.kind == kindGraph || p.full {
		f.Min = new(0.0)
	}
	if p.full {
		f.Max = new(1.0)
	}
	if p.whole {
		f.Decimals = new(0.0)
	}
	if p.kind != kindStat && p.mayBeEmpty != "" {
		f.NoValue = new("Empty: " + p.mayBeEmpty)
	}
	if p.kind == kindGraph {
		f.Custom = p.strokes()
	}
	return f
}

func (p panel) strokes() map[string]any {
	strokes := map[string]any{"drawStyle": "line", "lineWidth": 1, "fillOpacity": 8, "showPoints": "never", "spanNulls": 60000}
	if p.stacked {
		strokes["stacking"] = map[string]any{"mode": "normal", "group": "A"}
		strokes["fillOpacity"] = 30
	}
	if len(p.limits) > 0 {
		strokes["thresholdsStyle"] = map[string]any{"mode": "dashed"}
	}
	strokes["axisSoftMax"] = p.least()
	return strokes
}

// least is up to where the axis goes at least: one of nothing but zeros would go up to 100, whatever the unit.
func (p panel) least() float64 {
	if n := len(p.limits); n > 0 && p.limits[n-1].color == red && p.unit == "percentunit" {
		return p.limits[n-1].from * 1.25
	}
	switch {
	case p.whole:
		return 4
	case p.unit == "percentunit":
		return 1
	case p.unit == "bytes", p.unit == "Bps":
		return 1000
	case p.unit == "s":
		return 0.01
	}
	return 0.1
}

func steps(limits []limit) *sdk.ThresholdsConfig {
	out := &sdk.ThresholdsConfig{Mode: sdk.ThresholdsModeAbsolute}
	for i, l := range limits {
		step := sdk.Threshold{Color: l.color, Value: new(l.from)}
		if i == 0 {
			step.Value = nil // from minus infinity on
		}
		out.Steps = append(out.Steps, step)
	}
	return out
}

func mappings(states map[string]state) []sdk.ValueMapping {
	if len(states) == 0 {
		return nil
	}
	options := map[string]sdk.ValueMappingResult{}
	for value, s := range states {
		options[value] = sdk.ValueMappingResult{Text: &s.text, Color: &s.color}
	}
	return []sdk.ValueMapping{{ValueMap: &sdk.ValueMap{Type: "value", Options: options}}}
}

// absent is what a figure that is not there looks like. Without it Grafana takes no value for minus infinity, and gives it
// the colour of the first threshold: green where small values are good.
func (p panel) absent() sdk.ValueMapping {
	text := "no data"
	if p.mayBeEmpty != "" {
		text = "–"
	}
	return sdk.ValueMapping{SpecialValueMap: &sdk.SpecialValueMap{Type: sdk.MappingTypeSpecialValue, Options: sdk.DashboardSpecialValueMapOptions{
		Match: sdk.SpecialValueMatchNullAndNan, Result: sdk.ValueMappingResult{Text: &text, Color: new(gray)},
	}}}
}

func links(o Options, targets []target) []sdk.DashboardLink {
	var out []sdk.DashboardLink
	for _, t := range targets {
		i := slices.IndexFunc(boards(), func(b board) bool { return b.name == t.board })
		if len(boards()[i].shown(o)) == 0 {
			continue
		}
		address := "/d/" + o.UID(t.board) + "?${__url_time_range}"
		if t.with != "" {
			address += "&" + t.with
		}
		out = append(out, sdk.DashboardLink{Title: t.title, Type: sdk.DashboardLinkTypeLink, Url: &address, Tags: []string{}})
	}
	return out
}

func (p panel) options() map[string]any {
	switch p.kind {
	case kindGraph:
		legend := map[string]any{"displayMode": "list", "placement": "bottom", "showLegend": len(p.queries) > 1 || strings.Contains(p.queries[0].legend, "{{")}
		return map[string]any{"legend": legend, "tooltip": map[string]any{"mode": "multi", "sort": "desc"}}
	case kindStat:
		return map[string]any{
			"colorMode": "background", "graphMode": "none", "justifyMode": "auto", "orientation": "auto", "textMode": "auto",
			"wideLayout": true, "reduceOptions": map[string]any{"calcs": []string{"lastNotNull"}, "fields": "", "values": false},
		}
	case kindTable:
		return map[string]any{"showHeader": true, "cellHeight": "sm"}
	case kindLogs:
		return map[string]any{
			"showTime": true, "wrapLogMessage": true, "enableLogDetails": true, "prettifyLogMessage": false, "showLabels": false,
			"showCommonLabels": false, "sortOrder": "Descending", "dedupStrategy": "none",
		}
	}
	return map[string]any{"nodes": map[string]any{}, "edges": map[string]any{"mainStatUnit": p.unit}}
}
