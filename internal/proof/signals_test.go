package proof

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
)

var (
	mark   = Mark{ID: "0102030405060708090a0b0c0d0e0f10", At: time.Unix(1767323045, 0)}
	origin = Origin{Namespace: "kubebot", Pod: "main-responder-1", UID: "0d3b6d5e"}
)

// ends are a collector and stores behind one server: what the collector takes, the stores have.
type ends struct {
	mu     sync.Mutex
	status int
	has    string
	asked  http.Header
	query  string
}

func (e *ends) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.status != 0 {
		w.WriteHeader(e.status)
		return
	}
	body, _ := io.ReadAll(r.Body)
	e.asked, e.query = r.Header, r.URL.Query().Get("query")
	switch {
	case r.URL.Path == "/v1/metrics":
		request := pmetricotlp.NewExportRequest()
		if request.UnmarshalProto(body) == nil {
			metric := request.Metrics().ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0)
			e.has = fmt.Sprintf("%s %d %v", metric.Name(), metric.Gauge().DataPoints().At(0).IntValue(), metric.Gauge().DataPoints().At(0).Attributes().AsRaw())
		}
	case r.URL.Path == "/v1/traces":
		request := ptraceotlp.NewExportRequest()
		if request.UnmarshalProto(body) == nil {
			resource := request.Traces().ResourceSpans().At(0)
			span := resource.ScopeSpans().At(0).Spans().At(0)
			e.has = fmt.Sprintf("%s %v %v", span.TraceID(), span.Attributes().AsRaw(), resource.Resource().Attributes().AsRaw())
		}
	case r.URL.Path == "/v1/logs":
		request := plogotlp.NewExportRequest()
		if request.UnmarshalProto(body) == nil {
			e.has = request.Logs().ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().At(0).Body().Str()
		}
	case r.URL.Path == "/api/v1/query" && strings.HasSuffix(e.query, ">= 1767323045") && e.has != "":
		fmt.Fprint(w, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1767323046,"1767323045"]}]}}`)
	case r.URL.Path == "/api/v1/query":
		fmt.Fprint(w, `{"status":"success","data":{"resultType":"vector","result":[]}}`)
	case strings.HasPrefix(r.URL.Path, "/api/traces/") && !strings.Contains(e.has, mark.ID):
		http.Error(w, `{"errors":[{"code":404,"msg":"trace not found"}]}`, http.StatusNotFound)
	case strings.HasPrefix(r.URL.Path, "/api/traces/"):
		fmt.Fprint(w, `{"data":[{"traceID":"x","spans":[{"operationName":"proof"}]}]}`)
	case r.URL.Path == "/loki/api/v1/query_range" && strings.Contains(e.has, mark.ID):
		fmt.Fprint(w, `{"status":"success","data":{"resultType":"streams","result":[{"stream":{},"values":[["1","x"]]}]}}`)
	case r.URL.Path == "/loki/api/v1/query_range":
		fmt.Fprint(w, `{"status":"success","data":{"resultType":"streams","result":[]}}`)
	default:
		w.WriteHeader(http.StatusBadRequest)
	}
}

// output hands the lines of a pod to the store.
type output struct{ ends *ends }

func (o output) Write(line []byte) (int, error) {
	o.ends.mu.Lock()
	defer o.ends.mu.Unlock()
	o.ends.has = string(line)
	return len(line), nil
}

// all signals between one server's ends; events are in an API of their own.
func all(t *testing.T, e *ends) map[string]Signal {
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	u, c := server.URL+"/", server.Client()
	return map[string]Signal{
		"metric": NewMetric(c, origin, u, u), "trace": NewTrace(c, origin, u, u), "line": NewLine(c, origin, u, u, "team-a"),
		"output": NewOutput(c, origin, output{e}, u, "team-a"),
	}
}

func TestWhatIsSentIsFound(t *testing.T) {
	for name, want := range map[string]struct{ has, query string }{
		"metric": {`kubebot_proof 1767323045 map[kubebot_uid:0d3b6d5e]`, `max(kubebot_proof{kubebot_uid="0d3b6d5e"}) >= 1767323045`},
		"trace": {`0102030405060708090a0b0c0d0e0f10 map[kubebot.proof:true] map[k8s.namespace.name:kubebot k8s.pod.name:main-responder-1 ` +
			`kubebot.proof:true service.instance.id:main-responder-1 service.name:kubebot-proof]`, ""},
		"line":   {`Proof of flow 0102030405060708090a0b0c0d0e0f10`, `{service_name="kubebot-proof"} |= "0102030405060708090a0b0c0d0e0f10"`},
		"output": {`"msg":"Proof of flow 0102030405060708090a0b0c0d0e0f10"`, `{k8s_namespace_name="kubebot", k8s_container_name="responder"} |= "0102030405060708090a0b0c0d0e0f10"`},
	} {
		t.Run(name, func(t *testing.T) {
			e := &ends{}
			signal := all(t, e)[name]
			found, err := signal.Found(t.Context(), mark)
			require.NoError(t, err)
			assert.False(t, found, "nothing was sent")
			require.NoError(t, signal.Send(t.Context(), mark))
			assert.Contains(t, e.has, want.has)
			found, err = signal.Found(t.Context(), mark)
			require.NoError(t, err)
			assert.True(t, found)
			assert.Equal(t, want.query, e.query)
			if strings.Contains(want.query, "|=") {
				assert.Equal(t, "team-a", e.asked.Get("X-Scope-OrgID"))
			}
		})
	}
}

func TestTroublesAreNamed(t *testing.T) {
	e := &ends{status: http.StatusServiceUnavailable}
	for name, signal := range all(t, e) {
		want := map[string]string{"metric": "Prometheus", "trace": "Jaeger"}[name]
		if want == "" {
			want = "Loki"
		}
		_, err := signal.Found(t.Context(), mark)
		assert.EqualError(t, err, want+" answers with HTTP status 503")
		if name != "output" {
			assert.EqualError(t, signal.Send(t.Context(), mark), "the collector answers with HTTP status 503")
		}
	}
	server := httptest.NewServer(e)
	server.Close()
	gone := NewTrace(server.Client(), origin, server.URL, server.URL)
	assert.EqualError(t, gone.Send(t.Context(), mark), "the collector does not answer")
	_, err := gone.Found(t.Context(), mark)
	assert.EqualError(t, err, "Jaeger does not answer")
	assert.Error(t, gone.Send(t.Context(), Mark{ID: "x"}), "a mark that is no trace ID")
}

func TestAnAnswerThatIsTooLargeIsNamed(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { _, _ = rw.Write(make([]byte, maxBody+1)) }))
	defer server.Close()
	_, err := NewTrace(server.Client(), origin, server.URL, server.URL).Found(t.Context(), mark)
	assert.EqualError(t, err, "Jaeger answers with more than 1 MiB")
}

func TestALineOfOutputIsOneLineOfJSON(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, NewOutput(http.DefaultClient, origin, &out, "", "").Send(t.Context(), mark))
	assert.Equal(t, 1, strings.Count(out.String(), "\n"))
	var line map[string]string
	require.NoError(t, json.Unmarshal(out.Bytes(), &line))
	assert.Equal(t, mark.ID, line["trace_id"])
}

func TestOneEventIsWrittenAnew(t *testing.T) {
	api := fake.NewClientBuilder().Build()
	e := &ends{}
	server := httptest.NewServer(e)
	defer server.Close()
	event := NewEvent(server.Client(), api, origin, "main", server.URL, "")
	require.NoError(t, event.Send(t.Context(), Mark{ID: "a", At: mark.At}))
	require.NoError(t, event.Send(t.Context(), mark))
	list := &unstructured.UnstructuredList{}
	list.SetAPIVersion("v1")
	list.SetKind("EventList")
	require.NoError(t, api.List(t.Context(), list, client.InNamespace("kubebot")))
	require.Len(t, list.Items, 1)
	assert.Equal(t, "main-proof", list.Items[0].GetName())
	assert.Equal(t, "Proof of flow "+mark.ID, list.Items[0].Object["message"])
	assert.EqualValues(t, 2, list.Items[0].Object["count"])

	e.has = mark.ID
	found, err := event.Found(t.Context(), mark)
	require.NoError(t, err)
	assert.True(t, found)
	assert.Equal(t, `{service_name="kubernetes-events"} |= "`+mark.ID+`"`, e.query)
}

// canned answers every call.
type canned struct {
	status int
	body   []byte
}

func (c canned) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: c.status, Body: io.NopCloser(bytes.NewReader(c.body)), Request: r}, nil
}

func FuzzStoresMayAnswerAnything(f *testing.F) {
	f.Add(200, []byte(`{"data":{"result":[{"values":[["1","x"]]}]}}`))
	f.Add(200, []byte(`{"data":[{"spans":[{}]}]}`))
	f.Add(404, []byte(``))
	f.Add(200, []byte(`{"data":{"result":[{"metric":{},"value":[1,"2"]}]}}`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		c := &http.Client{Transport: canned{status, body}}
		for _, signal := range []Signal{
			NewMetric(c, origin, "http://x", "http://x"), NewTrace(c, origin, "http://x", "http://x"), NewLine(c, origin, "http://x", "http://x", ""),
		} {
			if found, _ := signal.Found(context.Background(), mark); found && (status/100 != 2 || len(body) == 0) {
				t.Errorf("%T was found in %d %q", signal, status, body)
			}
		}
	})
}
