package picture

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/alert"
	"github.com/kubebot/kubebot/internal/enrich"
)

const (
	// before and after are how much of the time around the beginning is shown.
	before = 45 * time.Minute
	after  = 15 * time.Minute
	// points of a series, and how many series.
	maxPoints = 240
	maxSeries = 5
)

// ErrNothing means that no series decided: no rule of Prometheus made the alert, or the series are gone.
var ErrNothing = errors.New("there is no decisive series")

// Artist finds and draws the decisive series of Incidents.
type Artist struct{ Store enrich.Store }

// Draw returns the picture of the worst alert of an Incident as PNG, and what it shows in words. ErrNothing says that
// there is none.
func (a Artist) Draw(ctx context.Context, inc *v1alpha1.Incident, now time.Time) (png []byte, title string, err error) {
	alerts := slices.Clone(inc.Status.Alerts)
	alerts = slices.DeleteFunc(alerts, func(x v1alpha1.IncidentAlert) bool { return x.Source == v1alpha1.AlertSourceWatch })
	slices.SortStableFunc(alerts, func(x, y v1alpha1.IncidentAlert) int { return alert.Rank(y.Severity) - alert.Rank(x.Severity) })
	if len(alerts) == 0 {
		return nil, "", ErrNothing
	}
	chart, err := a.chart(ctx, alerts[0], now)
	if err != nil {
		return nil, "", err
	}
	png, err = Render(chart)
	return png, chart.Title, err
}

// chart asks for the series that the alert's rule compares.
func (a Artist) chart(ctx context.Context, of v1alpha1.IncidentAlert, now time.Time) (Chart, error) {
	expr, err := a.rule(ctx, of.Name)
	if err != nil {
		return Chart{}, err
	}
	d := take(expr)
	began := of.StartsAt.Time
	from, to := began.Add(-before), began.Add(after)
	if to.After(now) {
		to = now
	}
	step := max(15*time.Second, to.Sub(from)/maxPoints)
	var answer struct {
		Data struct {
			Result []model.SampleStream `json:"result"`
		} `json:"data"`
	}
	query := url.Values{"query": {d.expr}, "start": {stamp(from)}, "end": {stamp(to)}, "step": {strconv.FormatFloat(step.Seconds(), 'f', -1, 64)}}
	if err := a.Store.Get(ctx, "/api/v1/query_range", query, &answer); err != nil {
		return Chart{}, fmt.Errorf("ask Prometheus for the series of %s: %w", of.Name, err)
	}
	chart := Chart{Title: of.Name, Threshold: d.threshold, Limited: d.limited, Began: began}
	labels := model.LabelSet{}
	for name, value := range of.Labels {
		labels[model.LabelName(name)] = model.LabelValue(value)
	}
	for _, r := range answer.Data.Result {
		if !about(r.Metric, labels) {
			continue
		}
		if s := (Series{Name: legend(r.Metric, labels), Points: points(r.Values)}); len(s.Points) > 1 {
			chart.Series = append(chart.Series, s)
		}
	}
	if len(chart.Series) == 0 {
		return Chart{}, ErrNothing
	}
	slices.SortStableFunc(chart.Series, func(x, y Series) int { return cmp.Compare(x.Name, y.Name) })
	chart.Series = chart.Series[:min(len(chart.Series), maxSeries)]
	return chart, nil
}

func stamp(t time.Time) string { return strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', 3, 64) }

// rule returns the expression of the alert's rule.
func (a Artist) rule(ctx context.Context, name string) (string, error) {
	var answer struct {
		Data struct {
			Groups []struct {
				Rules []struct {
					Name  string `json:"name"`
					Query string `json:"query"`
				} `json:"rules"`
			} `json:"groups"`
		} `json:"data"`
	}
	if err := a.Store.Get(ctx, "/api/v1/rules", url.Values{"type": {"alert"}, "rule_name[]": {name}}, &answer); err != nil {
		return "", fmt.Errorf("ask Prometheus for the rule %s: %w", name, err)
	}
	for _, g := range answer.Data.Groups {
		for _, r := range g.Rules {
			if r.Name == name && r.Query != "" {
				return r.Query, nil
			}
		}
	}
	return "", ErrNothing
}

// about tells whether a series is of what the alert is about: no label says otherwise.
func about(metric model.Metric, labels model.LabelSet) bool {
	for name, value := range metric {
		if want, ok := labels[name]; ok && want != value {
			return false
		}
	}
	return true
}

// legend names a series by the labels that the alert does not have.
func legend(metric model.Metric, labels model.LabelSet) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(metric)) {
		if _, known := labels[name]; !known && name != model.MetricNameLabel {
			parts = append(parts, string(name)+"="+string(metric[name]))
		}
	}
	return strings.Join(parts, " ")
}

func points(pairs []model.SamplePair) []Point {
	var list []Point
	for _, p := range pairs {
		if value := float64(p.Value); !math.IsNaN(value) && !math.IsInf(value, 0) {
			list = append(list, Point{At: p.Timestamp.Time(), Value: value})
		}
	}
	return list
}
