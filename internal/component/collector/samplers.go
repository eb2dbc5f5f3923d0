package collector

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/utils/ptr"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/component/otelcol"
	"github.com/kubebot/kubebot/internal/endpoints"
)

// IDs of the samplers' components. Those of Prometheus are numbered where there are several.
const (
	idStorage      = "file_storage"
	idSpanMetrics  = "spanmetrics"
	idServiceGraph = "servicegraph"
	idSampling     = "tail_sampling"
	idLabel        = "transform/collector"
	idRefused      = "filter/prometheus"
	idNameless     = "transform/prometheus"
	idShortSpans   = "transform/jaeger"
	idShortLines   = "transform/loki"
	idKept         = "forward/kept"
	idBatch        = "batch/archive"
	idExtra        = "batch/extra"
	idJaeger       = "otlp_grpc/jaeger"
	idLoki         = "otlp_http/loki"
	idPrometheus   = "otlp_http/prometheus"
	idArchive      = "otlp_grpc/archive"
	idNop          = "nop"
)

// samplerConfig measures all spans, keeps some of the traces, and exports every signal from queues on disk. Room is the
// size of the volume in bytes.
func samplerConfig(kb *v1alpha1.KubeBot, room int64) (otelcol.Config, error) {
	c := otelcol.Base()
	c.Extensions[idStorage] = otelcol.FileStorage{
		Directory: otelcol.DataDir + "/queue", CreateDirectory: true, Recreate: true,
		Compaction: otelcol.Compaction{
			OnStart: true, OnRebound: true, Directory: otelcol.DataDir + "/queue", CleanupOnStart: true,
			ReboundNeededThresholdMiB: max(room/100*lokiShare>>21, 16), ReboundTriggerThresholdMiB: 8,
		},
	}
	c.Service.Extensions = append(c.Service.Extensions, idStorage)
	c.Receivers[otelcol.OTLPID] = otelcol.OTLPReceiver{Protocols: otelcol.Protocols{GRPC: otelcol.GRPC(samplerAge)}}
	sampling, err := sampling(kb.Spec.Traces.Sampling)
	if err != nil {
		return otelcol.Config{}, err
	}
	c.Processors[idSampling] = sampling
	// Each sampler sees a part of the calls and counts it as its own series. The resource is that of the first span of many
	// pods', so only what all of them have in common stays; what tells services apart is in the dimensions.
	c.Processors[idLabel] = otelcol.Transform{ErrorMode: "ignore", MetricStatements: []string{
		`keep_keys(resource.attributes, ["` + clusterAttribute + `"])`,
		`set(datapoint.attributes["collector"], "${env:` + otelcol.VariablePodName + `}")`,
	}}
	c.Connectors[idSpanMetrics] = spanMetricsSettings()
	c.Connectors[idServiceGraph] = serviceGraph{
		LatencyHistogramBuckets: latencies, Store: graphStore{TTL: edgeTTL, MaxItems: edgeItems}, MetricsFlushInterval: flushInterval,
	}
	addPipelines(&c, stores(kb, &c, room))
	if j := kb.Spec.Traces.Jaeger; j.Mode.Managed() && j.Elasticsearch == nil {
		shortenSpans(&c)
	}
	if endpoints.Loki(kb) != "" {
		shortenLines(&c)
	}
	if len(endpoints.PrometheusReplicas(kb)) > 0 {
		keepOutRefused(kb, &c)
	}
	if endpoints.ArchiveHost(kb) != "" {
		addArchive(&c, kb, room)
	}
	return c, nil
}

// exporters are the IDs of the exporters of each signal; a signal without a store goes nowhere.
type exporters struct{ traces, logs, metrics []string }

// stores adds an exporter for each store that is on.
func stores(kb *v1alpha1.KubeBot, c *otelcol.Config, room int64) (to exporters) {
	if endpoint := endpoints.JaegerOTLP(kb); endpoint != "" {
		retry := forever()
		retry.MaxElapsedTime = jaegerPatience
		c.Exporters[idJaeger] = otelcol.OTLPExporter{
			Endpoint: endpoint, TLS: insecure, Compression: "none", Timeout: 10 * time.Second, Retry: retry, Queue: queue(room, jaegerShare, 4),
		}
		to.traces = []string{idJaeger}
	}
	if base := endpoints.Loki(kb); base != "" {
		loki := otelcol.OTLPHTTPExporter{
			Endpoint: strings.TrimSuffix(base, "/") + "/otlp", Compression: "none", Retry: forever(), Queue: queue(room, lokiShare, 4),
		}
		loki.Queue.Batch.MaxSize = lokiBatchMax
		if e := kb.Spec.Logs.Loki.External; e != nil && e.Tenant != "" {
			loki.Headers = map[string]string{"X-Scope-OrgID": e.Tenant}
		}
		c.Exporters[idLoki] = loki
		to.logs = []string{idLoki}
	}
	replicas := endpoints.PrometheusReplicas(kb)
	for i, base := range replicas {
		id := idPrometheus
		if len(replicas) > 1 {
			id = fmt.Sprintf("%s-%d", idPrometheus, i)
		}
		// One consumer keeps the samples of a series in their order.
		c.Exporters[id] = otelcol.OTLPHTTPExporter{
			MetricsEndpoint: strings.TrimSuffix(base, "/") + "/api/v1/otlp/v1/metrics", Compression: "none",
			Retry: otelcol.Retry{Enabled: true, InitialInterval: time.Second, MaxInterval: 5 * time.Second, MaxElapsedTime: metricsPatience},
			Queue: queue(room/int64(len(replicas)), prometheusShare, 1),
		}
		to.metrics = append(to.metrics, id)
	}
	for _, ids := range []*[]string{&to.traces, &to.logs, &to.metrics} {
		if len(*ids) == 0 {
			c.Exporters[idNop] = otelcol.Nop{}
			*ids = []string{idNop}
		}
	}
	return to
}

