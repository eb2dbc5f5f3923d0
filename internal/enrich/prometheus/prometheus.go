// Package prometheus reads the series that tell most about an incident: what the pods of a namespace use of their
// limits, what its workloads serve, and what the service graph and the span metrics show.
package prometheus

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"golang.org/x/sync/errgroup"

	"github.com/kubebot/kubebot/internal/diagnosis"
	"github.com/kubebot/kubebot/internal/enrich"
)

const (
	// step between samples; two scrapes of the default interval.
	step = 30 * time.Second
	// parallel bounds how many queries run at once.
	parallel = 4
	// maxSeries that are kept of one query.
	maxSeries = 2000
)

// Source is a Prometheus, or what speaks its API.
type Source struct{ enrich.Store }

// Name implements enrich.Source.
func (Source) Name() string { return enrich.SourcePrometheus }

// by says how a series names what it is about.
type by int

const (
	byPod by = iota
	byService
	byEdge
	byClaim
)

// series is one query and the metric that the analysis knows it as. NS stands for the namespace as a quoted string,
// SERVICE for what tells services apart.
type series struct {
	metric string
	by     by
	query  string
}

// perService are the labels of the span metrics that tell services apart: those of two environments in one cluster have the
// same names.
const perService = "service_name, k8s_namespace_name"

// The queries. Resource use is against the limit, or against the node where there is no limit. The names of the span
// metrics and of the service graph are those of the collector's connectors.
var queries = []series{
	{"k8s.pod.cpu_limit_utilization", byPod, `sum by (namespace, pod) (rate(container_cpu_usage_seconds_total{namespace=NS}[1m]))
/ on (namespace, pod) (
  sum by (namespace, pod) (kube_pod_container_resource_limits{namespace=NS, resource="cpu"})
  or sum by (namespace, pod) (kube_pod_info{namespace=NS} * on (node) group_left () max by (node) (kube_node_status_allocatable{resource="cpu"}))
)`},
	{"container.cpu.throttled", byPod, `max by (namespace, pod) (
  rate(container_cpu_cfs_throttled_periods_total{namespace=NS}[1m]) / (rate(container_cpu_cfs_periods_total{namespace=NS}[1m]) > 0))`},
	{"k8s.pod.memory_limit_utilization", byPod, `max by (namespace, pod) (
  sum by (namespace, pod, container) (container_memory_working_set_bytes{namespace=NS})
  / on (namespace, pod, container) sum by (namespace, pod, container) (kube_pod_container_resource_limits{namespace=NS, resource="memory"}))`},
	{"k8s.container.restarts", byPod, `sum by (namespace, pod) (kube_pod_container_status_restarts_total{namespace=NS})`},
	{"k8s.volume.utilization", byClaim, `max by (namespace, persistentvolumeclaim) (
  kubelet_volume_stats_used_bytes{namespace=NS} / (kubelet_volume_stats_capacity_bytes{namespace=NS} > 0))`},
	{"workload.requests", byPod, `30 * sum by (namespace, pod) (kubebot:pod_server_requests:rate{namespace=NS})`},
	{"workload.availability", byPod, `1 - (sum by (namespace, pod) (kubebot:pod_server_errors:rate{namespace=NS}) or sum by (namespace, pod) (kubebot:pod_server_requests:rate{namespace=NS}) * 0)
/ (sum by (namespace, pod) (kubebot:pod_server_requests:rate{namespace=NS}) > 0)`},
	{"workload.latency", byPod, `sum by (namespace, pod) (rate(http_server_request_duration_seconds_sum{namespace=NS}[1m]))
/ (sum by (namespace, pod) (rate(http_server_request_duration_seconds_count{namespace=NS}[1m])) > 0)
or sum by (namespace, pod) (rate(rpc_server_call_duration_seconds_sum{namespace=NS}[1m]))
/ (sum by (namespace, pod) (rate(rpc_server_call_duration_seconds_count{namespace=NS}[1m])) > 0)`},
	{"workload.requests", byService, `30 * sum by (SERVICE) (rate(traces_span_metrics_calls_total{span_kind="SPAN_KIND_SERVER"}[1m]))`},
	{"workload.availability", byService,
		`1 - (sum by (SERVICE) (rate(traces_span_metrics_calls_total{span_kind="SPAN_KIND_SERVER", status_code="STATUS_CODE_ERROR"}[1m]))
or sum by (SERVICE) (rate(traces_span_metrics_calls_total{span_kind="SPAN_KIND_SERVER"}[1m])) * 0)
/ (sum by (SERVICE) (rate(traces_span_metrics_calls_total{span_kind="SPAN_KIND_SERVER"}[1m])) > 0)`},
	{"workload.latency", byService, `sum by (SERVICE) (rate(traces_span_metrics_duration_seconds_sum{span_kind="SPAN_KIND_SERVER"}[1m]))
/ (sum by (SERVICE) (rate(traces_span_metrics_duration_seconds_count{span_kind="SPAN_KIND_SERVER"}[1m])) > 0)`},
	{"workload.latency.p50", byService, quantile("0.5", perService, `traces_span_metrics_duration_seconds_bucket{span_kind="SPAN_KIND_SERVER"}`)},
	{"workload.latency.p90", byService, quantile("0.9", perService, `traces_span_metrics_duration_seconds_bucket{span_kind="SPAN_KIND_SERVER"}`)},
	{"workload.latency.p99", byService, quantile("0.99", perService, `traces_span_metrics_duration_seconds_bucket{span_kind="SPAN_KIND_SERVER"}`)},
	// The graph says unknown of a callee without spans, and user of a caller.
	{"edge.latency.client", byEdge, quantile("0.5", "client, server",
		`traces_service_graph_request_client_seconds_bucket{client!~"|unknown|user", server!~"|unknown"}`)},
	{"edge.latency.server", byEdge, quantile("0.5", "client, server",
		`traces_service_graph_request_server_seconds_bucket{client!~"|unknown|user", server!~"|unknown"}`)},
}

