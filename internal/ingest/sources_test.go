package ingest

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/alert"
	"github.com/kubebot/kubebot/internal/pipeline"
)

// kept is a store that keeps what it is given.
type kept struct {
	alerts []alert.Alert
	err    error
}

func (k *kept) store(_ context.Context, alerts []alert.Alert) error {
	k.alerts = append(k.alerts, alerts...)
	return k.err
}

func (k *kept) take() []alert.Alert {
	list := k.alerts
	k.alerts = nil
	return list
}

// holding returns an index with one open Incident that holds the given alerts.
func holding(records ...v1alpha1.IncidentAlert) *pipeline.Index {
	index := pipeline.NewIndex("uid")
	inc := &v1alpha1.Incident{ObjectMeta: metav1.ObjectMeta{Name: pipeline.IncidentName("uid", "k", 1), ResourceVersion: "1"},
		Spec: v1alpha1.IncidentSpec{GroupKey: "k", Number: 1}, Status: v1alpha1.IncidentStatus{State: v1alpha1.IncidentOpen, Alerts: records}}
	index.Put(inc)
	return index
}

func stored(name, fingerprint string, labels map[string]string) v1alpha1.IncidentAlert {
	return v1alpha1.IncidentAlert{Name: name, Fingerprint: fingerprint, State: v1alpha1.AlertFiring, Source: v1alpha1.AlertSourceAlertmanager,
		StartsAt: metav1.NewTime(noon), Labels: labels}
}

// alertmanager serves the API as Alertmanager answered it, with the given alerts and start.
func alertmanager(t *testing.T, alerts *string, started time.Time) string {
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/api/v2/alerts":
			_, _ = rw.Write([]byte(*alerts))
		case "/api/v2/status":
			_ = json.NewEncoder(rw).Encode(map[string]any{"uptime": started})
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func golden(t *testing.T, name string) string {
	data, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(t, err)
	return string(data)
}

func TestComparison(t *testing.T) {
	const known = "9c81e59640bc7c9a"
	suppressed := `[{"labels":{"alertname":"Quiet"},"receivers":[{"name":"kubebot"}],"status":{"state":"suppressed"}}]`
	elsewhere := `[{"labels":{"alertname":"Other"},"receivers":[{"name":"mail"}],"status":{"state":"active"}}]`
	quiet := alert.Fingerprint(map[string]string{"alertname": "Quiet"})
	for name, c := range map[string]struct {
		here   []v1alpha1.IncidentAlert
		there  string
		uptime time.Duration
		first  []string // fingerprints stored by the first comparison, + for firing and - for ended
		second []string
	}{
		"what fires there and is unknown here comes in": {nil, golden(t, "alerts.json"), time.Hour, []string{"+" + known}, []string{"+" + known}},
		"what is known stays":                           {[]v1alpha1.IncidentAlert{stored("WorkloadDown", known, nil)}, golden(t, "alerts.json"), time.Hour, nil, nil},
		"what is gone there twice ends":                 {[]v1alpha1.IncidentAlert{stored("Gone", "g", nil)}, "[]", time.Hour, nil, []string{"-g"}},
		"a young Alertmanager has forgotten its alerts": {[]v1alpha1.IncidentAlert{stored("Gone", "g", nil)}, "[]", time.Minute, nil, nil},
		"what is silenced there does not come in":       {nil, suppressed, time.Hour, nil, nil},
		"what is silenced there does not end":           {[]v1alpha1.IncidentAlert{stored("Quiet", quiet, nil)}, suppressed, time.Hour, nil, nil},
		"what goes to others does not come in":          {nil, elsewhere, time.Hour, nil, nil},
		"the watchdog is no news":                       {nil, `[{"labels":{"alertname":"Watchdog"},"receivers":[{"name":"kubebot"}],"status":{"state":"active"}}]`, time.Hour, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			k := &kept{}
			compare := &Comparison{URL: alertmanager(t, &c.there, noon.Add(-c.uptime)), HTTP: http.DefaultClient, Store: k.store, Index: holding(c.here...),
				Receiver: func() string { return "kubebot" }, Now: func() time.Time { return noon }, Log: logr.Discard()}
			for _, want := range [][]string{c.first, c.second} {
				require.NoError(t, compare.Compare(t.Context()))
				var got []string
				for _, a := range k.take() {
					got = append(got, map[bool]string{true: "+", false: "-"}[a.Firing()]+a.Fingerprint)
				}
				assert.Equal(t, want, got)
			}
		})
	}
}

