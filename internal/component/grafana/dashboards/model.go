package dashboards

import "github.com/kubebot/kubebot/internal/endpoints"

// board is a dashboard.
type board struct {
	// name is the last part of the UID.
	name, title, description string
	variables                []variable
	panels                   []panel
	// links are to further dashboards, above the panels, with the variables that both have.
	links []string
}

// shown returns the panels whose store there is.
func (b board) shown(o Options) []panel {
	var out []panel
	for _, p := range b.panels {
		if o.has(p.store) {
			out = append(out, p)
		}
	}
	return out
}

// variable is a choice above the panels: the values of a label of Prometheus' series, or free text.
type variable struct {
	name, title string
	// series and label give the values; without label people type the value.
	series, label string
	// all offers every value at once.
	all bool
}

// Variables that several dashboards have. Those that offer all match with =~. What KubeBot sends to prove that signals flow
// is no service that anybody looks for.
var (
	varNamespaces = variable{name: "namespace", title: "Namespace", series: "kube_pod_info", label: "namespace", all: true}
	varNamespace  = variable{name: "namespace", title: "Namespace", series: "kube_pod_info", label: "namespace"}
	varWorkload   = variable{name: "workload", title: "Workload", series: `kubebot:pod:workload{namespace="$namespace"}`, label: "workload"}
	varNode       = variable{name: "node", title: "Node", series: "kube_node_info", label: "node"}
	varService    = variable{name: "service", title: "Service",
		series: `traces_span_metrics_calls_total{service_name!="` + endpoints.ProofService + `"}`, label: "service_name"}
	varSearch = variable{name: "search", title: "Contains"}
)

// kind is how a panel draws.
type kind string

const (
	kindGraph kind = "timeseries"
	kindStat  kind = "stat"
	kindTable kind = "table"
	kindLogs  kind = "logs"
	kindMap   kind = "nodeGraph"
)

// panel is one picture of a dashboard. Panels stand in the order of the list, from left to right.
type panel struct {
	title string
	// about is the panel's description: what it shows, and where its thresholds come from.
	about string
	kind  kind
	store Store
	// queries are PromQL, LogQL, or for Jaeger the service whose traces are listed.
	queries []query
	// unit is one of Grafana's unit identifiers.
	unit string
	// limits colour values from green on upwards.
	limits []limit
	// states name the values of a state.
	states map[string]state
	// full lets the scale go from zero to one (shares).
	full bool
	// whole values are numbers of things, so the axis has no ticks between them.
	whole bool
	// stacked adds series up.
	stacked bool
	// width of 24, height in rows of 30 pixels.
	width, height uint32
	// to are the dashboards that a click on a value leads to; of a panel of lines, which has no values, they are behind its
	// title.
	to []target
	// columns of a table, by the label or the letter of the query, in order; others are hidden.
	columns []column
	// series that look otherwise than the panel, by their legend.
	series []column
	// mayBeEmpty says why there may be no data although all is well.
	mayBeEmpty string
}

type query struct {
	expr   string
	legend string
	// exemplars shows traces as points.
	exemplars bool
}

// limit is a value from which a colour counts.
type limit struct {
	from  float64
	color string
}

// state is the text and colour of a value.
type state struct{ text, color string }

// target is a dashboard that a value leads to, with the variables that it is given.
type target struct {
	board, title string
	// with is the query part of the address, such as var-service=${__field.labels.service_name}.
	with string
}

// column of a table.
type column struct {
	// field is a label, or Value #A for the value of the first query.
	field, title, unit string
	// whole values are numbers of things.
	whole  bool
	limits []limit
	// states name the values of a state.
	states map[string]state
	// color of a series.
	color string
	to    []target
}

// Colours of Grafana's palette.
const (
	green  = "green"
	orange = "orange"
	red    = "red"
	blue   = "blue"
	gray   = "gray"
)

// above colours what is wrong from a value on.
func above(value float64) []limit { return []limit{{0, green}, {value, red}} }

// rising warns first.
func rising(warn, bad float64) []limit { return []limit{{0, green}, {warn, orange}, {bad, red}} }

// below colours what is wrong under a value.
func below(value float64) []limit { return []limit{{0, red}, {value, green}} }

var (
	upDown = map[string]state{"0": {"Down", red}, "1": {"Up", green}}
	yesNo  = map[string]state{"0": {"no", red}, "1": {"yes", green}}
)

// severities colour incidents: only a critical one is red.
var severities = []column{
	{title: "warning", limits: []limit{{0, green}, {1, orange}}}, {title: "info", limits: []limit{{0, green}, {1, blue}}},
}

// levels colour log lines and events by severity.
var levels = []column{
	{title: "error", color: red}, {title: "fatal", color: "dark-red"}, {title: "critical", color: "dark-red"},
	{title: "warn", color: orange}, {title: "info", color: green}, {title: "debug", color: blue}, {title: "trace", color: "light-blue"},
	{title: "unknown", color: gray}, {title: "Warning", color: orange}, {title: "Normal", color: green},
}