func forever() otelcol.Retry {
	return otelcol.Retry{Enabled: true, InitialInterval: time.Second, MaxInterval: 5 * time.Second}
}

// queue is on disk, so that it outlives its process, and joins what it holds.
func queue(room, share int64, consumers int) otelcol.Queue {
	return otelcol.Queue{
		Enabled: true, Sizer: "bytes", QueueSize: max(room/100*share, batchMax), NumConsumers: consumers, Storage: idStorage,
		Batch: &otelcol.QueueBatch{Sizer: "bytes", FlushTimeout: 500 * time.Millisecond, MinSize: batchMin, MaxSize: batchMax},
	}
}

func addPipelines(c *otelcol.Config, to exporters) {
	in, limit := []string{otelcol.OTLPID}, []string{otelcol.MemoryLimiterID}
	measured := []string{idServiceGraph, idSpanMetrics}
	c.Service.Pipelines["traces/measured"] = otelcol.Pipeline{Receivers: in, Processors: limit, Exporters: measured}
	c.Service.Pipelines["traces/sampled"] = otelcol.Pipeline{Receivers: in, Processors: append(limit[:1:1], idSampling), Exporters: to.traces}
	c.Service.Pipelines["logs"] = otelcol.Pipeline{Receivers: in, Processors: limit, Exporters: to.logs}
	c.Service.Pipelines["metrics"] = otelcol.Pipeline{Receivers: in, Processors: limit, Exporters: to.metrics}
	c.Service.Pipelines["metrics/measured"] = otelcol.Pipeline{Receivers: measured, Processors: []string{idLabel}, Exporters: to.metrics}
}

// shortenSpans cuts what is too long for a key of Badger, in which Jaeger puts each value: it refuses the whole batch, and says
// that it may be tried again (https://github.com/jaegertracing/jaeger/issues/3330). A list or a map is one value, and is not
// taken apart: that takes the square of its length.
func shortenSpans(c *otelcol.Config) {
	const torn = `"\\x{FFFD}+$", ""` // what is left of a letter that was cut, for which Jaeger would take the whole for bytes
	values := func(of, instead string) []string {
		statements := []string{
			`set(OF.cache["size"], Len(String(OF.attributes)))`,
			fmt.Sprintf(`truncate_all(OF.attributes, %d)`, longestValue),
			fmt.Sprintf(`replace_all_patterns(OF.attributes, "value", %s) where OF.cache["size"] > %d`, torn, longestValue),
			fmt.Sprintf(`set(OF.cache["rest"], OF.attributes) where OF.cache["size"] > %d`, longestList),
			`truncate_all(OF.cache["rest"], 0) where OF.cache["rest"] != nil`,
			fmt.Sprintf(`%s where OF.cache["rest"] != nil and Len(String(OF.cache["rest"])) > %d`, instead, longestList),
		}
		for i := range statements {
			statements[i] = strings.ReplaceAll(statements[i], "OF", of)
		}
		return statements
	}
	text := func(path string) []string {
		return []string{
			fmt.Sprintf(`set(%[1]s, Substring(%[1]s, 0, %[2]d)) where Len(%[1]s) > %[2]d`, path, longestValue),
			fmt.Sprintf(`replace_pattern(%[1]s, %[3]s) where Len(%[1]s) == %[2]d`, path, longestValue, torn),
		}
	}
	cut := fmt.Sprintf(`set(OF.attributes, {"kubebot.cut": Substring(String(OF.attributes), 0, %d)})`, longestValue)
	c.Processors[idShortSpans] = otelcol.TransformSpans{ErrorMode: "ignore", TraceStatements: []otelcol.Statements{
		{Statements: values("resource", `keep_matching_keys(OF.attributes, "^(service|k8s)[.]")`)},
		{Statements: slices.Concat(values("span", cut), text("span.name"), text("span.status.message"))},
		{Statements: slices.Concat(values("spanevent", cut), text("spanevent.name"))},
	}}
	appendProcessors(c, "traces/sampled", idShortSpans)
}

