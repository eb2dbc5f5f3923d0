package otelcol

import (
	"fmt"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
)

// What a collector process counts, by signal.
const (
	Spans        = "spans"
	LogRecords   = "log_records"
	MetricPoints = "metric_points"
)

var items = []string{Spans, LogRecords, MetricPoints}

const (
	// window of the failures that count, and of the standstill: several scrapes, so that one restart of a store is none.
	failureWindow = "5m"
	stillWindow   = "2m"
	// silentWindow is many proofs of flow, of which there is one of each signal a minute.
	silentWindow  = "15m"
	silentSeconds = 900
	watchedSince  = "10m"
	// tolerated is the share of failures that says nothing: a store may refuse a line that is too long.
	tolerated = "0.01"
)

// Failing returns a query for the exporters of a job, by label exporter, that lost more than a hundredth of what they
// were to send in the last minutes: refused for good by the store, or without room in the queue.
func Failing(job string) string {
	failed := sum("exporter", "increase", failureWindow, job, "otelcol_exporter_send_failed_%s_total", "otelcol_exporter_enqueue_failed_%s_total")
	return fmt.Sprintf("%s / (%s + %s) > %s", failed, failed, sum("exporter", "increase", failureWindow, job, "otelcol_exporter_sent_%s_total"), tolerated)
}

// Full returns a query for the exporters of a job, by label exporter, that had no room in the queue for more than a
// hundredth of what they were to send in the last minutes.
func Full(job string) string {
	full := sum("exporter", "increase", failureWindow, job, "otelcol_exporter_enqueue_failed_%s_total")
	return fmt.Sprintf("%s / (%s + %s) > %s", full, full, sum("exporter", "increase", failureWindow, job, "otelcol_exporter_sent_%s_total"), tolerated)
}

// Standing returns a query for the exporters of a job, by label exporter, in one of whose queues something waits while it
// sends nothing.
func Standing(job string) string {
	return fmt.Sprintf(`max by (exporter) ((min_over_time(otelcol_exporter_queue_size{job=%q}[%s]) > 0) unless on (pod, exporter) (%s > 0))`,
		job, stillWindow, sum("pod, exporter", "rate", stillWindow, job, "otelcol_exporter_sent_%s_total"))
}

// Refusing returns a query for the receivers of a job, by label receiver, that refused more than a hundredth of what they
// were sent in the last minutes.
func Refusing(job string) string {
	refused := sum("receiver", "increase", failureWindow, job, "otelcol_receiver_refused_%s_total", "otelcol_receiver_failed_%s_total")
	return fmt.Sprintf("%s / (%s + %s) > %s",
		refused, refused, sum("receiver", "increase", failureWindow, job, "otelcol_receiver_accepted_%s_total"), tolerated)
}

// Silent returns a query for those of the given items, by label item, of which a job got none for a quarter of an hour
// although it ran, and Prometheus watched it, ten minutes ago and does now.
func Silent(job string, items ...string) string {
	var parts []string
	for _, item := range items {
		parts = append(parts, fmt.Sprintf(`label_replace((max(up{job=%q} offset %s) > 0 and on () max(up{job=%q}) > 0`+
			` unless on () sum(increase(otelcol_receiver_accepted_%s_total{job=%q}[%s])) > 0), "item", %q, "", "")`,
			job, watchedSince, job, item, job, silentWindow, item))
	}
	return strings.Join(parts, " or ")
}

// Settled returns a query that has a value where all processes of a job whose pods match run for longer than what Silent
// looks at.
func Settled(job, pods string) string {
	return fmt.Sprintf(`min(otelcol_process_uptime_total{job=%q, pod=~%q}) > %d`, job, pods, silentSeconds)
}

// sum adds a function of the counters of all signals. Each gets a label of its own, because the function drops the name.
func sum(by, function, window, job string, names ...string) string {
	var parts []string
	for _, name := range names {
		for _, item := range items {
			full := fmt.Sprintf(name, item)
			parts = append(parts, fmt.Sprintf(`label_replace(%s(%s{job=%q}[%s]), "counter", %q, "", "")`, function, full, job, window, full))
		}
	}
	return fmt.Sprintf("sum by (%s) (%s)", by, strings.Join(parts, " or "))
}

// Values of a label in the answer to one of the queries, sorted.
func Values(vector model.Vector, label string) []string {
	var all []string
	for _, s := range vector {
		all = append(all, string(s.Metric[model.LabelName(label)]))
	}
	slices.Sort(all)
	return slices.Compact(all)
}
