package responder

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/internal/pipeline/config"
)

// farEnds are a collector, a Jaeger and a Loki in one: they have what they were sent, and the cluster's events.
func farEnds(t *testing.T) (url string, sent *atomic.Int64) {
	sent = &atomic.Int64{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, "/v1/"):
			_, _ = io.Copy(io.Discard, r.Body)
			sent.Add(1)
		case strings.HasPrefix(r.URL.Path, "/api/traces/"):
			_, _ = io.WriteString(w, `{"data":[{"spans":[{}]}]}`)
		default:
			_, _ = io.WriteString(w, `{"data":{"result":[{"values":[["1","x"]]}]}}`)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL, sent
}

func TestTheReportTellsWhichSignalsFlow(t *testing.T) {
	t.Parallel()
	url, sent := farEnds(t)
	r := newRig(t, func(c *config.Config) {
		c.LokiURL, c.JaegerURL = url, url
		c.Proof = &config.Proof{
			CollectorURL: url, LogsBy: config.LogsByOTLP,
			Signals: []string{config.SignalLogs, config.SignalTraces, config.SignalEvents, config.SignalAlerts},
		}
	})
	began := time.Now()
	first := r.start("a")
	second := r.start("b")
	for _, p := range []*replica{first, second} {
		require.Eventually(t, func() bool {
			proof := p.report(t).Proof
			require.NotNil(t, proof)
			require.Len(t, proof.Signals, 4)
			proven := 0
			for _, s := range proof.Signals {
				assert.Empty(t, s.Problem)
				if time.Since(s.Proven) < time.Minute {
					proven++
				}
			}
			return proven == 3 // no watchdog came
		}, 30*time.Second, 100*time.Millisecond, "both replicas know")
	}
	assert.GreaterOrEqual(t, sent.Load(), int64(2))
	assert.LessOrEqual(t, sent.Load(), 2*(1+int64(time.Since(began)/time.Minute)), "one of them sent a line and a trace a minute")

	var event corev1.Event
	require.NoError(t, api.Get(t.Context(), client.ObjectKey{Namespace: r.namespace, Name: "main-proof"}, &event))
	assert.Equal(t, "ProofOfFlow", event.Reason)
	var lease coordinationv1.Lease
	require.NoError(t, api.Get(t.Context(), client.ObjectKey{Namespace: r.namespace, Name: "main-proof"}, &lease))
	assert.Len(t, lease.Annotations, 3)
}