func TestComparisonSaysWhatAlertmanagerAnswered(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { http.Error(rw, "out of order", http.StatusBadGateway) }))
	defer server.Close()
	compare := &Comparison{URL: server.URL, HTTP: http.DefaultClient, Index: holding(), Now: time.Now}
	require.ErrorContains(t, compare.Compare(t.Context()), "502 Bad Gateway: out of order")
}

func TestComparisonSaysThatAnAnswerIsTooLarge(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		for range maxAnswer>>20 + 1 {
			_, _ = rw.Write(bytes.Repeat([]byte(" "), 1<<20))
		}
	}))
	defer server.Close()
	compare := &Comparison{URL: server.URL, HTTP: http.DefaultClient, Index: holding(), Now: time.Now}
	require.ErrorContains(t, compare.Compare(t.Context()), "the answer is larger than 64 MiB")
}

// heartbeat returns a heartbeat on a store of its own, and its clock.
func heartbeat(t *testing.T) (*Heartbeat, *time.Time) {
	t.Helper()
	now := noon
	return &Heartbeat{Client: fake.NewClientBuilder().WithScheme(scheme.Scheme).Build(), KubeBot: "main", Namespace: "kubebot", UID: "uid",
		Replica: "a", Now: func() time.Time { return now }, Log: logr.Discard()}, &now
}

func TestHeartbeatIsSharedThroughTheLeaseAndWrittenSeldom(t *testing.T) {
	a, now := heartbeat(t)
	b := &Heartbeat{Client: a.Client, KubeBot: a.KubeBot, Namespace: a.Namespace, Now: a.Now}
	require.NoError(t, a.Sync(t.Context()))
	assert.True(t, a.Last().Seen.IsZero())
	a.Arrived("kubebot")
	require.NoError(t, a.Sync(t.Context()))
	require.NoError(t, b.Sync(t.Context()))
	assert.True(t, b.Last().Seen.Equal(noon), "the other replica sees it")
	assert.Equal(t, "kubebot", b.Last().Receiver)
	*now = now.Add(20 * time.Second)
	a.Arrived("kubebot")
	require.NoError(t, a.Sync(t.Context()))
	require.NoError(t, a.Sync(t.Context()))
	assert.True(t, a.Last().Seen.Equal(noon), "at most one write in 30 s")
}

func TestHeartbeatAfterAGapKeepsTheTimeUpToWhichNothingWasMissed(t *testing.T) {
	h, now := heartbeat(t)
	h.Arrived("kubebot")
	require.NoError(t, h.Sync(t.Context()))
	*now = noon.Add(time.Minute)
	h.Arrived("kubebot")
	require.NoError(t, h.Sync(t.Context()))
	require.NoError(t, h.Sync(t.Context()))
	assert.True(t, h.Last().History.Equal(noon.Add(time.Minute)))
	*now = noon.Add(time.Hour)
	h.Arrived("kubebot")
	require.NoError(t, h.Sync(t.Context()))
	assert.True(t, h.Last().Seen.Equal(noon.Add(time.Hour)))
	assert.True(t, h.Last().History.Equal(noon.Add(time.Minute)), "until the history was read")
	require.NoError(t, h.ReadUntil(t.Context(), *now))
	assert.True(t, h.Last().History.Equal(*now))
}

