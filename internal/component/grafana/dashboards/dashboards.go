// Package dashboards is KubeBot's Grafana dashboards as Go values: what each panel shows, from which store, in which
// unit, and where its thresholds come from. Everything here is pure; package internal/dashboards brings the result to
// Grafana.
package dashboards

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Tag is on every dashboard of KubeBot.
const Tag = "kubebot"

// TagHome is on home dashboards too: by it one finds those of the other clusters in the same Grafana.
const TagHome = "kubebot-home"

// Home is the name of the dashboard to begin with.
const Home = "home"

// Store is a data source that panels ask. Its value is also the last part of the data source's UID.
type Store string

// Stores.
const (
	Prometheus   Store = "prometheus"
	Loki         Store = "loki"
	Jaeger       Store = "jaeger"
	Alertmanager Store = "alertmanager"
)

// Options say for whom the dashboards are built.
type Options struct {
	// Prefix begins the UIDs of KubeBot's data sources and dashboards in a Grafana; it ends in a dash. Other UIDs are
	// other people's.
	Prefix string
	// ClusterName that the dashboards tell of.
	ClusterName string
	// ScrapeInterval is Prometheus', as it writes durations; Grafana asks for rates over at least four of it.
	ScrapeInterval string
	// Stores that there are. A panel of another store is left out, and so is a dashboard without panels.
	Stores []Store
}

// UID returns the UID of a dashboard or data source of KubeBot by its name.
func (o Options) UID(name string) string { return o.Prefix + name }

func (o Options) has(s Store) bool { return slices.Contains(o.Stores, s) }

// Dashboard is one that can be sent to Grafana.
type Dashboard struct {
	// Name within KubeBot, such as home.
	Name string
	// UID in Grafana.
	UID string
	// Model is the dashboard's JSON, decoded.
	Model map[string]any
}

// All returns every dashboard, the home dashboard first. The same options give the same dashboards.
func All(o Options) ([]Dashboard, error) {
	var out []Dashboard
	for _, b := range boards() {
		panels := b.shown(o)
		if len(panels) == 0 {
			continue
		}
		built, err := b.render(o, panels)
		if err != nil {
			return nil, fmt.Errorf("build the dashboard %s: %w", b.name, err)
		}
		model, err := plain(built)
		if err != nil {
			return nil, fmt.Errorf("encode the dashboard %s: %w", b.name, err)
		}
		out = append(out, Dashboard{Name: b.name, UID: o.UID(b.name), Model: model})
	}
	return out, nil
}

// plain turns a value into what its JSON decodes to.
func plain(v any) (map[string]any, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	var out map[string]any
	return out, json.Unmarshal(data, &out)
}

// Query is one question that a panel or a variable asks.
type Query struct {
	// Dashboard and Panel name who asks. Of a variable, Panel is "variable" and its name.
	Dashboard, Panel string
	// Store that is asked.
	Store Store
	// Expr is PromQL, LogQL or, for Jaeger, the name of a service, with variables replaced.
	Expr string
	// Values tells that a variable asks for the values of this label over the series of Expr; empty for panels.
	Values string
	// MayBeEmpty says why there may be no data although all is well; empty where there must be some.
	MayBeEmpty string
}

// Queries returns every query of every panel and variable, with the variables replaced by the given values. A variable
// without a value stays as it is written.
func Queries(o Options, values map[string]string) []Query {
	replace := replacer(values)
	var out []Query
	for _, b := range boards() {
		for _, v := range b.variables {
			if v.label != "" {
				out = append(out, Query{Dashboard: b.name, Panel: "variable " + v.name, Store: Prometheus, Expr: replace(v.series), Values: v.label})
			}
		}
		for _, p := range b.shown(o) {
			for _, q := range p.queries {
				out = append(out, Query{Dashboard: b.name, Panel: p.title, Store: p.store, Expr: replace(q.expr), MayBeEmpty: p.mayBeEmpty})
			}
		}
	}
	return out
}

// replacer replaces $name, ${name} and ${name:regex}, which is the value with what means something in a pattern escaped,
// the longest names first.
func replacer(values map[string]string) func(string) string {
	var names []string
	for name := range values {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return len(b) - len(a) })
	var pairs []string
	for _, name := range names {
		pairs = append(pairs, "${"+name+":regex}", regexp.QuoteMeta(values[name]), "${"+name+"}", values[name], "$"+name, values[name])
	}
	return strings.NewReplacer(pairs...).Replace
}
