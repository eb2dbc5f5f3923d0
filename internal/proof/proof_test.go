package proof

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/kubebot/kubebot/internal/pipeline/config"
)

// path is a path of a signal that works as told.
type path struct {
	mu sync.Mutex
	// refuse is what Send answers, trouble what Found answers.
	refuse, trouble error
	// cut loses what is sent, slow is how long it takes.
	cut  bool
	slow time.Duration
	// made is when the path was whole: what is sent before is lost.
	made time.Time
	sent []Mark
}

func (p *path) Send(_ context.Context, m Mark) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refuse == nil {
		p.sent = append(p.sent, m)
	}
	return p.refuse
}

func (p *path) Found(_ context.Context, m Mark) (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.cut && p.trouble == nil && time.Since(m.At) >= p.slow && !m.At.Before(p.made), p.trouble
}

func (p *path) set(change func(*path)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(p)
}

func (p *path) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.sent)
}

var paths = map[string]string{config.SignalMetrics: "a", config.SignalTraces: "b", config.SignalLogs: "c"}

func leases(t *testing.T) client.Client {
	scheme := runtime.NewScheme()
	require.NoError(t, coordinationv1.AddToScheme(scheme))
	return fake.NewClientBuilder().WithScheme(scheme).Build()
}

// replica is a running Prover.
type replica struct {
	*Prover
	stop func()
}

func start(t *testing.T, api client.Client, name string, signals map[string]Signal) replica {
	board := &Board{Client: api, KubeBot: "main", Namespace: "kubebot", UID: "u", Replica: name, Paths: paths, Now: time.Now}
	p := New(Options{Signals: signals, Board: board, Now: time.Now, Log: logr.Discard()}, prometheus.NewRegistry())
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	return replica{p, sync.OnceFunc(func() {
		cancel()
		assert.NoError(t, <-done)
	})}
}

// signal is the report of one signal.
func (r replica) signal(t *testing.T, name string) config.SignalReport {
	for _, s := range r.Report().Signals {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("nothing is reported of %s", name)
	return config.SignalReport{}
}

func TestEachSignalIsProvenOnItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		metrics, traces, logs := &path{}, &path{slow: 12 * time.Second}, &path{cut: true}
		r := start(t, leases(t), "a", map[string]Signal{config.SignalMetrics: metrics, config.SignalTraces: traces, config.SignalLogs: logs})
		defer r.stop()
		begin := time.Now()
		time.Sleep(5 * time.Minute)

		assert.Less(t, time.Since(r.signal(t, config.SignalMetrics).Proven), 70*time.Second)
		assert.Less(t, time.Since(r.signal(t, config.SignalTraces).Proven), 80*time.Second)
		assert.Zero(t, r.signal(t, config.SignalLogs).Proven)
		assert.Equal(t, "it was taken and did not come out at the other end", r.signal(t, config.SignalLogs).Problem)
		assert.InDelta(t, 5, metrics.count(), 1, "one a minute")
		assert.Equal(t, begin, r.Report().Started)
		ids := map[string]bool{}
		for _, m := range metrics.sent {
			ids[m.ID] = true
		}
		assert.Len(t, ids, metrics.count(), "every mark is another")

		want := `
# HELP kubebot_proof_delay_seconds Seconds from sending to finding of the last proof of a signal, as the replica saw it that proves.
# TYPE kubebot_proof_delay_seconds gauge
kubebot_proof_delay_seconds{signal="metrics"} 1
kubebot_proof_delay_seconds{signal="traces"} 12
`
		assert.NoError(t, testutil.CollectAndCompare(r.Prover, strings.NewReader(want), "kubebot_proof_delay_seconds"))
		assert.InDelta(t, 300, age(t, r.Prover, config.SignalLogs), 1, "never proven since the start")
	})
}

func age(t *testing.T, p *Prover, signal string) float64 {
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(p)
	families, err := registry.Gather()
	require.NoError(t, err)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "kubebot_proof_age_seconds" && m.GetLabel()[0].GetValue() == signal {
				return m.GetGauge().GetValue()
			}
		}
	}
	t.Fatalf("there is no age of %s", signal)
	return 0
}

func TestAPathThatIsStillBeingMadeIsProvenSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &path{made: time.Now().Add(8 * time.Second)}
		r := start(t, leases(t), "a", map[string]Signal{config.SignalMetrics: p})
		defer r.stop()
		time.Sleep(13 * time.Second)
		assert.Equal(t, 3*time.Second, time.Since(r.signal(t, config.SignalMetrics).Proven), "the mark of the tenth second was found")

		p.set(func(p *path) { p.made = time.Now().Add(80 * time.Second) })
		time.Sleep(62 * time.Second)
		sent := p.count()
		time.Sleep(40 * time.Second)
		assert.Equal(t, sent, p.count(), "one that was proven before and is lost now is a loss to tell")
	})
}

func TestWhatIsMendedIsProvenSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &path{refuse: errors.New("the collector does not answer")}
		r := start(t, leases(t), "a", map[string]Signal{config.SignalMetrics: p})
		defer r.stop()
		time.Sleep(3 * time.Minute)
		assert.Equal(t, "the collector does not answer", r.signal(t, config.SignalMetrics).Problem)
		p.set(func(p *path) { p.refuse, p.trouble = nil, errors.New("Prometheus answers with HTTP status 503") })
		time.Sleep(time.Minute)
		assert.Equal(t, "Prometheus answers with HTTP status 503", r.signal(t, config.SignalMetrics).Problem)
		p.set(func(p *path) { p.trouble = nil })
		time.Sleep(20 * time.Second)
		s := r.signal(t, config.SignalMetrics)
		assert.Empty(t, s.Problem)
		assert.Less(t, time.Since(s.Proven), 70*time.Second)
	})
}

func TestOneReplicaProvesAndAllKnow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := leases(t)
		first, second := &path{}, &path{}
		a := start(t, api, "a", map[string]Signal{config.SignalMetrics: first})
		time.Sleep(time.Second)
		b := start(t, api, "b", map[string]Signal{config.SignalMetrics: second})
		defer b.stop()
		time.Sleep(5 * time.Minute)
		assert.Zero(t, second.count(), "only one sends")
		assert.Less(t, time.Since(b.signal(t, config.SignalMetrics).Proven), 90*time.Second, "the other knows")

		a.stop()
		time.Sleep(renewEvery + 5*time.Second)
		assert.Positive(t, second.count(), "a replica that ends hands over at once")
	})
}

func TestASilentReplicaIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := leases(t)
		gone := &Board{Client: api, KubeBot: "main", Namespace: "kubebot", Replica: "gone", Paths: paths, Now: time.Now}
		gone.Proven(config.SignalMetrics, time.Now().Add(-time.Minute))
		held, err := gone.Hold(t.Context())
		require.NoError(t, err)
		require.True(t, held)

		p := &path{cut: true}
		b := start(t, api, "b", map[string]Signal{config.SignalMetrics: p})
		defer b.stop()
		time.Sleep(holdFor - time.Second)
		assert.Zero(t, p.count())
		assert.False(t, b.signal(t, config.SignalMetrics).Proven.IsZero(), "what the other proved is known")
		time.Sleep(renewEvery + time.Second)
		assert.Positive(t, p.count())
		held, err = gone.Hold(t.Context())
		require.NoError(t, err)
		assert.False(t, held, "who comes back finds the other")
	})
}

func TestWhatWasProvenOfAnotherPathIsForgotten(t *testing.T) {
	api := leases(t)
	hold := func(paths map[string]string, proven ...string) *Board {
		board := &Board{Client: api, KubeBot: "main", Namespace: "kubebot", Replica: "a", Paths: paths, Now: time.Now}
		for _, signal := range proven {
			board.Proven(signal, time.Now())
		}
		_, err := board.Hold(t.Context())
		require.NoError(t, err)
		return board
	}
	before := map[string]string{config.SignalLogs: "here", config.SignalTraces: "here", config.SignalMetrics: "here"}
	hold(before, config.SignalLogs, config.SignalTraces, config.SignalMetrics)
	known := hold(map[string]string{config.SignalLogs: "here", config.SignalTraces: "elsewhere"}).Known()
	assert.Contains(t, known, config.SignalLogs)
	assert.NotContains(t, known, config.SignalTraces, "its store is another")
	assert.NotContains(t, known, config.SignalMetrics, "it is not proven any more")
	assert.NotContains(t, hold(before).Known(), config.SignalTraces, "nor is it when the old path is back")
}

func TestTheWatchdogIsReportedWithTheOthers(t *testing.T) {
	seen := time.Now().Add(-time.Minute)
	p := New(Options{
		Seen:  map[string]func() time.Time{config.SignalAlerts: func() time.Time { return seen }},
		Board: &Board{}, Now: time.Now, Log: logr.Discard(),
	}, prometheus.NewRegistry())
	report := p.Report()
	require.Len(t, report.Signals, 1)
	assert.Equal(t, config.SignalReport{Name: config.SignalAlerts, Proven: seen}, report.Signals[0])
	assert.InDelta(t, 60, age(t, p, config.SignalAlerts), 2)
}
