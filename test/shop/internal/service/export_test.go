package service

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	collectorlogs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	collectormetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	collectortrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	"google.golang.org/protobuf/proto"
)

// span is what these tests look at of a span.
type span struct{ service, id, parent string }

// receiver keeps what arrives by OTLP over HTTP.
type receiver struct {
	mu      sync.Mutex
	traces  map[string][]span          // by trace id
	logs    map[string]map[string]bool // services by trace id
	metrics map[string]map[string]bool // metric names by service
	failed  []error
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	r.mu.Lock()
	defer r.mu.Unlock()
	switch request.URL.Path {
	case "/v1/traces":
		err = r.addTraces(body, err)
	case "/v1/logs":
		err = r.addLogs(body, err)
	case "/v1/metrics":
		err = r.addMetrics(body, err)
	default:
		err = fmt.Errorf("unexpected path %s", request.URL.Path)
	}
	if err != nil {
		r.failed = append(r.failed, err)
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

func (r *receiver) addTraces(body []byte, err error) error {
	var in collectortrace.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(body, &in)
	}
	for _, resource := range in.GetResourceSpans() {
		for _, scope := range resource.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				id := fmt.Sprintf("%x", s.GetTraceId())
				r.traces[id] = append(r.traces[id], span{serviceOf(resource.GetResource()),
					fmt.Sprintf("%x", s.GetSpanId()), fmt.Sprintf("%x", s.GetParentSpanId())})
			}
		}
	}
	return err
}

func (r *receiver) addLogs(body []byte, err error) error {
	var in collectorlogs.ExportLogsServiceRequest
	if err == nil {
		err = proto.Unmarshal(body, &in)
	}
	for _, resource := range in.GetResourceLogs() {
		for _, scope := range resource.GetScopeLogs() {
			for _, l := range scope.GetLogRecords() {
				id := fmt.Sprintf("%x", l.GetTraceId())
				if r.logs[id] == nil {
					r.logs[id] = map[string]bool{}
				}
				r.logs[id][serviceOf(resource.GetResource())] = true
			}
		}
	}
	return err
}

func (r *receiver) addMetrics(body []byte, err error) error {
	var in collectormetrics.ExportMetricsServiceRequest
	if err == nil {
		err = proto.Unmarshal(body, &in)
	}
	for _, resource := range in.GetResourceMetrics() {
		service := serviceOf(resource.GetResource())
		if r.metrics[service] == nil {
			r.metrics[service] = map[string]bool{}
		}
		for _, scope := range resource.GetScopeMetrics() {
			for _, m := range scope.GetMetrics() {
				r.metrics[service][m.GetName()] = true
			}
		}
	}
	return err
}

func serviceOf(resource *resourcepb.Resource) string {
	for _, a := range resource.GetAttributes() {
		if a.GetKey() == "service.name" {
			return a.GetValue().GetStringValue()
		}
	}
	return ""
}

// callsOf lists who called whom in one trace.
func callsOf(spans []span) []string {
	owner := map[string]string{}
	for _, s := range spans {
		owner[s.id] = s.service
	}
	calls := map[string]bool{}
	for _, s := range spans {
		if caller := owner[s.parent]; caller != "" && caller != s.service {
			calls[caller+">"+s.service] = true
		}
	}
	return slices.Sorted(maps.Keys(calls))
}

func TestOneRequestIsSeenInTracesLogsAndMetricsOfEveryService(t *testing.T) {
	r := &receiver{traces: map[string][]span{}, logs: map[string]map[string]bool{}, metrics: map[string]map[string]bool{}}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
	t.Setenv("OTEL_BLRP_SCHEDULE_DELAY", "50")
	t.Setenv("OTEL_METRIC_EXPORT_INTERVAL", "100")
	startShop(t, nil)

	buying := []string{"checkout>cart", "checkout>payment", "frontend>checkout", "load>frontend"}
	services := []string{"cart", "checkout", "frontend", "payment"}
	eventually(t, "a trace of a purchase with log records of all its services", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		for id, spans := range r.traces {
			if slices.Equal(callsOf(spans), buying) && slices.Equal(slices.Sorted(maps.Keys(r.logs[id])), services) {
				return true
			}
		}
		return false
	})
	filling := []string{"frontend>cart", "frontend>catalog", "load>frontend"}
	eventually(t, "a trace that fills a cart", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, spans := range r.traces {
			if slices.Equal(callsOf(spans), filling) {
				return true
			}
		}
		return false
	})
	for service, metric := range map[string]string{"load": "http.client.request.duration",
		"frontend": "http.server.request.duration", "catalog": "http.server.request.duration",
		"checkout": "rpc.client.call.duration", "cart": "rpc.server.call.duration", "payment": "rpc.server.call.duration"} {
		eventually(t, service+" exports "+metric, func() bool {
			r.mu.Lock()
			defer r.mu.Unlock()
			return r.metrics[service][metric]
		})
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.failed) > 0 {
		t.Errorf("unreadable exports: %v", r.failed)
	}
}

func TestOnlyTheSignalWithAnEndpointIsExported(t *testing.T) {
	for _, name := range []string{"", "LOGS_", "METRICS_"} {
		t.Setenv("OTEL_EXPORTER_OTLP_"+name+"ENDPOINT", "")
	}
	var mu sync.Mutex
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, r.URL.Path)
	}))
	defer server.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", server.URL+"/v1/traces")
	catalog := newApp(t, "catalog", nil)
	catalog.ask(http.MethodGet, "/products", "")
	if err := catalog.release(t.Context()); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if got := strings.Join(asked, " "); got != "/v1/traces" {
		t.Errorf("exported to %q, want traces alone", got)
	}
}
