package silence_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/interact/silence"
	"github.com/kubebot/kubebot/internal/testutil/golden"
)

// alertmanager runs the real one with a firing alert.
func alertmanager(t *testing.T) string {
	t.Helper()
	program, dir := golden.Program(t, "alertmanager"), t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "alertmanager.yaml"), []byte("route: {receiver: none}\nreceivers: [{name: none}]\n"), 0o600))
	address := golden.Start(t, dir, program, "/-/ready", func(address string) []string {
		return []string{"--config.file=alertmanager.yaml", "--storage.path=" + dir, "--cluster.listen-address=", "--web.listen-address=" + address}
	})
	body := `[{"labels":{"alertname":"A","severity":"critical","namespace":"shop","workload":"checkout","pod":"checkout-2"}},
		{"labels":{"alertname":"A","severity":"critical","namespace":"shop","workload":"catalog","pod":"catalog-1"}}]`
	resp, err := http.Post(address+"/api/v2/alerts", "application/json", strings.NewReader(body))
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusOK, resp.StatusCode)
	return address
}

func get(t *testing.T, address string, into any) {
	t.Helper()
	resp, err := http.Get(address)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	var b bytes.Buffer
	_, err = b.ReadFrom(resp.Body)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b.Bytes(), into))
}

// suppressed are the workloads whose alerts Alertmanager is silent about.
func suppressed(t *testing.T, address string) []string {
	t.Helper()
	var alerts []struct {
		Labels map[string]string
		Status struct{ State string }
	}
	get(t, address+"/api/v2/alerts", &alerts)
	var list []string
	for _, a := range alerts {
		if a.Status.State == "suppressed" {
			list = append(list, a.Labels["workload"])
		}
	}
	return list
}

func keeper(t *testing.T, address string) (*silence.Keeper, client.Client) {
	t.Helper()
	scheme := runtime.NewScheme()
	require.NoError(t, v1alpha1.AddToScheme(scheme))
	inc := &v1alpha1.Incident{ObjectMeta: metav1.ObjectMeta{Name: "main-1", Namespace: "kubebot"}}
	inc.Spec.KubeBot = "main"
	inc.Status.State = v1alpha1.IncidentOpen
	inc.Status.Alerts = []v1alpha1.IncidentAlert{{Fingerprint: "1", Name: "A", Severity: v1alpha1.SeverityCritical, State: v1alpha1.AlertFiring,
		Source: v1alpha1.AlertSourceAlertmanager, Labels: map[string]string{"namespace": "shop", "workload": "checkout", "pod": "checkout-1"}}}
	c := fake.NewClientBuilder().WithScheme(scheme).WithStatusSubresource(inc).WithObjects(inc).Build()
	return &silence.Keeper{URL: address, HTTP: http.DefaultClient, Client: c, Now: time.Now, Log: logr.Discard(), All: func() []*v1alpha1.Incident { return nil }}, c
}

// ask changes what is asked for.
func ask(t *testing.T, c client.Client, s *v1alpha1.SilenceRequest) {
	t.Helper()
	inc := &v1alpha1.Incident{}
	require.NoError(t, c.Get(context.Background(), client.ObjectKey{Namespace: "kubebot", Name: "main-1"}, inc))
	inc.Spec.Silence = s
	require.NoError(t, c.Update(context.Background(), inc))
}

func until(d time.Duration) metav1.Time {
	return metav1.NewTime(time.Now().Add(d).Truncate(time.Second))
}

func TestASilenceIsMadeLengthenedAndEndedInARealAlertmanager(t *testing.T) {
	address := alertmanager(t)
	k, c := keeper(t, address)
	second, _ := keeper(t, address)
	second.Client = c
	ask(t, c, &v1alpha1.SilenceRequest{By: "anna (Slack U0000000011)", Until: until(time.Hour)})
	first, err := k.Settle(context.Background(), "kubebot", "main-1")
	require.NoError(t, err)
	assert.Equal(t, v1alpha1.SilenceActive, first.State)
	require.Eventually(t, func() bool { return len(suppressed(t, address)) == 1 }, 10*time.Second, 50*time.Millisecond)
	assert.Equal(t, []string{"checkout"}, suppressed(t, address), "another pod of the same workload, and nothing else")

	var list []struct {
		ID, CreatedBy, Comment string
		Status                 struct{ State string }
	}
	get(t, address+"/api/v2/silences", &list)
	require.Len(t, list, 1)
	assert.Equal(t, "anna (Slack U0000000011)", list[0].CreatedBy)
	assert.Contains(t, list[0].Comment, "Incident kubebot/main-1 of KubeBot main, silenced by anna (Slack U0000000011)")

	ask(t, c, &v1alpha1.SilenceRequest{By: "ben", Until: until(24 * time.Hour)})
	longer, err := second.Settle(context.Background(), "kubebot", "main-1")
	require.NoError(t, err)
	assert.Equal(t, first.ID, longer.ID, "the same silence goes on")
	get(t, address+"/api/v2/silences", &list)
	assert.Len(t, list, 1)

	ask(t, c, nil)
	gone, err := k.Settle(context.Background(), "kubebot", "main-1")
	require.NoError(t, err)
	assert.Nil(t, gone)
	require.Eventually(t, func() bool { return len(suppressed(t, address)) == 0 }, 10*time.Second, 50*time.Millisecond)
}