func quantile(q, labels, buckets string) string {
	return "histogram_quantile(" + q + ", sum by (" + labels + ", le) (rate(" + buckets + "[1m]))) >= 0"
}

// podOwners maps pods to the workloads that own them, those that are gone since the beginning too.
const (
	podOwners   = `max by (namespace, pod, workload_kind, workload) (last_over_time(kubebot:pod:workload{namespace=NS}[RANGE]))`
	claimOwners = `max by (namespace, persistentvolumeclaim, workload_kind, workload) (last_over_time(kubebot:claim:workload{namespace=NS}[RANGE]))`
)

// Read implements enrich.Source. Queries that fail leave out what they would have given; the first error is returned.
func (s Source) Read(ctx context.Context, q enrich.Question) (enrich.Telemetry, error) {
	out := enrich.NewTelemetry()
	ns := q.Subject.Namespace
	if ns == "" {
		out.Empty = true
		return out, nil
	}
	words := strings.NewReplacer("SERVICE", perService, "NS", strconv.Quote(ns), "RANGE", strconv.Itoa(int(q.Now.Sub(q.From()).Seconds()))+"s")
	matrices := make([]model.Matrix, len(queries))
	errs := make([]error, len(queries)+2)
	var pods, claims model.Vector
	var group errgroup.Group
	group.SetLimit(parallel)
	ask := func(i int, query func() error) {
		group.Go(func() error {
			defer enrich.Recover(&errs[i])
			errs[i] = query()
			return nil
		})
	}
	ask(len(queries), func() (err error) { pods, err = s.instant(ctx, words.Replace(podOwners), q.Now); return err })
	ask(len(queries)+1, func() (err error) { claims, err = s.instant(ctx, words.Replace(claimOwners), q.Now); return err })
	for i, x := range queries {
		ask(i, func() (err error) { matrices[i], err = s.window(ctx, words.Replace(x.query), q); return err })
	}
	_ = group.Wait()
	h := homes{pods: owners(pods, "pod"), claims: owners(claims, "persistentvolumeclaim")}
	others := newNamesakes(queries, matrices, q)
	mixed := false
	for i, x := range queries {
		kept := slices.DeleteFunc(matrices[i], func(stream *model.SampleStream) bool {
			leave, unclear := others.leave(x.by, stream.Metric)
			mixed = mixed || unclear
			return leave
		})
		add(out.Metrics, x, kept, h)
	}
	if mixed {
		errs = append(errs, errMixed)
	}
	out.Homes = h.workloads()
	out.Empty = out.Metrics.DataPointCount() == 0
	return out, errors.Join(errs...)
}

