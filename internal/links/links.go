// Package links makes the addresses under which people see in Grafana what KubeBot tells of.
package links

import (
	"encoding/json"
	"fmt"
	"net/url"
	"time"
)

// Before is how much of the time before an incident links show.
const Before = 30 * time.Minute

// Grafana is where people open KubeBot's dashboards.
type Grafana struct {
	// URL is the address under which people open Grafana; empty for no links.
	URL string
	// Prefix begins the UIDs of KubeBot's dashboards and data sources there.
	Prefix string
}

// Window is the time that a link shows. From is the last hour, and To now, where they are zero.
type Window struct{ From, To time.Time }

func (w Window) values() (from, to string) {
	from, to = "now-1h", "now"
	if !w.From.IsZero() {
		from = fmt.Sprint(w.From.UnixMilli())
	}
	if !w.To.IsZero() {
		to = fmt.Sprint(w.To.UnixMilli())
	}
	return from, to
}

// Home leads to the first dashboard. Like the other links it is empty where people can't open Grafana.
func (g Grafana) Home(w Window) string { return g.dashboard("home", w, nil) }

// Workload leads to the dashboard of a workload, with its logs and events.
func (g Grafana) Workload(namespace, name string, w Window) string {
	return g.dashboard("workload", w, url.Values{"var-namespace": {namespace}, "var-workload": {name}})
}

// Service leads to the dashboard of a service that telemetry knows.
func (g Grafana) Service(name string, w Window) string {
	return g.dashboard("service", w, url.Values{"var-service": {name}})
}

// Node leads to the dashboard of a node.
func (g Grafana) Node(name string, w Window) string {
	return g.dashboard("node", w, url.Values{"var-node": {name}})
}

// Traces leads to the traces of a service in Grafana's explorer.
func (g Grafana) Traces(service string, w Window) string {
	from, to := w.values()
	source := map[string]string{"type": "jaeger", "uid": g.Prefix + "jaeger"}
	panes, err := json.Marshal(map[string]any{"kubebot": map[string]any{
		"datasource": source["uid"], "range": map[string]string{"from": from, "to": to},
		"queries": []any{map[string]any{"refId": "A", "datasource": source, "queryType": "search", "service": service}},
	}})
	if err != nil {
		return "" // only strings are in it
	}
	return g.address(url.Values{"schemaVersion": {"1"}, "panes": {string(panes)}}, "explore")
}

func (g Grafana) dashboard(name string, w Window, variables url.Values) string {
	from, to := w.values()
	query := url.Values{"from": {from}, "to": {to}}
	for k, v := range variables {
		query[k] = v
	}
	return g.address(query, "d", g.Prefix+name)
}

func (g Grafana) address(query url.Values, path ...string) string {
	base, err := url.Parse(g.URL)
	if err != nil || base.Scheme != "https" && base.Scheme != "http" || base.Host == "" {
		return ""
	}
	out := base.JoinPath(path...)
	out.RawQuery = query.Encode()
	return out.String()
}