func TestALostAnswerLeadsToNoSecondSilence(t *testing.T) {
	address := alertmanager(t)
	k, c := keeper(t, address)
	ask(t, c, &v1alpha1.SilenceRequest{By: "anna", Until: until(time.Hour)})
	lose := true
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := new(bytes.Buffer)
		_, _ = body.ReadFrom(r.Body)
		req, _ := http.NewRequestWithContext(r.Context(), r.Method, address+r.URL.RequestURI(), body)
		req.Header = r.Header
		resp, err := http.DefaultClient.Do(req)
		if err != nil || lose && r.Method == http.MethodPost {
			lose = false
			panic(http.ErrAbortHandler)
		}
		defer func() { _ = resp.Body.Close() }()
		w.WriteHeader(resp.StatusCode)
		answer := new(bytes.Buffer)
		_, _ = answer.ReadFrom(resp.Body)
		_, _ = w.Write(answer.Bytes())
	}))
	defer proxy.Close()
	k.URL = proxy.URL
	status, err := k.Settle(context.Background(), "kubebot", "main-1")
	require.Error(t, err)
	assert.Equal(t, v1alpha1.SilenceFailed, status.State)
	status, err = k.Settle(context.Background(), "kubebot", "main-1")
	require.NoError(t, err)
	assert.Equal(t, v1alpha1.SilenceActive, status.State)
	var list []any
	get(t, address+"/api/v2/silences", &list)
	assert.Len(t, list, 1)
}

func TestWithoutAnAlertmanagerTheReasonIsRecorded(t *testing.T) {
	k, c := keeper(t, "")
	ask(t, c, &v1alpha1.SilenceRequest{Until: until(time.Hour)})
	status, err := k.Settle(context.Background(), "kubebot", "main-1")
	require.Error(t, err)
	assert.Equal(t, v1alpha1.SilenceFailed, status.State)
	assert.Contains(t, status.Message, "no Alertmanager")
}

func TestAnAnswerThatIsTooLargeIsSaid(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		for range 33 {
			_, _ = rw.Write(bytes.Repeat([]byte(" "), 1<<20))
		}
	}))
	defer server.Close()
	k, c := keeper(t, server.URL)
	ask(t, c, &v1alpha1.SilenceRequest{Until: until(time.Hour)})
	status, err := k.Settle(context.Background(), "kubebot", "main-1")
	require.Error(t, err)
	assert.Contains(t, status.Message, "the answer is larger than 32 MiB")
}

func TestReceiversAreToldOfTheEndBeforeTheRecordGoes(t *testing.T) {
	address := alertmanager(t)
	k, c := keeper(t, address)
	inc := &v1alpha1.Incident{}
	require.NoError(t, c.Get(context.Background(), client.ObjectKey{Namespace: "kubebot", Name: "main-1"}, inc))
	told := until(time.Hour)
	inc.Status.Silence = &v1alpha1.SilenceStatus{State: v1alpha1.SilenceActive, Until: told, ToldUntil: &told}
	require.NoError(t, c.Status().Update(context.Background(), inc))
	status, err := k.Settle(context.Background(), "kubebot", "main-1")
	require.NoError(t, err)
	require.NotNil(t, status)
	assert.Equal(t, v1alpha1.SilenceEnded, status.State)
	require.NoError(t, c.Get(context.Background(), client.ObjectKey{Namespace: "kubebot", Name: "main-1"}, inc))
	assert.True(t, silence.Settled(inc, time.Now()), "now it is the pipeline's turn")
}
