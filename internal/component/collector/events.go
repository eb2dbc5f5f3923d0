package collector

import (
	"fmt"
	"time"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/component/otelcol"
	"github.com/kubebot/kubebot/internal/endpoints"
)

// eventConfig watches the cluster's events. A new process first reads all that there are, so that what happened between
// two is not missed; what Loki has already it tells by the same time, line and attributes, of which the time of observation
// must be none. The watch waits until an event is taken. It begins at a second list, which is read and not sent
// (k8sobjectsreceiver 0.145): an event that comes between the two lists is missed unless it is counted up later.
func eventConfig(in component.Input) otelcol.Config {
	kb := in.KubeBot
	c := otelcol.Base()
	c.Processors[idCluster] = clusterName(in)
	c.Receivers[idEvents] = k8sObjects{
		AuthType: "serviceAccount", IncludeInitialState: true,
		// An event that is deleted, an hour after it happened, is no event.
		Objects: []k8sObject{{Name: "events", Group: "events.k8s.io", Mode: "watch", ExcludeWatchType: []string{"DELETED"}}},
	}
	c.Processors[idMapEvents] = otelcol.Transform{ErrorMode: "ignore", LogStatements: eventStatements()}
	c.Processors[idOldEvents] = otelcol.Filter{ErrorMode: "ignore", Logs: otelcol.FilterLogs{LogRecord: []string{
		fmt.Sprintf(`log.observed_time - log.time > Duration(%q)`, eventAge(kb)),
	}}}
	c.Processors[idObserved] = otelcol.Transform{ErrorMode: "ignore", LogStatements: []string{`set(log.observed_time_unix_nano, 0)`}}
	c.Exporters[idSendEvents] = samplersExporter(kb, 0)
	c.Service.Pipelines["logs/events"] = otelcol.Pipeline{
		Receivers:  []string{idEvents},
		Processors: []string{idMapEvents, idOldEvents, idObserved, idCluster},
		Exporters:  []string{idSendEvents},
	}
	return c
}

// eventAge is the age up to which an event is taken.
func eventAge(kb *v1alpha1.KubeBot) time.Duration {
	if kb.Spec.Logs.Loki.Mode == v1alpha1.ModeExternal {
		return oldEventOutside
	}
	return oldEvent
}

// eventStatements map an event to a log record. Names of attributes are those of the semantic conventions, as far as they
// go (https://opentelemetry.io/docs/specs/semconv/registry/attributes/k8s/).
//
// Most events tell their time in whole seconds. The hash of the event's UID fills the rest of the second, always the same
// for the same event: two of the same text are then told apart from one that comes again.
func eventStatements() []string {
	statements := []string{
		`set(log.cache["object"], log.body["object"])`,
		`set(log.cache["regarding"], log.cache["object"]["regarding"])`,
		`set(resource.attributes["service.name"], "` + endpoints.EventsService + `")`,
		`set(log.time, Time(log.cache["object"]["metadata"]["creationTimestamp"], "%Y-%m-%dT%H:%M:%SZ"))`,
		`set(log.time, Time(log.cache["object"]["deprecatedLastTimestamp"], "%Y-%m-%dT%H:%M:%SZ")) where log.cache["object"]["deprecatedLastTimestamp"] != nil`,
		`set(log.time, Time(log.cache["object"]["eventTime"], "%Y-%m-%dT%H:%M:%S.%fZ")) where log.cache["object"]["eventTime"] != nil`,
		`set(log.time, Time(log.cache["object"]["series"]["lastObservedTime"], "%Y-%m-%dT%H:%M:%S.%fZ")) where log.cache["object"]["series"]["lastObservedTime"] != nil`,
		`set(log.cache["hash"], FNV(log.cache["object"]["metadata"]["uid"]))`,
		`set(log.cache["part"], log.cache["hash"] - (log.cache["hash"] / 1000000000) * 1000000000)`,
		`set(log.cache["part"], log.cache["part"] + 1000000000) where log.cache["part"] < 0`,
		`set(log.time_unix_nano, log.time_unix_nano + log.cache["part"]) where log.time_unix_nano - (log.time_unix_nano / 1000000000) * 1000000000 == 0`,
		`set(log.severity_text, log.cache["object"]["type"])`,
		`set(log.severity_number, SEVERITY_NUMBER_INFO)`,
		`set(log.severity_number, SEVERITY_NUMBER_WARN) where log.severity_text == "Warning"`,
		`delete_matching_keys(log.attributes, ".*")`,
	}
	for _, a := range [][2]string{
		{"k8s.event.reason", `["reason"]`},
		{"k8s.event.action", `["action"]`},
		{"k8s.event.name", `["metadata"]["name"]`},
		{"k8s.event.uid", `["metadata"]["uid"]`},
		{"k8s.event.count", `["deprecatedCount"]`},
		{"k8s.event.reporter", `["reportingController"]`},
		{"k8s.object.kind", `["regarding"]["kind"]`},
		{"k8s.object.name", `["regarding"]["name"]`},
		{"k8s.object.namespace", `["regarding"]["namespace"]`},
		{"k8s.object.uid", `["regarding"]["uid"]`},
		{"k8s.object.api_version", `["regarding"]["apiVersion"]`},
		{"k8s.object.fieldpath", `["regarding"]["fieldPath"]`},
		{"k8s.node.name", `["deprecatedSource"]["host"]`},
	} {
		statements = append(statements,
			fmt.Sprintf(`set(log.attributes[%q], log.cache["object"]%s) where log.cache["object"]%s != nil and log.cache["object"]%s != ""`,
				a[0], a[1], a[1], a[1]))
	}
	return append(statements,
		`set(log.attributes["k8s.event.count"], log.cache["object"]["series"]["count"]) where log.cache["object"]["series"]["count"] != nil`,
		`set(log.attributes["k8s.pod.name"], log.cache["regarding"]["name"]) where log.cache["regarding"]["kind"] == "Pod"`,
		`set(log.attributes["k8s.node.name"], log.cache["regarding"]["name"]) where log.cache["regarding"]["kind"] == "Node"`,
		`set(log.body, log.cache["object"]["note"])`,
		`set(log.body, log.attributes["k8s.event.reason"]) where log.body == nil or log.body == ""`,
	)
}
