package stack

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// OutsideNamespace is where the stores run that the tests use in mode External.
const OutsideNamespace = "outside"

var (
	//go:embed manifests/filelog.yaml
	filelogManifest string
	//go:embed manifests/outside.yaml
	outsideManifest string
)

// ShipLogs runs a shipper for tests that reads the lines of the shop's and KubeBot's pods on the nodes, as Fluent Bit
// would.
func (c *Cluster) ShipLogs(ctx context.Context) error {
	if err := c.Apply(ctx, filelogManifest); err != nil {
		return err
	}
	return Eventually(ctx, 4*time.Minute, time.Second, func(ctx context.Context) error {
		return c.PodsReady(ctx, Release+"-nodes", 1, client.MatchingLabels{"app": "test-filelog"})
	})
}

// StopShippingLogs removes it.
func (c *Cluster) StopShippingLogs(ctx context.Context) error {
	_, err := c.Kubectl(ctx, "-n", Release+"-nodes", "delete", "daemonset/test-filelog", "configmap/test-filelog", "--wait=false")
	return err
}

// RunStoresOutside runs a Loki with tenants and a Jaeger that are not KubeBot's, both behind the Service "stores".
func (c *Cluster) RunStoresOutside(ctx context.Context) error {
	if err := c.CreateNamespace(ctx, OutsideNamespace); err != nil {
		return err
	}
	if err := c.Apply(ctx, outsideManifest); err != nil {
		return err
	}
	return Eventually(ctx, 2*time.Minute, time.Second, func(ctx context.Context) error {
		return c.PodsReady(ctx, OutsideNamespace, 1)
	})
}

// RemoveStoresOutside removes them.
func (c *Cluster) RemoveStoresOutside(ctx context.Context) error {
	_, err := c.Kubectl(ctx, "delete", "namespace", OutsideNamespace, "--wait=false")
	return err
}

// Line is a line in Loki.
type Line struct {
	// Stream holds the labels and the structured metadata.
	Stream map[string]string
	Text   string
	Time   time.Time
}

// Lines asks the Loki of a KubeBot for the lines of the last half hour, at most 5,000.
func (c *Cluster) Lines(ctx context.Context, kubebot, logQL string) ([]Line, error) {
	data, err := c.ServiceGet(ctx, Namespace, kubebot+"-loki:3100", "loki/api/v1/query_range", map[string]string{
		"query": logQL, "limit": "5000", "start": strconv.FormatInt(time.Now().Add(-30*time.Minute).UnixNano(), 10),
	})
	if err != nil {
		return nil, fmt.Errorf("ask Loki for %s: %w", logQL, err)
	}
	var answer struct {
		Data struct {
			Result []struct {
				Stream map[string]string   `json:"stream"`
				Values [][]json.RawMessage `json:"values"`
			} `json:"result"`
		} `json:"data"`
	}
	if err := json.Unmarshal(data, &answer); err != nil {
		return nil, fmt.Errorf("read Loki's answer to %s: %w", logQL, err)
	}
	var lines []Line
	for _, stream := range answer.Data.Result {
		for _, value := range stream.Values {
			var nanoseconds, text string
			if len(value) < 2 || json.Unmarshal(value[0], &nanoseconds) != nil || json.Unmarshal(value[1], &text) != nil {
				return nil, fmt.Errorf("read Loki's answer to %s: a value is %s", logQL, value)
			}
			at, err := strconv.ParseInt(nanoseconds, 10, 64)
			if err != nil {
				return nil, fmt.Errorf("read Loki's answer to %s: %w", logQL, err)
			}
			lines = append(lines, Line{Stream: stream.Stream, Text: text, Time: time.Unix(0, at)})
		}
	}
	return lines, nil
}

// CountLines asks the Loki of a KubeBot for one number, such as sum(count_over_time(...)); 0 when there is none.
func (c *Cluster) CountLines(ctx context.Context, kubebot, logQL string) (int, error) {
	data, err := c.ServiceGet(ctx, Namespace, kubebot+"-loki:3100", "loki/api/v1/query", map[string]string{"query": logQL})
	if err != nil {
		return 0, fmt.Errorf("ask Loki for %s: %w", logQL, err)
	}
	var answer struct {
		Data struct {
			Result []struct {
				Value []any `json:"value"`
			} `json:"result"`
		} `json:"data"`
	}
	if err := json.Unmarshal(data, &answer); err != nil {
		return 0, fmt.Errorf("read Loki's answer to %s: %w", logQL, err)
	}
	if len(answer.Data.Result) != 1 || len(answer.Data.Result[0].Value) != 2 {
		return 0, nil
	}
	n, err := strconv.ParseFloat(fmt.Sprint(answer.Data.Result[0].Value[1]), 64)
	if err != nil {
		return 0, fmt.Errorf("read Loki's answer to %s: %w", logQL, err)
	}
	return int(n), nil
}

