package ingest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubebot/kubebot/api/v1alpha1"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func TestParseReadsWhatAlertmanagerSends(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("testdata", "webhook.json"))
	require.NoError(t, err)
	msg, err := Parse(data, []v1alpha1.SeverityMapping{{Value: "page", Severity: v1alpha1.SeverityCritical}}, noon)
	require.NoError(t, err)
	assert.Equal(t, "kubebot", msg.Receiver)
	require.Len(t, msg.Alerts, 2)
	b, a := msg.Alerts[0], msg.Alerts[1]
	assert.True(t, a.Firing())
	assert.Equal(t, "9c81e59640bc7c9a", a.Fingerprint, "as in the message, which Alertmanager computed")
	assert.Equal(t, v1alpha1.SeverityCritical, a.Severity)
	assert.False(t, b.Firing())
	assert.Equal(t, v1alpha1.SeverityWarning, b.Severity, "an unknown severity is a warning")
}

func TestParseSaysWhatIsWrong(t *testing.T) {
	for body, want := range map[string]string{
		`{`:             "not a webhook message",
		`[]`:            "not a webhook message",
		`{"alerts":[]}`: `version is ""`,
		`{"version":"4","alerts":[{"status":"maybe","labels":{"a":"b"}}]}`:      "alerts[0].status",
		`{"version":"4","alerts":[{"status":"firing"}]}`:                        "alerts[0] has no labels",
		`{"version":"4","alerts":[` + strings.Repeat(`{},`, maxAlerts) + `{}]}`: "holds 20001 alerts",
	} {
		_, err := Parse([]byte(body), nil, noon)
		assert.ErrorContains(t, err, want)
	}
}

func FuzzParse(f *testing.F) {
	data, err := os.ReadFile(filepath.Join("testdata", "webhook.json"))
	require.NoError(f, err)
	f.Add(data)
	f.Add([]byte(`{"version":"4","alerts":[{"status":"resolved","labels":{"":""},"endsAt":"9999-12-31T23:59:59Z"}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		msg, err := Parse(body, nil, noon)
		if err != nil {
			return
		}
		for _, a := range msg.Alerts {
			if len(a.Fingerprint) != 16 || a.StartsAt.IsZero() || a.EndsAt.After(noon) || a.Name() == "" {
				t.Fatalf("an alert that can't be stored came out: %+v", a)
			}
			if _, err := json.Marshal(a); err != nil && a.StartsAt.Year() <= 9999 && a.StartsAt.Year() >= 0 {
				t.Fatal(err)
			}
		}
	})
}
