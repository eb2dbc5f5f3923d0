package ingest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubebot/kubebot/internal/alert"
)

// silenceOf makes a silence as Alertmanager tells of it, with times in minutes after noon.
func silenceOf(from, to int, matchers ...string) string {
	at := func(minutes int) string { return noon.Add(time.Duration(minutes) * time.Minute).Format(time.RFC3339) }
	return fmt.Sprintf(`{"id":"x","matchers":[%s],"startsAt":%q,"endsAt":%q,"status":{"state":"expired"}}`, strings.Join(matchers, ","), at(from), at(to))
}

func matching(name, value string, regex, equal bool) string {
	return fmt.Sprintf(`{"name":%q,"value":%q,"isRegex":%t,"isEqual":%t}`, name, value, regex, equal)
}

// outage returns a History that has missed the alert A in namespace shop, which fired from minute 10 to minute 20 of an hour
// without a responder, and what it stores. Alertmanager and Prometheus answer as given; an empty answer is an error.
func outage(t *testing.T, silences, config *string) (*History, *kept, *time.Time) {
	t.Helper()
	mux := http.NewServeMux()
	answer := func(path string, text *string) {
		mux.HandleFunc(path, func(rw http.ResponseWriter, _ *http.Request) {
			if *text == "" {
				rw.WriteHeader(http.StatusBadGateway)
			}
			_, _ = rw.Write([]byte(*text))
		})
	}
	answer("/api/v2/silences", silences)
	answer("/api/v1/status/config", config)
	mux.HandleFunc("/api/v1/query_range", (&past{alerts: []firing{{"A", 10, 20}}, labels: map[string]string{"namespace": "shop"}}).ServeHTTP)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	h, now := heartbeat(t)
	h.Arrived("kubebot")
	require.NoError(t, h.Sync(t.Context()))
	require.NoError(t, h.Sync(t.Context()))
	*now = noon.Add(time.Hour)
	k := &kept{}
	return &History{URL: server.URL, AlertmanagerURL: server.URL, HTTP: http.DefaultClient, Store: k.store, Index: holding(), Heartbeat: h, Now: h.Now, Log: logr.Discard()}, k, now
}

func TestWhatAlertmanagerSilencedIsNotToldAfterAnOutage(t *testing.T) {
	name, namespace := matching("alertname", "A", false, true), matching("namespace", "shop", false, true)
	for title, c := range map[string]struct {
		silences []string
		told     bool
	}{
		"no silence":                         {nil, true},
		"a silence of all that time":         {[]string{silenceOf(0, 60, name, namespace)}, false},
		"one that began later":               {[]string{silenceOf(11, 60, name)}, true},
		"one that ended before":              {[]string{silenceOf(0, 19, name)}, true},
		"two in turn":                        {[]string{silenceOf(15, 60, name), silenceOf(0, 15, name)}, false},
		"two with a gap":                     {[]string{silenceOf(0, 14, name), silenceOf(15, 60, name)}, true},
		"one of another alert":               {[]string{silenceOf(0, 60, matching("alertname", "B", false, true))}, true},
		"one of another namespace":           {[]string{silenceOf(0, 60, name, matching("namespace", "other", false, true))}, true},
		"a regular expression":               {[]string{silenceOf(0, 60, matching("namespace", "sh.*|x", true, true))}, false},
		"one that fits a part of the value":  {[]string{silenceOf(0, 60, matching("namespace", "sho", true, true))}, true},
		"one of all but this":                {[]string{silenceOf(0, 60, matching("namespace", "shop", false, false))}, true},
		"one of all but others":              {[]string{silenceOf(0, 60, matching("namespace", "o.*", true, false))}, false},
		"one without a label that it has":    {[]string{silenceOf(0, 60, matching("namespace", "", false, true))}, true},
		"one of an Alertmanager before 0.22": {[]string{silenceOf(0, 60, `{"name":"alertname","value":"A","isRegex":false}`)}, false},
		"an external label of Prometheus":    {[]string{silenceOf(0, 60, name, matching("cluster", "main", false, true))}, false},
		"another cluster":                    {[]string{silenceOf(0, 60, name, matching("cluster", "other", false, true))}, true},
	} {
		t.Run(title, func(t *testing.T) {
			silences, config := "["+strings.Join(c.silences, ",")+"]", `{"status":"success","data":{"yaml":"global: {external_labels: {cluster: main}}"}}`
			h, k, now := outage(t, &silences, &config)
			require.NoError(t, h.Read(t.Context()))
			got := k.take()
			assert.Len(t, got, map[bool]int{true: 1}[c.told])
			for _, a := range got {
				assert.Contains(t, a.Annotations[alert.AnnotationDescription], "found in Prometheus afterwards")
				assert.NotContains(t, a.Annotations[alert.AnnotationDescription], "for certain")
			}
			assert.True(t, h.Heartbeat.Last().History.Equal(*now))
		})
	}
}

func TestPastAlertsWaitForAlertmanagerButNotForever(t *testing.T) {
	silence := "[" + silenceOf(0, 60, matching("alertname", "A", false, true)) + "]"
	config := `{"status":"success","data":{"yaml":"global: {}"}}`
	others := "[" + silenceOf(0, 60, matching("cluster", "other", false, false)) + "]"
	for name, c := range map[string]struct {
		silences, config string
		told             int // in the end
	}{
		"an Alertmanager that does not answer":          {"", config, 1},
		"a silence that can't be read":                  {"[" + silenceOf(0, 60, matching("alertname", "(", true, true)) + "]", config, 1},
		"a Prometheus that hides its configuration":     {silence, "", 0},
		"one that hides what the silence asks for":      {others, "", 1},
		"a configuration of Prometheus that is no YAML": {silence, `{"status":"success","data":{"yaml":"{"}}`, 0},
	} {
		t.Run(name, func(t *testing.T) {
			silences, answer := c.silences, c.config
			h, k, now := outage(t, &silences, &answer)
			require.Error(t, h.Read(t.Context()))
			*now = now.Add(silencePatience - time.Second)
			require.Error(t, h.Read(t.Context()))
			assert.Empty(t, k.take())
			assert.True(t, h.Heartbeat.Last().History.Equal(noon), "it is read again")
			*now = now.Add(time.Second)
			require.NoError(t, h.Read(t.Context()))
			got := k.take()
			assert.Len(t, got, c.told)
			for _, a := range got {
				assert.Contains(t, a.Annotations[alert.AnnotationDescription], "Which silences held then could not be found out for certain.")
			}
		})
		t.Run(name+" for a while", func(t *testing.T) {
			silences, answer := c.silences, c.config
			h, k, now := outage(t, &silences, &answer)
			require.Error(t, h.Read(t.Context()))
			silences, answer = silence, config
			*now = now.Add(time.Minute)
			require.NoError(t, h.Read(t.Context()))
			assert.Empty(t, k.take())
		})
	}
}
