package jaeger

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/kubebot/kubebot/internal/diagnosis"
	"github.com/kubebot/kubebot/internal/enrich"
)

func TestServicesOfOneNameInOtherNamespacesAreLeftOut(t *testing.T) {
	// Each trace is the services that it runs through; those without a namespace do not say it.
	for name, c := range map[string]struct {
		traces [][]string
		want   []string
	}{
		"a second environment": {
			[][]string{{"shop/frontend", "shop/checkout", "shop/payment"}, {"staging/gateway", "staging/checkout", "staging/payment"}},
			[]string{"shop/checkout", "shop/frontend", "shop/payment"},
		},
		"the second environment alone": {[][]string{{"staging/gateway", "staging/checkout"}}, nil},
		"shared services": {
			[][]string{{"shop/checkout", "common/auth"}, {"staging/checkout", "common/auth"}},
			[]string{"common/auth", "shop/checkout"},
		},
		"a call to the other environment": {
			[][]string{{"shop/checkout", "staging/payment"}, {"shop/checkout", "shop/payment"}},
			[]string{"shop/checkout", "shop/checkout", "shop/payment"},
		},
		"services that do not say their namespace": {[][]string{{"/checkout", "/payment"}}, []string{"/checkout", "/payment"}},
	} {
		t.Run(name, func(t *testing.T) {
			td := ptrace.NewTraces()
			for i, trace := range c.traces {
				for j, service := range trace {
					namespaced(td, pcommon.TraceID{byte(i + 1)}, pcommon.SpanID{byte(j + 1)}, service)
				}
			}
			got := read(t, td)
			var services []string
			for _, rs := range got.Traces.ResourceSpans().All() {
				service, namespace := of(rs)
				for range rs.ScopeSpans().At(0).Spans().Len() { // none where another window gave the span
					services = append(services, namespace+"/"+service)
				}
			}
			slices.Sort(services)
			assert.Equal(t, c.want, services)
			for service, home := range got.Homes {
				assert.Contains(t, c.want, home.Namespace+"/"+service)
			}
			assert.Equal(t, c.want == nil, got.Empty)
		})
	}
}

func namespaced(td ptrace.Traces, trace pcommon.TraceID, id pcommon.SpanID, service string) {
	rs := td.ResourceSpans().AppendEmpty()
	namespace, name, _ := strings.Cut(service, "/")
	rs.Resource().Attributes().PutStr("service.name", name)
	if namespace != "" {
		rs.Resource().Attributes().PutStr("k8s.namespace.name", namespace)
		rs.Resource().Attributes().PutStr("k8s.deployment.name", name)
	}
	s := rs.ScopeSpans().AppendEmpty().Spans().AppendEmpty()
	s.SetTraceID(trace)
	s.SetSpanID(id)
}

// read reads traces of Deployment checkout in shop from a Jaeger that has these.
func read(t *testing.T, td ptrace.Traces) enrich.Telemetry {
	t.Helper()
	result, err := (&ptrace.JSONMarshaler{}).MarshalTraces(td)
	require.NoError(t, err)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/v3/services" {
			_, _ = fmt.Fprint(w, `{"services":["checkout"]}`)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]json.RawMessage{"result": result})
	}))
	defer server.Close()
	alarm := time.Unix(9000, 0)
	q := enrich.Question{Subject: diagnosis.Object{Kind: "Deployment", Namespace: "shop", Name: "checkout"}, Alarm: alarm, Now: alarm.Add(time.Minute)}
	got, err := Source{enrich.Store{URL: server.URL}}.Read(t.Context(), q)
	require.NoError(t, err)
	return got
}
