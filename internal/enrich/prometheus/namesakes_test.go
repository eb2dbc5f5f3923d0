package prometheus

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubebot/kubebot/internal/diagnosis"
	"github.com/kubebot/kubebot/internal/enrich"
)

func TestServicesOfOneNameInOtherNamespacesAreLeftOut(t *testing.T) {
	for name, c := range map[string]struct {
		services, edges, want []string
		mixed                 bool
	}{
		"one environment": {
			[]string{"shop/checkout", "shop/payment", "common/auth"}, []string{"checkout payment", "checkout auth"},
			[]string{"auth", "checkout", "checkout auth", "checkout payment", "payment"}, false,
		},
		"two environments": {
			[]string{"shop/checkout", "shop/payment", "staging/checkout", "staging/payment", "common/auth"}, []string{"checkout payment", "front auth"},
			[]string{"auth", "checkout", "front auth", "payment"}, true,
		},
		"the subject's service of another namespace alone": {[]string{"staging/checkout"}, nil, nil, false},
		"two environments of what is called":               {[]string{"shop/checkout", "auth/auth", "auth-staging/auth"}, []string{"checkout auth"}, []string{"checkout"}, true},
		"two environments of something else":               {[]string{"shop/checkout", "auth/auth", "auth-staging/auth", "a/b"}, []string{"b auth"}, []string{"b", "checkout"}, false},
		"services that do not say their namespace":         {[]string{"/checkout", "/payment"}, []string{"checkout payment"}, []string{"checkout", "checkout payment", "payment"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			var services, edges model.Matrix
			for i, s := range c.services {
				namespace, name, _ := strings.Cut(s, "/")
				services = append(services, sample(model.Metric{"service_name": model.LabelValue(name), "k8s_namespace_name": model.LabelValue(namespace)}, i))
			}
			for i, s := range c.edges {
				client, server, _ := strings.Cut(s, " ")
				edges = append(edges, sample(model.Metric{"client": model.LabelValue(client), "server": model.LabelValue(server)}, i))
			}
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				result := model.Matrix{}
				switch query := r.FormValue("query"); {
				case strings.Contains(query, "service_name, k8s_namespace_name"):
					result = services
				case strings.Contains(query, "service_graph"):
					result = edges
				}
				_ = json.NewEncoder(w).Encode(map[string]any{"data": map[string]any{"result": result}})
			}))
			defer server.Close()
			q := enrich.Question{Subject: diagnosis.Object{Kind: "Deployment", Namespace: "shop", Name: "checkout"}, Alarm: time.Unix(9000, 0), Now: time.Unix(9100, 0)}
			got, err := Source{enrich.Store{URL: server.URL}}.Read(t.Context(), q)
			if c.mixed {
				require.EqualError(t, err, "services of one name in several namespaces can't be told apart, so some are left out")
			} else {
				require.NoError(t, err)
			}
			var names []string
			for _, rm := range got.Metrics.ResourceMetrics().All() {
				m := rm.ScopeMetrics().At(0).Metrics().At(0)
				if service, ok := rm.Resource().Attributes().Get("service.name"); ok && m.Name() == "workload.requests" {
					names = append(names, service.Str())
				}
				if m.Name() == "edge.latency.client" {
					edge := m.Gauge().DataPoints().At(0).Attributes()
					client, _ := edge.Get("client")
					server, _ := edge.Get("server")
					names = append(names, client.Str()+" "+server.Str())
				}
			}
			slices.Sort(names)
			assert.Equal(t, c.want, names)
		})
	}
}

func sample(labels model.Metric, value int) *model.SampleStream {
	return &model.SampleStream{Metric: labels, Values: []model.SamplePair{{Timestamp: 9_050_000, Value: model.SampleValue(value)}}}
}
