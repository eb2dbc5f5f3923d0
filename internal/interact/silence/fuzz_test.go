package silence_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/interact/silence"
)

// canned answers reads and writes without a network.
type canned struct {
	status     int
	read, made string
}

func (c canned) RoundTrip(r *http.Request) (*http.Response, error) {
	body := c.read
	if r.Method == http.MethodPost {
		body = c.made
	}
	return &http.Response{StatusCode: c.status, Status: "x", Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

// FuzzAnswers checks that whatever Alertmanager answers, what is recorded of a silence fits an Incident and never says that
// a silence holds of which no identity is known.
func FuzzAnswers(f *testing.F) {
	f.Add(200, `[]`, `{"silenceID":"0b8e7a52-2ab0-4cfb-9a0c-2d5a3d5a2f11"}`, false)
	f.Add(200, `[{"id":"a","comment":"Incident kubebot/inc of KubeBot main, x","status":{"state":"active"}}]`, `{}`, true)
	f.Add(200, `[{"id":"../../x","comment":"Incident kubebot/inc of KubeBot main, x","status":null}]`, `{"silenceID":7}`, false)
	f.Add(200, `null`, ``, true)
	f.Add(503, `<html>`, `<html>`, false)
	scheme := runtime.NewScheme()
	require.NoError(f, v1alpha1.AddToScheme(scheme))
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	f.Fuzz(func(t *testing.T, status int, read, made string, end bool) {
		until := metav1.NewTime(now.Add(time.Hour))
		inc := &v1alpha1.Incident{
			ObjectMeta: metav1.ObjectMeta{Namespace: "kubebot", Name: "inc"},
			Spec:       v1alpha1.IncidentSpec{KubeBot: "main", Silence: &v1alpha1.SilenceRequest{By: "ann", Until: until}},
			Status: v1alpha1.IncidentStatus{Alerts: []v1alpha1.IncidentAlert{{Name: "A", Fingerprint: "0123456789abcdef", Source: v1alpha1.AlertSourceAlertmanager,
				State: v1alpha1.AlertFiring, Labels: map[string]string{"namespace": "shop"}}}},
		}
		if end {
			inc.Spec.Silence, inc.Status.Silence = nil, &v1alpha1.SilenceStatus{State: v1alpha1.SilenceActive, ID: "a", Until: until, ToldUntil: &until}
		}
		keeper := &silence.Keeper{
			URL: "http://alertmanager.invalid", HTTP: &http.Client{Transport: canned{200 + (status%400+400)%400, read, made}},
			Client: fake.NewClientBuilder().WithScheme(scheme).WithStatusSubresource(inc).WithObjects(inc).Build(),
			Now:    func() time.Time { return now }, Log: logr.Discard(),
		}
		got, err := keeper.Settle(t.Context(), "kubebot", "inc")
		if got == nil {
			t.Fatalf("nothing is recorded: %v", err)
		}
		if len(got.ID) > 64 || len(got.Message) > 512 || err == nil && got.State == v1alpha1.SilenceActive && got.ID == "" || err != nil && got.Message == "" {
			t.Errorf("recorded %+v, %v", got, err)
		}
	})
}
