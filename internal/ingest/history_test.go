package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/alert"
	"github.com/kubebot/kubebot/internal/pipeline"
)

// firing is an alert that fired, in minutes after noon.
type firing struct {
	name     string
	from, to int
}

// past is a Prometheus that knows alerts, and how it answers when it is asked for too much or is ill.
type past struct {
	alerts []firing
	labels map[string]string // of each
	refuse func(rw http.ResponseWriter, from, to time.Time) bool
}

func (p *past) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	number := func(name string) float64 {
		f, _ := strconv.ParseFloat(r.Form.Get(name), 64)
		return f
	}
	from, to, step := number("start"), number("end"), number("step")
	if p.refuse != nil && p.refuse(rw, time.Unix(int64(from), 0), time.Unix(int64(to), 0)) {
		return
	}
	type series struct {
		Metric map[string]string `json:"metric"`
		Values [][2]any          `json:"values"`
	}
	result := []series{}
	for _, a := range p.alerts {
		s := series{Metric: map[string]string{"__name__": "ALERTS", "alertstate": "firing", "alertname": a.name}}
		maps.Copy(s.Metric, p.labels)
		for at := from; at <= to; at += step {
			if minute := (at - float64(noon.Unix())) / 60; minute >= float64(a.from) && minute <= float64(a.to) {
				s.Values = append(s.Values, [2]any{at, "1"})
			}
		}
		if len(s.Values) > 0 {
			result = append(result, s)
		}
	}
	_ = json.NewEncoder(rw).Encode(map[string]any{"status": "success", "data": map[string]any{"resultType": "matrix", "result": result}})
}

// learning is a store whose Incidents the index then knows, as the pipeline's are. Each alert is kept as "name from-to".
type learning struct {
	index *pipeline.Index
	got   []string
}

func (l *learning) store(_ context.Context, alerts []alert.Alert) error {
	for _, a := range alerts {
		l.got = append(l.got, fmt.Sprintf("%s %g-%g", a.Name(), a.StartsAt.Sub(noon).Minutes(), a.EndsAt.Sub(noon).Minutes()))
		end, n := metav1.NewTime(a.EndsAt), int64(len(l.got))
		l.index.Put(&v1alpha1.Incident{ObjectMeta: metav1.ObjectMeta{Name: pipeline.IncidentName("uid", "h", n)}, Spec: v1alpha1.IncidentSpec{GroupKey: "h", Number: n,
			OpeningAlerts: []v1alpha1.IncidentAlert{{Name: a.Name(), Fingerprint: a.Fingerprint, StartsAt: metav1.NewTime(a.StartsAt), EndsAt: &end}}}})
	}
	return nil
}

// TestHistoryOfALongOutage reads 5 hours. An hour is a slice, so that minutes 60, 120, 180 and 240 are between two.
func TestHistoryOfALongOutage(t *testing.T) {
	longer := func(most time.Duration, answer http.HandlerFunc) func(http.ResponseWriter, time.Time, time.Time) bool {
		return func(rw http.ResponseWriter, from, to time.Time) bool {
			if to.Sub(from) <= most {
				return false
			}
			answer(rw, nil)
			return true
		}
	}
	fails := func(kind string, code int) http.HandlerFunc {
		return func(rw http.ResponseWriter, _ *http.Request) {
			rw.WriteHeader(code)
			_, _ = fmt.Fprintf(rw, `{"status":"error","errorType":%q,"error":"that is too much"}`, kind)
		}
	}
	alerts := []firing{{"Within", 10, 20}, {"Across", 50, 70}, {"Long", 30, 230}, {"AtTheEdge", 90, 120}, {"FromTheEdge", 180, 190}, {"Twice", 5, 6}, {"Twice", 250, 251},
		{"Standing", 100, 300}, {"Watchdog", 0, 100}}
	want := []string{"Within 10-20", "Across 50-70", "Long 30-230", "AtTheEdge 90-120", "FromTheEdge 180-190", "Twice 5-6", "Twice 250-251"}
	for name, c := range map[string]struct {
		refuse func(http.ResponseWriter, time.Time, time.Time) bool
		fails  string
		want   []string
		until  int // up to which minute nothing was missed
	}{
		"hour by hour": {nil, "", want, 300},
		"in shorter slices where an answer is too long": {longer(20*time.Minute, func(rw http.ResponseWriter, _ *http.Request) {
			_, _ = rw.Write([]byte(strings.Repeat(" ", maxHistory+1)))
		}), "", want, 300},
		"in shorter slices where Prometheus loads too much": {longer(20*time.Minute, fails("execution", http.StatusUnprocessableEntity)), "", want, 300},
		"in shorter slices where it takes too long":         {longer(5*time.Minute, fails("timeout", http.StatusServiceUnavailable)), "", want, 300},
		"not at all where no slice is short enough":         {longer(0, fails("execution", http.StatusUnprocessableEntity)), "that is too much", nil, 0},
		"up to where Prometheus is ill": {func(rw http.ResponseWriter, _, to time.Time) bool {
			if !to.After(noon.Add(2 * time.Hour)) {
				return false
			}
			fails("internal", http.StatusInternalServerError)(rw, nil)
			return true
		}, "server error: 500", []string{"Within 10-20", "Across 50-70", "Twice 5-6"}, 120},
	} {
		t.Run(name, func(t *testing.T) {
			prometheus := &past{alerts: alerts, refuse: c.refuse}
			server := httptest.NewServer(prometheus)
			defer server.Close()
			h, now := heartbeat(t)
			h.Arrived("kubebot")
			require.NoError(t, h.Sync(t.Context()))
			require.NoError(t, h.Sync(t.Context()))
			*now = noon.Add(5 * time.Hour)
			l := &learning{index: pipeline.NewIndex("uid")}
			history := &History{URL: server.URL, HTTP: http.DefaultClient, Store: l.store, Index: l.index, Heartbeat: h, Now: h.Now, Log: logr.Discard()}
			err := history.Read(t.Context())
			if c.fails == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, c.fails)
			}
			assert.ElementsMatch(t, c.want, l.got)
			assert.Equal(t, time.Duration(c.until)*time.Minute, h.Last().History.Sub(noon))
			prometheus.refuse = nil
			require.NoError(t, history.Read(t.Context()))
			assert.Len(t, l.got, len(want), "what is read later completes it, and nothing comes twice")
		})
	}
}

func TestHistoryIsReadAsFarAsItCanBeStored(t *testing.T) {
	server := httptest.NewServer(&past{alerts: []firing{{"First", 10, 20}, {"Second", 70, 80}}})
	defer server.Close()
	h, now := heartbeat(t)
	h.Arrived("kubebot")
	require.NoError(t, h.Sync(t.Context()))
	require.NoError(t, h.Sync(t.Context()))
	*now = noon.Add(3 * time.Hour)
	l := &learning{index: pipeline.NewIndex("uid")}
	full := errors.New("the API server is away")
	history := &History{URL: server.URL, HTTP: http.DefaultClient, Index: l.index, Heartbeat: h, Now: h.Now, Log: logr.Discard(), Store: func(ctx context.Context, alerts []alert.Alert) error {
		if len(l.got) > 0 {
			return full
		}
		return l.store(ctx, alerts)
	}}
	require.ErrorIs(t, history.Read(t.Context()), full)
	assert.Equal(t, time.Hour, h.Last().History.Sub(noon), "the second hour is read again")
}
