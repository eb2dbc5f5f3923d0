package ingest

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/pipeline"
)

// canned answers calls without a network: by the end of their path.
type canned map[string]string

func (c canned) RoundTrip(r *http.Request) (*http.Response, error) {
	body := ""
	for path, text := range c {
		if strings.HasSuffix(r.URL.Path, path) {
			body = text
		}
	}
	return &http.Response{StatusCode: http.StatusOK, Status: "200 OK", Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

// FuzzAlertmanagerAnswers checks that nothing that Alertmanager's API answers becomes an alert that can't be stored.
func FuzzAlertmanagerAnswers(f *testing.F) {
	data, err := os.ReadFile(filepath.Join("testdata", "alerts.json"))
	require.NoError(f, err)
	f.Add(string(data), `{"uptime":"2026-01-02T03:04:05Z"}`)
	f.Add(`[{"labels":{},"receivers":[{"name":"kubebot"}],"status":{"state":"active"}}]`, `{"uptime":"2026-01-02T03:04:05Z"}`)
	f.Add(`[{"labels":null,"receivers":[null],"startsAt":"9999-12-31T23:59:59Z"}]`, `{}`)
	f.Add(`null`, `null`)
	f.Fuzz(func(t *testing.T, alerts, status string) {
		k, gone := &kept{}, stored("Gone", "0123456789abcdef", map[string]string{"a": "b"})
		gone.Severity = v1alpha1.SeverityWarning
		compare := &Comparison{URL: "http://alertmanager.invalid", HTTP: &http.Client{Transport: canned{"/alerts": alerts, "/status": status}}, Store: k.store,
			Index: holding(gone), Receiver: func() string { return "kubebot" },
			Now: func() time.Time { return noon }, Log: logr.Discard()}
		for range 2 {
			if err := compare.Compare(t.Context()); err != nil && len(k.alerts) > 0 {
				t.Errorf("%v, and yet %d alerts came in", err, len(k.alerts))
			}
			for _, a := range k.take() {
				if len(a.Fingerprint) != 16 || a.Name() == "" || a.StartsAt.IsZero() || a.EndsAt.After(noon) || a.Severity == "" {
					t.Errorf("an alert that can't be stored came out: %+v", a)
				}
			}
		}
	})
}

// FuzzHistoryAnswers checks that what Prometheus answers about the past becomes nothing but alerts that are over.
func FuzzHistoryAnswers(f *testing.F) {
	f.Add(`{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"__name__":"ALERTS","alertname":"A","alertstate":"firing"},"values":[[1767323045,"1"],[1767323060,"1"]]}]}}`)
	f.Add(`{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"alertname":"A"},"values":[[-1e300,"NaN"],[9e15,"1"]]}]}}`)
	f.Add(`{"status":"success","data":{"resultType":"vector","result":[]}}`)
	f.Add(`{"status":"error","errorType":"bad_data","error":"x"}`)
	f.Fuzz(func(t *testing.T, answer string) {
		h := &History{URL: "http://prometheus.invalid", HTTP: &http.Client{Transport: canned{"/query_range": answer}}, Index: pipeline.NewIndex("uid"), Log: logr.Discard()}
		window := promv1.Range{Start: noon.Add(-time.Hour), End: noon, Step: historyStep}
		series, err := h.ask(t.Context(), window)
		if err != nil {
			return
		}
		for _, a := range h.missed(series, window, map[model.Fingerprint]time.Time{}, silences{}) {
			if len(a.Fingerprint) != 16 || a.Name() == "" || a.StartsAt.IsZero() || a.EndsAt.IsZero() || a.EndsAt.After(noon) || a.Severity == "" {
				t.Errorf("an alert that can't be stored came out: %+v", a)
			}
		}
	})
}

// FuzzSilences checks that what Alertmanager answers about silences never covers an alert that none of them was there for.
func FuzzSilences(f *testing.F) {
	f.Add(`[{"matchers":[{"name":"alertname","value":"A","isRegex":false,"isEqual":true}],"startsAt":"2026-03-02T11:00:00Z","endsAt":"2026-03-02T13:00:00Z"}]`)
	f.Add(`[{"matchers":[{"name":"x","value":"(","isRegex":true}]},{"matchers":null,"startsAt":"0001-01-01T00:00:00Z","endsAt":"9999-01-01T00:00:00Z"}]`)
	f.Add(`{"x":[]}`)
	f.Fuzz(func(t *testing.T, answer string) {
		h := &History{URL: "http://prometheus.invalid", AlertmanagerURL: "http://alertmanager.invalid", Log: logr.Discard(), Now: func() time.Time { return noon },
			HTTP: &http.Client{Transport: canned{"/silences": answer, "/config": `{"status":"success","data":{"yaml":"global: {external_labels: {cluster: main}}"}}`}}}
		found, err := h.silences(t.Context())
		if err != nil && len(found.list) > 0 {
			t.Errorf("%v, and yet there are %d silences", err, len(found.list))
		}
		w := span{start: noon.Add(-time.Hour), end: noon}
		there := func(s silence) bool {
			return len(s.Matchers) > 0 && !s.StartsAt.After(w.start) && s.EndsAt.After(w.start)
		}
		if found.cover(map[string]string{"alertname": "A"}, w) && !slices.ContainsFunc(found.list, there) {
			t.Errorf("covered by %s", answer)
		}
	})
}