// answer is the form of Prometheus' answers.
type answer struct {
	Data struct {
		Result json.RawMessage `json:"result"`
	} `json:"data"`
}

func (s Source) window(ctx context.Context, query string, q enrich.Question) (model.Matrix, error) {
	var a answer
	var m model.Matrix
	err := s.Get(ctx, "/api/v1/query_range", url.Values{
		"query": {query}, "start": {unix(q.From())}, "end": {unix(q.Now)}, "step": {strconv.Itoa(int(step.Seconds()))},
		"timeout": {enrich.SourceTime.String()}, "limit": {strconv.Itoa(maxSeries)},
	}, &a)
	if err != nil {
		return nil, err
	}
	return m, decode(a.Data.Result, &m)
}

func (s Source) instant(ctx context.Context, query string, at time.Time) (model.Vector, error) {
	var a answer
	var v model.Vector
	if err := s.Get(ctx, "/api/v1/query", url.Values{"query": {query}, "time": {unix(at)}, "timeout": {enrich.SourceTime.String()}}, &a); err != nil {
		return nil, err
	}
	return v, decode(a.Data.Result, &v)
}

func decode(data []byte, into any) error {
	if len(data) == 0 {
		return nil
	}
	if err := json.Unmarshal(data, into); err != nil {
		return errors.New("the answer of Prometheus can't be read")
	}
	return nil
}

func unix(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }

// homes are the workloads behind pods and claims.
type homes struct{ pods, claims map[string]diagnosis.Object }

// workloads are those of the pods by name: of two kinds of one name that of the last pod.
func (h homes) workloads() map[string]diagnosis.Object {
	out := map[string]diagnosis.Object{}
	for _, pod := range slices.Sorted(maps.Keys(h.pods)) {
		out[h.pods[pod].Name] = h.pods[pod]
	}
	return out
}

func owners(v model.Vector, label model.LabelName) map[string]diagnosis.Object {
	out := map[string]diagnosis.Object{}
	for _, s := range v {
		out[string(s.Metric[label])] = diagnosis.Object{
			APIVersion: enrich.APIVersion(string(s.Metric["workload_kind"])), Kind: string(s.Metric["workload_kind"]),
			Namespace: string(s.Metric["namespace"]), Name: string(s.Metric["workload"]),
		}
	}
	return out
}

// add puts the series of one query among the metrics.
func add(md pmetric.Metrics, x series, m model.Matrix, h homes) {
	for _, stream := range m[:min(len(m), maxSeries)] {
		rm := pmetric.NewResourceMetrics()
		points := pcommon.NewMap()
		if !name(rm.Resource().Attributes(), points, x.by, stream.Metric, h) {
			continue
		}
		metric := rm.ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
		metric.SetName(x.metric)
		gauge := metric.SetEmptyGauge()
		for _, v := range stream.Values {
			p := gauge.DataPoints().AppendEmpty()
			p.SetTimestamp(pcommon.NewTimestampFromTime(v.Timestamp.Time()))
			p.SetDoubleValue(float64(v.Value))
			points.CopyTo(p.Attributes())
		}
		rm.MoveTo(md.ResourceMetrics().AppendEmpty())
	}
}

// name says in OpenTelemetry's words what a series is about; false if it does not say.
func name(resource, point pcommon.Map, how by, labels model.Metric, h homes) bool {
	put := func(o diagnosis.Object) {
		resource.PutStr("k8s.namespace.name", o.Namespace)
		resource.PutStr("k8s."+strings.ToLower(o.Kind)+".name", o.Name)
	}
	switch how {
	case byPod:
		pod := string(labels["pod"])
		if o, ok := h.pods[pod]; ok {
			put(o)
		}
		resource.PutStr("k8s.pod.name", pod)
		return pod != ""
	case byClaim:
		o, ok := h.claims[string(labels["persistentvolumeclaim"])]
		if ok {
			put(o)
		}
		return ok
	case byService:
		resource.PutStr("service.name", string(labels["service_name"]))
		return labels["service_name"] != ""
	default:
		point.PutStr("client", string(labels["client"]))
		point.PutStr("server", string(labels["server"]))
		return labels["client"] != "" && labels["server"] != ""
	}
}