// TestHistory asks about an hour without a responder.
func TestHistory(t *testing.T) {
	series := func(labels string, from, to time.Duration) string {
		values := ""
		for at := from; at <= to; at += 15 * time.Second {
			if values != "" {
				values += ","
			}
			values += `[` + jsonTime(noon.Add(at)) + `,"1"]`
		}
		return `{"metric":{"__name__":"ALERTS","alertstate":"firing",` + labels + `},"values":[` + values + `]}`
	}
	var asked atomic.Value
	answer := ""
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		asked.Store(r.Form.Get("query"))
		_, _ = rw.Write([]byte(`{"status":"success","data":{"resultType":"matrix","result":[` + answer + `]}}`))
	}))
	defer server.Close()
	for name, c := range map[string]struct {
		series string
		here   []v1alpha1.IncidentAlert
		want   int
	}{
		"what fired and ended is recorded":   {series(`"alertname":"A","namespace":"shop"`, 10*time.Minute, 20*time.Minute), nil, 1},
		"twice is twice":                     {series(`"alertname":"A"`, 10*time.Minute, 20*time.Minute) + "," + series(`"alertname":"A"`, 30*time.Minute, 31*time.Minute), nil, 2},
		"what still fires comes another way": {series(`"alertname":"A"`, 10*time.Minute, time.Hour), nil, 0},
		"what an Incident holds is no news":  {series(`"alertname":"A","namespace":"shop"`, 10*time.Minute, 20*time.Minute), []v1alpha1.IncidentAlert{stored("A", "f", map[string]string{"namespace": "shop", "cluster": "x"})}, 0},
		"the same name elsewhere is news":    {series(`"alertname":"A","namespace":"shop"`, 10*time.Minute, 20*time.Minute), []v1alpha1.IncidentAlert{stored("A", "f", map[string]string{"namespace": "other"})}, 1},
		"the watchdog makes no Incident":     {series(`"alertname":"Watchdog"`, 10*time.Minute, 20*time.Minute), nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			h, now := heartbeat(t)
			h.Arrived("kubebot")
			require.NoError(t, h.Sync(t.Context()))
			require.NoError(t, h.Sync(t.Context()))
			*now = noon.Add(time.Hour)
			k := &kept{}
			answer = c.series
			history := &History{URL: server.URL, HTTP: http.DefaultClient, Store: k.store, Index: holding(c.here...), Heartbeat: h,
				Now: func() time.Time { return *now }, Log: logr.Discard()}
			require.NoError(t, history.Read(t.Context()))
			assert.Equal(t, `ALERTS{alertstate="firing"}`, asked.Load())
			got := k.take()
			require.Len(t, got, c.want)
			for _, a := range got {
				assert.False(t, a.Firing())
				assert.Equal(t, v1alpha1.AlertSourceHistory, a.Source)
				assert.NotContains(t, a.Labels, "alertstate")
			}
			assert.True(t, h.Last().History.Equal(*now))
		})
	}
}

func TestHistoryIsAskedAgainWhenItCouldNotBeStored(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		_, _ = rw.Write([]byte(`{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"alertname":"A"},"values":[[` + jsonTime(noon.Add(time.Minute)) + `,"1"]]}]}}`))
	}))
	defer server.Close()
	h, now := heartbeat(t)
	h.Arrived("kubebot")
	require.NoError(t, h.Sync(t.Context()))
	require.NoError(t, h.Sync(t.Context()))
	*now = noon.Add(time.Hour)
	k := &kept{err: context.DeadlineExceeded}
	history := &History{URL: server.URL, HTTP: http.DefaultClient, Store: k.store, Index: holding(), Heartbeat: h, Now: h.Now, Log: logr.Discard()}
	require.ErrorIs(t, history.Read(t.Context()), context.DeadlineExceeded)
	assert.True(t, h.Last().History.Equal(noon))
}

func jsonTime(t time.Time) string {
	data, _ := json.Marshal(t.Unix())
	return string(data)
}
