package responder

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/credentials"
	"github.com/kubebot/kubebot/internal/ingest"
	"github.com/kubebot/kubebot/internal/notify"
	"github.com/kubebot/kubebot/internal/pipeline/config"
)

func TestCriticalAlertIsStoredBeforeTheAnswerAndPushedThenResolved(t *testing.T) {
	r := newRig(t, nil)
	p := r.start("a")
	require.Equal(t, http.StatusOK, p.post(token, body(t, down("checkout", "firing"))))
	require.Len(t, r.incidents(), 1, "2xx means stored")
	require.Eventually(t, func() bool { return len(r.sink.messages()) == 1 }, 30*time.Second, 10*time.Millisecond)
	first := r.sink.messages()[0]
	assert.Equal(t, v1alpha1.TransitionOpened, first.Transition)
	assert.Equal(t, "Deployment shop/checkout", first.Incident.Spec.Subject.Display)

	require.Equal(t, http.StatusOK, p.post(token, body(t, down("checkout", "resolved"))))
	require.Eventually(t, func() bool { return len(r.sink.messages()) == 2 }, 30*time.Second, 10*time.Millisecond)
	second := r.sink.messages()[1]
	assert.Equal(t, v1alpha1.TransitionResolved, second.Transition)
	assert.Equal(t, string(first.Incident.UID), second.Head.ID)
	require.Eventually(t, func() bool {
		inc := r.incidents()[0]
		return inc.Status.State == v1alpha1.IncidentResolved && inc.Status.Receivers == "oncall:Delivered"
	}, 30*time.Second, 20*time.Millisecond)
}

func TestWebhookRefusesWhatItCannotTake(t *testing.T) {
	p := newRig(t, nil).start("a")
	for name, c := range map[string]struct {
		token string
		body  []byte
		want  int
	}{
		"a wrong token":          {"wrong", body(t, down("a", "firing")), http.StatusUnauthorized},
		"no JSON":                {token, []byte("{"), http.StatusBadRequest},
		"another version":        {token, []byte(`{"version":"5"}`), http.StatusBadRequest},
		"a body beyond the size": {token, bytes.Repeat([]byte(" "), ingest.MaxBody+1), http.StatusRequestEntityTooLarge},
		"no alerts":              {token, []byte(`{"version":"4","alerts":[]}`), http.StatusOK},
	} {
		assert.Equal(t, c.want, p.post(c.token, c.body), name)
	}
	assert.Empty(t, p.rig.incidents())
}

func TestPreviousTokenIsAcceptedAfterARotation(t *testing.T) {
	r := newRig(t, nil)
	p := r.start("a")
	r.write(credentials.KeyToken, []byte("new"))
	require.Equal(t, http.StatusUnauthorized, p.post(token, body(t, down("a", "firing"))))
	r.write(credentials.KeyTokenPrevious, []byte(token))
	assert.Equal(t, http.StatusOK, p.post(token, body(t, down("a", "firing"))))
	assert.Equal(t, http.StatusOK, p.post("new", body(t, down("a", "firing"))))
}

func TestTwoReplicasMakeOneIncidentAndOneMessage(t *testing.T) {
	r := newRig(t, nil)
	a, b := r.start("a"), r.start("b")
	var calls sync.WaitGroup
	for i := range 40 {
		p := []*replica{a, b}[i%2]
		one := down("checkout", "firing")
		one.Labels["replica"] = fmt.Sprint(i)
		data := body(t, one)
		calls.Go(func() {
			for p.post(token, data) != http.StatusOK { // Alertmanager sends again after a 503
				time.Sleep(100 * time.Millisecond)
			}
		})
	}
	calls.Wait()
	require.Len(t, r.incidents(), 1)
	require.Eventually(t, func() bool {
		inc := r.incidents()[0]
		return len(inc.Status.Alerts) == 40 && inc.Status.Receivers == "oncall:Delivered"
	}, 60*time.Second, 20*time.Millisecond)
	time.Sleep(2500 * time.Millisecond) // the other replica looks a little later; it must find nothing to do
	assert.Len(t, r.sink.messages(), 1)
}

func TestStormIsStoredWithOneIncidentPerWorkload(t *testing.T) {
	r := newRig(t, nil)
	a, b := r.start("a"), r.start("b")
	const workloads, each = 50, 200
	var calls sync.WaitGroup
	for half := range 2 {
		var alerts []alert
		for w := half; w < workloads; w += 2 {
			for i := range each {
				one := down(fmt.Sprintf("w%d", w), "firing")
				one.Labels["instance"] = fmt.Sprint(i)
				alerts = append(alerts, one)
			}
		}
		p := []*replica{a, b}[half]
		data := body(t, alerts...)
		calls.Go(func() {
			for p.post(token, data) != http.StatusOK { // Alertmanager sends again after a 503
				time.Sleep(100 * time.Millisecond)
			}
		})
	}
	calls.Wait()
	incidents := r.incidents()
	require.Len(t, incidents, workloads)
	stored := 0
	for _, inc := range incidents {
		stored += len(inc.Spec.OpeningAlerts)
	}
	assert.Equal(t, workloads*each, stored)
	require.Eventually(t, func() bool { return len(r.sink.messages()) == workloads }, 2*time.Minute, 50*time.Millisecond)
}

