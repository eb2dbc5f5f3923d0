package dashboards

// labelWorkload is what ofWorkload adds to an event about a workload, or about a pod, ReplicaSet or Job of one: the values of
// the variables of that workload's dashboard, because a link of a line can have one value alone.
const labelWorkload = "object_workload"

// ofWorkload finds an event's workload by the names that Kubernetes' controllers give what they make: a Deployment's
// ReplicaSets end in a hash (k8s.io/apimachinery/pkg/util/rand.SafeEncodeString), a CronJob's Jobs in minutes, the pods of
// all of them in five characters (rand.String of the same package), those of a StatefulSet in a number. Of a long name the API
// server cuts what comes before the five characters, the dash at least.
const ofWorkload = " | label_format " + labelWorkload + "=`" +
	`{{if eq .k8s_object_kind "Pod"}}` + variables +
	`{{regexReplaceAll "((-` + hash + `|-[0-9]{8})?-` + random + `|-[0-9]+|-` + cut + `)\\z" .k8s_object_name ""}}` +
	`{{else if eq .k8s_object_kind "ReplicaSet"}}` + variables + `{{regexReplaceAll "-` + hash + `\\z" .k8s_object_name ""}}` +
	`{{else if eq .k8s_object_kind "Job"}}` + variables + `{{regexReplaceAll "-[0-9]{8}\\z" .k8s_object_name ""}}` +
	`{{else if eq .k8s_object_kind "Deployment" "StatefulSet" "DaemonSet" "CronJob"}}` + variables + `{{.k8s_object_name}}{{end}}` + "`"

const (
	hash      = `[bcdf-hj-np-tv-xz2-9]{6,10}`
	random    = `[bcdf-hj-np-tv-xz2-9]{5}`
	cut       = `[bcdf-hj-np-tv-xz2-9]{6,15}`
	variables = `{{.k8s_object_namespace}}&var-workload=`
)

// podOfWorkload matches the pods of the workload that is chosen, by the same names; between a Job's name and the five
// characters may be an index. A pod without a controller is a workload itself.
const podOfWorkload = `${workload:regex}((-` + hash + `|-[0-9]+)?-` + random + `|-[0-9]+|-` + cut + `)?`

// What keeps, after ofWhat, the events of one workload or service: those of its object, and those that are found to be its.
const (
	aboutWorkload = " | " + labelWorkload + "=`$namespace&var-workload=$workload` or k8s_object_name=`$workload`"
	aboutService  = " | " + labelWorkload + "=~`.+&var-workload=${service:regex}` or k8s_object_name=`$service`"
)

func logsBoard() board {
	const lines = `{` + lineStream + `}`
	return board{
		name: "logs", title: "KubeBot: logs", description: "What pods write: how much, how bad, and the lines themselves.",
		variables: []variable{varNamespaces, varSearch}, links: []string{Home, "events", "service"},
		panels: []panel{
			{title: "Lines by severity", about: "Lines per second, as Loki detects their severity.",
				kind: kindGraph, store: Loki, unit: "cps", stacked: true, series: levels, width: 12, height: 8,
				queries: []query{{expr: "sum by (detected_level) (rate(" + lines + " |= `$search` [$__auto]))", legend: "{{detected_level}}"}}},
			{title: "Lines by service", about: "Lines per second.", kind: kindGraph, store: Loki, unit: "cps", stacked: true, width: 12, height: 8,
				queries: []query{{expr: "sum by (service_name) (rate(" + lines + " |= `$search` [$__auto]))", legend: "{{service_name}}"}},
				to:      []target{toService}},
			{title: "Error lines by service", about: "Lines per second of severity error or worse.",
				kind: kindGraph, store: Loki, unit: "cps", stacked: true, width: 12, height: 7,
				queries: []query{{
					expr:   "sum by (service_name) (rate(" + lines + " |= `$search` | " + badLevels + " [$__auto]))",
					legend: "{{service_name}}",
				}},
				mayBeEmpty: noTrouble, to: []target{toService}},
			{title: "Bytes by namespace", about: "Bytes per second that Loki takes.",
				kind: kindGraph, store: Loki, unit: "Bps", stacked: true, width: 12, height: 7,
				queries: []query{{expr: "sum by (k8s_namespace_name) (bytes_rate(" + lines + " [$__auto]))", legend: "{{k8s_namespace_name}}"}}},
			{title: "Lines", about: "The latest lines that contain the text above. A line's trace id leads to its trace.",
				kind: kindLogs, store: Loki, width: 24, height: 16,
				queries: []query{{expr: lines + " |= `$search`" + ofWhom}}},
		},
	}
}

func eventsBoard() board {
	// Events of nodes and other objects without a namespace are there with every choice.
	const all = `{` + eventStream + "} |= `$search` | k8s_object_namespace=~`($namespace)?`"
	const warnings = all + " | severity_text=`Warning`"
	return board{
		name: "events", title: "KubeBot: events", description: "Every event of the cluster, kept as long as the logs.",
		variables: []variable{varNamespaces, varSearch}, links: []string{Home, "logs", "namespace"},
		panels: []panel{
			{title: "Events by severity", about: "Events per minute.",
				kind: kindGraph, store: Loki, unit: "cpm", stacked: true, series: levels, width: 12, height: 8,
				queries: []query{{expr: `sum by (severity_text) (rate(` + all + ` [$__auto])) * 60`, legend: "{{severity_text}}"}}},
			{title: "Warnings by reason", about: "Events of type Warning per minute.",
				kind: kindGraph, store: Loki, unit: "cpm", stacked: true, width: 12, height: 8,
				queries:    []query{{expr: `sum by (k8s_event_reason) (rate(` + warnings + ` [$__auto])) * 60`, legend: "{{k8s_event_reason}}"}},
				mayBeEmpty: noTrouble},
			{title: "Warnings", about: "The latest events of type Warning.", kind: kindLogs, store: Loki, width: 24, height: 10,
				queries: []query{{expr: warnings + ofWhat}}, mayBeEmpty: noTrouble},
			{title: "All events", about: "The latest events.", kind: kindLogs, store: Loki, width: 24, height: 12,
				queries: []query{{expr: all + ofWhat}}, to: []target{toLogs}},
		},
	}
}
