package picture

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image/png"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/enrich"
	"github.com/kubebot/kubebot/internal/testutil/golden"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func TestWhatARuleCompares(t *testing.T) {
	for expr, want := range map[string]decisive{
		`errors / requests > 0.05`:               {expr: "errors / requests", threshold: 0.05, limited: true},
		`(sum(rate(a{x=">1"}[5m])) >= bool 1e3)`: {expr: `sum(rate(a{x=">1"}[5m]))`, threshold: 1000, limited: true},
		`(a > 0.1) and on (namespace) (b > 3)`:   {expr: "a", threshold: 0.1, limited: true},
		`a == 0 unless b`:                        {expr: "a", limited: true},
		`operand > -2`:                           {expr: "operand", threshold: -2, limited: true},
		`a{text="x and (y"} < 3 or vector(1)`:    {expr: `a{text="x and (y"}`, threshold: 3, limited: true},
		`a > b`:                                  {expr: "a > b"},
		`(a) / (b) > 1`:                          {expr: "(a) / (b)", threshold: 1, limited: true},
		`up == 0`:                                {expr: "up", limited: true},
		`a > (`:                                  {expr: "a > ("},
		``:                                       {},
		"predict_linear(free[1h], 4*3600) < 0 and free < 0.2": {expr: "predict_linear(free[1h], 4*3600)", limited: true},
	} {
		assert.Equal(t, want, take(expr), expr)
	}
}

func FuzzTake(f *testing.F) {
	f.Add(`(a{b="\")"} > 1) and on (x) c`)
	f.Fuzz(func(t *testing.T, expr string) {
		if d := take(expr); len(d.expr) > len(expr) {
			t.Errorf("%q became %q", expr, d.expr)
		}
	})
}

func chart() Chart {
	s := Series{Name: "pod=checkout-1"}
	for i := range 60 {
		s.Points = append(s.Points, Point{At: noon.Add(time.Duration(i-30) * time.Minute), Value: math.Sin(float64(i) / 9)})
	}
	return Chart{Title: "HTTPErrorsHigh \x00🔴 " + strings.Repeat("x", 100), Series: []Series{s}, Threshold: 2, Limited: true, Began: noon}
}

func TestAPictureIsAPNGAndTheSameEachTime(t *testing.T) {
	first, err := Render(chart())
	require.NoError(t, err)
	again, err := Render(chart())
	require.NoError(t, err)
	assert.Equal(t, first, again)
	img, err := png.Decode(bytes.NewReader(first))
	require.NoError(t, err)
	assert.Greater(t, img.Bounds().Dx(), 600)
	assert.Less(t, len(first), 200<<10)
	other := chart()
	other.Limited = false
	plain, err := Render(other)
	require.NoError(t, err)
	assert.NotEqual(t, first, plain, "the threshold is drawn")
}

// prometheus answers as Prometheus documents its API.
func prometheus(t *testing.T, rule, query *string, result string) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/api/v1/rules":
			expr, _ := json.Marshal(*rule)
			_, _ = fmt.Fprintf(w, `{"status":"success","data":{"groups":[{"rules":[{"name":%q,"query":%s}]}]}}`, r.URL.Query().Get("rule_name[]"), expr)
		case "/api/v1/query_range":
			*query = r.URL.Query().Get("query")
			_, _ = fmt.Fprintf(w, `{"status":"success","data":{"resultType":"matrix","result":%s}}`, result)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(server.Close)
	return server
}

func incident() *v1alpha1.Incident {
	inc := &v1alpha1.Incident{}
	inc.Status.Alerts = []v1alpha1.IncidentAlert{
		{Name: "Quiet", Severity: v1alpha1.SeverityWarning, Source: v1alpha1.AlertSourceAlertmanager},
		{Name: "Watched", Severity: v1alpha1.SeverityCritical, Source: v1alpha1.AlertSourceWatch},
		{Name: "Errors", Severity: v1alpha1.SeverityCritical, Source: v1alpha1.AlertSourceAlertmanager, StartsAt: metav1.NewTime(noon),
			Labels: map[string]string{"namespace": "shop", "workload": "checkout"}},
	}
	return inc
}

func TestTheWorstAlertsSeriesAreDrawn(t *testing.T) {
	rule, query := "errors / requests > 0.05", ""
	at := noon.Unix()
	server := prometheus(t, &rule, &query, fmt.Sprintf(`[
		{"metric":{"namespace":"shop","workload":"checkout","pod":"a"},"values":[[%d,"1"],[%d,"2"],[%d,"NaN"]]},
		{"metric":{"namespace":"shop","workload":"catalog"},"values":[[%d,"1"],[%d,"2"]]}]`, at-60, at, at+60, at-60, at))
	a := Artist{Store: enrich.Store{URL: server.URL}}
	c, err := a.chart(context.Background(), incident().Status.Alerts[2], noon.Add(time.Hour))
	require.NoError(t, err)
	assert.Equal(t, "errors / requests", query)
	require.Len(t, c.Series, 1, "of what the alert is about")
	assert.Equal(t, "pod=a", c.Series[0].Name)
	assert.Len(t, c.Series[0].Points, 2)
	assert.InDelta(t, 0.05, c.Threshold, 1e-9)
	data, title, err := a.Draw(context.Background(), incident(), noon.Add(time.Hour))
	require.NoError(t, err)
	assert.Equal(t, "Errors", title)
	assert.NotEmpty(t, data)
}

func TestARealPrometheusKnowsTheDecisiveSeries(t *testing.T) {
	program, dir := golden.Program(t, "prometheus"), t.TempDir()
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	write("prometheus.yml", "rule_files: [rules.yml]\n")
	write("rules.yml", "groups: [{name: g, rules: [{alert: Errors, expr: '(vector(0.4) > 0.05) and on () (vector(1) > 0)'}]}]\n")
	address := golden.Start(t, dir, program, "/-/ready", func(address string) []string {
		return []string{"--config.file=prometheus.yml", "--storage.tsdb.path=data", "--web.listen-address=" + address}
	})
	inc := incident()
	inc.Status.Alerts[2].StartsAt = metav1.NewTime(time.Now().Add(-time.Minute))
	a := Artist{Store: enrich.Store{URL: address}}
	c, err := a.chart(context.Background(), inc.Status.Alerts[2], time.Now())
	require.NoError(t, err)
	require.Len(t, c.Series, 1)
	assert.Greater(t, len(c.Series[0].Points), 100)
	assert.InDelta(t, 0.4, c.Series[0].Points[0].Value, 1e-9)
	assert.True(t, c.Limited)
	data, _, err := a.Draw(context.Background(), inc, time.Now())
	require.NoError(t, err)
	assert.NotEmpty(t, data)
}

func TestWithoutASeriesThereIsNoPicture(t *testing.T) {
	rule, query := "", ""
	server := prometheus(t, &rule, &query, "[]")
	a := Artist{Store: enrich.Store{URL: server.URL}}
	_, _, err := a.Draw(context.Background(), incident(), noon)
	require.ErrorIs(t, err, ErrNothing, "no rule")
	rule = "up == 0"
	_, _, err = a.Draw(context.Background(), incident(), noon)
	require.ErrorIs(t, err, ErrNothing, "no series")
	_, _, err = a.Draw(context.Background(), &v1alpha1.Incident{}, noon)
	require.ErrorIs(t, err, ErrNothing, "no alert")
	server.Close()
	_, _, err = a.Draw(context.Background(), incident(), noon)
	require.Error(t, err)
}