// shortenLines cuts what Loki cuts too, before lines are made one request: one line that is larger than a request may be
// would be dropped, and with it all behind it (exporterhelper 0.145).
func shortenLines(c *otelcol.Config) {
	c.Processors[idShortLines] = otelcol.Transform{ErrorMode: "ignore", LogStatements: []string{
		fmt.Sprintf(`set(log.body, String(log.body)) where log.body != nil and not IsString(log.body) and Len(String(log.body)) > %d`, longestLine),
		fmt.Sprintf(`set(log.body, Substring(log.body, 0, %[1]d)) where IsString(log.body) and Len(log.body) > %[1]d`, longestLine),
		fmt.Sprintf(`truncate_all(log.attributes, %d)`, longestAttribute),
	}}
	appendProcessors(c, "logs", idShortLines)
}

func appendProcessors(c *otelcol.Config, pipeline string, ids ...string) {
	p := c.Service.Pipelines[pipeline]
	p.Processors = slices.Concat(p.Processors, ids)
	c.Service.Pipelines[pipeline] = p
}

// addArchive sends a copy of everything to the archive's writer. The batch processor stands between, so that a full queue
// of the archive's never makes a sender repeat what the stores have taken.
func addArchive(c *otelcol.Config, kb *v1alpha1.KubeBot, room int64) {
	c.Processors[idBatch] = otelcol.Batch{Timeout: time.Second, SendBatchSize: 1024, SendBatchMaxSize: 4096}
	c.Exporters[idArchive] = otelcol.OTLPExporter{
		Endpoint: fmt.Sprintf("%s:%d", endpoints.ArchiveHost(kb), endpoints.OTLPGRPCPort),
		TLS:      insecure, Compression: "none", Timeout: 10 * time.Second,
		Retry: otelcol.Retry{Enabled: true, InitialInterval: time.Second, MaxInterval: 5 * time.Second, MaxElapsedTime: archivePatience},
		Queue: queue(room, archiveShare, 2),
	}
	c.Connectors[idKept] = otelcol.Nop{}
	sampled := c.Service.Pipelines["traces/sampled"]
	sampled.Exporters = append(sampled.Exporters[:len(sampled.Exporters):len(sampled.Exporters)], idKept)
	c.Service.Pipelines["traces/sampled"] = sampled
	for signal, from := range map[string][]string{
		"traces/archive": {idKept}, "logs/archive": {otelcol.OTLPID}, "metrics/archive": {otelcol.OTLPID},
	} {
		c.Service.Pipelines[signal] = otelcol.Pipeline{
			Receivers: from, Processors: []string{otelcol.MemoryLimiterID, idBatch}, Exporters: []string{idArchive},
		}
	}
	c.Service.Pipelines["metrics/archive-measured"] = otelcol.Pipeline{
		Receivers: []string{idServiceGraph, idSpanMetrics}, Processors: []string{idLabel, idBatch}, Exporters: []string{idArchive},
	}
}

// latencies are the bounds of the buckets: fine where services are expected to answer, up to timeouts.
var latencies = []time.Duration{
	5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond,
	250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2500 * time.Millisecond, 5 * time.Second, 10 * time.Second, 30 * time.Second,
}

// spanMetricsSettings tell services apart by their workload. The pod is none of it: its name would make new series at
// each rollout.
func spanMetricsSettings() spanMetrics {
	s := spanMetrics{
		Namespace:            "traces.span.metrics",
		Histogram:            histogram{Unit: "s", Explicit: buckets{Buckets: latencies}},
		ResourceKey:          []string{"service.name", "k8s.namespace.name"},
		Exemplars:            exemplars{Enabled: true, MaxPerDataPoint: 1},
		MetricsFlushInterval: flushInterval,
		MetricsExpiration:    seriesExpiration,
		CardinalityLimit:     cardinalityLimit,
	}
	for _, name := range []string{"k8s.namespace.name", "k8s.deployment.name", "k8s.statefulset.name", "k8s.daemonset.name"} {
		s.Dimensions = append(s.Dimensions, dimension{name})
	}
	return s
}

// sampling keeps every trace with an error, every slow one, KubeBot's own proofs, and a share of the rest by a hash of
// the trace's ID, which is the same on every sampler.
func sampling(s v1alpha1.SamplingSpec) (tailSampling, error) {
	slow, err := component.Duration("spec.traces.sampling.slowThreshold", s.SlowThreshold, slowThreshold)
	if err != nil {
		return tailSampling{}, err
	}
	return tailSampling{
		DecisionWait: decisionWait, NumTraces: tracesInMemory,
		DecisionCache: decisionCache{SampledCacheSize: decisionsKept, NonSampledCacheSize: decisionsKept},
		Policies: []policy{
			{Name: "errors", Type: "status_code", StatusCode: &statusCode{[]string{"ERROR"}}},
			{Name: "slow", Type: "latency", Latency: &latency{time.Duration(slow).Milliseconds()}},
			{Name: "proof", Type: "string_attribute", StringAttr: &stringAttr{"service.name", []string{endpoints.ProofService}}},
			{Name: "share", Type: "probabilistic", Probabilistic: &probabilistic{ptr.Deref(s.Percentage, percentage)}},
		},
	}, nil
}