// Trace is a trace in Jaeger.
type Trace struct {
	ID    string `json:"traceID"`
	Spans []struct {
		Operation string `json:"operationName"`
		Process   string `json:"processID"`
	} `json:"spans"`
	Processes map[string]struct {
		Service string `json:"serviceName"`
	} `json:"processes"`
}

// Services of the trace's spans.
func (t Trace) Services() map[string]bool {
	services := map[string]bool{}
	for _, s := range t.Spans {
		services[t.Processes[s.Process].Service] = true
	}
	return services
}

// Traces asks the Jaeger of a KubeBot for the traces of a service, at most 1,500; tags, a JSON object, says which.
func (c *Cluster) Traces(ctx context.Context, kubebot, service string, tags ...string) ([]Trace, error) {
	params := map[string]string{}
	if len(tags) > 0 {
		params["tags"] = tags[0]
	}
	return c.traces(ctx, kubebot, service, params)
}

// TracesBetween is Traces of those that began between two times.
func (c *Cluster) TracesBetween(ctx context.Context, kubebot, service string, from, to time.Time) ([]Trace, error) {
	return c.traces(ctx, kubebot, service, map[string]string{
		"start": strconv.FormatInt(from.UnixMicro(), 10), "end": strconv.FormatInt(to.UnixMicro(), 10),
	})
}

func (c *Cluster) traces(ctx context.Context, kubebot, service string, params map[string]string) ([]Trace, error) {
	params["service"], params["limit"] = service, "1500"
	data, err := c.ServiceGet(ctx, Namespace, kubebot+"-jaeger:16686", "api/traces", params)
	if err != nil {
		return nil, fmt.Errorf("ask Jaeger for the traces of %s: %w", service, err)
	}
	var answer struct {
		Data []Trace `json:"data"`
	}
	if err := json.Unmarshal(data, &answer); err != nil {
		return nil, fmt.Errorf("read Jaeger's traces of %s: %w", service, err)
	}
	return answer.Data, nil
}

// ExemplarTraces returns the trace IDs of the exemplars of a metric in the Prometheus of a KubeBot.
func (c *Cluster) ExemplarTraces(ctx context.Context, kubebot, query string) (map[string]bool, error) {
	var answer struct {
		Data []struct {
			Exemplars []struct {
				Labels map[string]string `json:"labels"`
			} `json:"exemplars"`
		} `json:"data"`
	}
	now := time.Now()
	err := c.prometheus(ctx, kubebot, "api/v1/query_exemplars", map[string]string{
		"query": query, "start": strconv.FormatInt(now.Add(-15*time.Minute).Unix(), 10), "end": strconv.FormatInt(now.Unix(), 10),
	}, &answer)
	ids := map[string]bool{}
	for _, series := range answer.Data {
		for _, e := range series.Exemplars {
			ids[e.Labels["trace_id"]] = true
		}
	}
	delete(ids, "")
	return ids, err
}

// SendOTLP sends a request in OTLP's JSON to the collector of a KubeBot, as an application does: signal is traces,
// metrics or logs.
func (c *Cluster) SendOTLP(ctx context.Context, kubebot, signal string, body []byte) error {
	if _, err := c.ServicePost(ctx, Namespace, kubebot+"-collector:4318", "/v1/"+signal, body); err != nil {
		return fmt.Errorf("send %s to the collector: %w", signal, err)
	}
	return nil
}

// Edges returns the calls between services that the service graph in the Prometheus of a KubeBot tells of, each as
// "client -> server". A server is unknown where a call found none, as while a service starts.
func (c *Cluster) Edges(ctx context.Context, kubebot string) ([]string, error) {
	samples, err := c.Query(ctx, kubebot, `sum by (client, server) (traces_service_graph_request_total{server!="unknown"}) > 0`)
	var edges []string
	for _, s := range samples {
		edges = append(edges, strings.Join([]string{s.Metric["client"], s.Metric["server"]}, " -> "))
	}
	return edges, err
}