func TestWorkloadWithManyAlertsContinuesInFurtherIncidents(t *testing.T) {
	r := newRig(t, nil)
	p := r.start("a")
	var alerts []alert
	for i := range 1200 {
		one := down("checkout", "firing")
		one.Labels["instance"] = fmt.Sprintf("10.0.%d.%d:8080", i/256, i%256)
		one.Annotations["description"] = strings.Repeat("long text ", 200)
		alerts = append(alerts, one)
	}
	data := body(t, alerts...)
	require.Eventually(t, func() bool { return p.post(token, data) == http.StatusOK }, 30*time.Second, 100*time.Millisecond)
	stored := map[string]bool{}
	for _, inc := range r.incidents() {
		size, err := json.Marshal(inc)
		require.NoError(t, err)
		assert.Less(t, len(size), 256<<10)
		assert.LessOrEqual(t, len(inc.Status.Alerts), 500)
		if inc.Spec.Number > 1 {
			assert.NotEmpty(t, inc.Spec.Continues)
		}
		for _, list := range [][]v1alpha1.IncidentAlert{inc.Status.Alerts, inc.Spec.OpeningAlerts} {
			for _, a := range list {
				stored[a.Fingerprint] = true
			}
		}
	}
	assert.Len(t, stored, 1200)
}

func TestEveryReplicaReportsTheWatchdog(t *testing.T) {
	r := newRig(t, nil)
	a, b := r.start("a"), r.start("b")
	require.True(t, b.report(t).WatchdogSeen.IsZero())
	watchdog := alert{Status: "firing", Labels: map[string]string{"alertname": "Watchdog"}, StartsAt: time.Now()}
	require.Equal(t, http.StatusOK, a.post(token, body(t, watchdog)))
	require.Eventually(t, func() bool { return time.Since(b.report(t).WatchdogSeen) < time.Minute }, 60*time.Second, 100*time.Millisecond)
	assert.Equal(t, "b", b.report(t).Replica)
	assert.Empty(t, r.incidents())
}

func TestConfigurationThatCannotBeUsedIsReportedAndWorkedAround(t *testing.T) {
	r := newRig(t, func(c *config.Config) {
		c.MuteTimes = []v1alpha1.MuteTime{{Name: "night", TimeZone: "Mars/Base"}}
		c.Routes = []v1alpha1.Route{{Receivers: []string{"oncall"}, MuteTimes: []string{"night"}}}
		c.Receivers = append(c.Receivers, v1alpha1.Receiver{Name: "pigeon"})
	})
	p := r.start("a")
	problems := p.report(t).Problems
	require.Len(t, problems, 2)
	assert.Contains(t, problems[0], "Mars/Base")
	assert.Contains(t, problems[1], "pigeon")
	require.Equal(t, http.StatusOK, p.post(token, body(t, down("checkout", "firing"))))
	require.Eventually(t, func() bool { return len(r.sink.messages()) == 1 }, 30*time.Second, 10*time.Millisecond)
}

// blind is a cache that watches nothing.
type blind struct{ cache.Cache }

func (blind) GetInformer(context.Context, client.Object, ...cache.InformerGetOption) (cache.Informer, error) {
	return nil, errors.New("no matches for kind")
}

func TestAResponderThatCantWatchEndsAndSaysWhy(t *testing.T) {
	r := newRig(t, nil)
	p, err := build(Options{
		ConfigFile: filepath.Join(r.dir, "responder.yaml"), Listen: "127.0.0.1:0", HealthProbeBindAddress: "127.0.0.1:0", MetricsBindAddress: "0",
		CredentialsDir: r.dir, PodName: "a", PodNamespace: r.namespace, REST: apiServer, Log: logr.Discard(),
		Sinks: map[string]SinkFactory{typeWebhook: func(v1alpha1.Receiver, string) (notify.Sink, error) { return r.sink, nil }},
	})
	require.NoError(t, err)
	p.cache = blind{p.cache}
	ended := make(chan error, 1)
	go func() { ended <- p.run(t.Context()) }()
	select {
	case err := <-ended:
		assert.ErrorContains(t, err, "no matches for kind")
	case <-time.After(20 * time.Second):
		t.Error("it waits for ever")
	}
}
