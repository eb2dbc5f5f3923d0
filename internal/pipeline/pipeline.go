package pipeline

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/alert"
	"github.com/kubebot/kubebot/internal/decide"
	"github.com/kubebot/kubebot/internal/notify"
	"github.com/kubebot/kubebot/internal/pipeline/config"
)

const (
	// window in which alerts of one group are collected before they are written together.
	window = 60 * time.Millisecond
	// workers process groups at a time.
	workers = 16
	// writeTime is the deadline of the API calls of one pass.
	writeTime = 8 * time.Second
)

// ErrStopping is returned for alerts that come while the responder stops.
var ErrStopping = errors.New("the responder is stopping")

// Receiver is where messages go.
type Receiver struct {
	Name string
	// Type is the kind of sink, such as slack; it labels metrics.
	Type string
	Sink notify.Sink
	// OneByOne: it is told of each incident by itself in a storm too. NoDigest: it takes no digest at all. Both count for
	// receivers of teams; those of the KubeBot's own are in its rules.
	OneByOne, NoDigest bool
}

// Leader tells whether this replica does what one replica is enough for.
type Leader interface{ Holds() bool }

// Options of a Pipeline.
type Options struct {
	// Client reads and writes Incidents at the API server, without a cache.
	Client    client.Client
	Config    config.Config
	Rules     decide.Rules
	Receivers []Receiver
	Topology  Topology
	// Learned is what people taught; nil, or nil returned, for nothing.
	Learned func() decide.Learned
	// Damping says when an Incident that comes back is kept open.
	Damping decide.Damping
	// Began returns when the KubeBot began its work, zero where that is not known; nil for never.
	Began func() time.Time
	// Leader sends the digests; nil for this replica.
	Leader Leader
	// Analyse looks for the cause of an Incident; nil looks for none.
	Analyse Analyst
	// Replica names this process, a new name at each start: what an earlier process of the same pod has claimed is not its own.
	Replica string
	Metrics *Metrics
	Log     logr.Logger
	// Now is the clock.
	Now func() time.Time
}

// Pipeline stores alerts in Incidents and delivers what changes.
type Pipeline struct {
	Options
	index     *Index
	queue     workqueue.TypedDelayingInterface[string]
	receivers map[string]*receiver
	names     []string // of the receivers, in the order of the spec
	byLabels  bool     // a route looks at labels of alerts
	// The routes of teams with their receivers; see SetTeams.
	teamMu     sync.RWMutex
	team       map[string]*receiver
	teamNames  []string
	teamRoutes []decide.TeamRoute
	// Rules.NoStorm and NoDigest with those of the teams.
	noStorm, noDigest map[string]bool
	stopping          atomic.Bool
	sends             sync.WaitGroup
	sendMu            sync.Mutex // orders stopping and sends.Add
	analyses          *slots
	rush              *rush
	digests           digests
	// analysing ends when the responder stops.
	analysing     context.Context
	stopAnalysing context.CancelFunc

	mu    sync.Mutex
	inbox map[string]*batch
	own   map[string]string // Incident to the resource version of this replica's last write
	// decided are the Incidents that this process has decided about.
	decided map[types.UID]bool
}

// receiver is a Receiver with what is known of it.
type receiver struct {
	Receiver
	gate *gate

	mu              sync.Mutex
	reason, message string
	mended          time.Time // when the last complaint of its check went
}

// batch is what waits for one group key.
type batch struct {
	group   alert.Group
	alerts  []alert.Alert
	tickets []*ticket
	results []result
	found   []found
	tries   int
}

// ticket waits until the alerts of one call are stored.
type ticket struct {
	mu      sync.Mutex
	pending int
	err     error
	done    chan struct{}
}

func (t *ticket) finish(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.pending--
	if err != nil && t.err == nil {
		t.err = err
	}
	if t.pending == 0 {
		close(t.done)
	}
}

// New returns a Pipeline that does nothing until Run.
func New(o Options) *Pipeline {
	p := &Pipeline{
		Options:   o,
		index:     NewIndex(o.Config.UID),
		queue:     workqueue.NewTypedDelayingQueue[string](),
		receivers: map[string]*receiver{},
		inbox:     map[string]*batch{},
		own:       map[string]string{},
		decided:   map[types.UID]bool{},
	}
	p.noStorm, p.noDigest = o.Rules.NoStorm, o.Rules.NoDigest
	p.analyses = &slots{places: analysesAtOnce}
	p.rush = newRush()
	p.analysing, p.stopAnalysing = context.WithCancel(context.Background())
	for _, r := range o.Receivers {
		p.receivers[r.Name] = &receiver{Receiver: r, gate: newGate()}
		p.names = append(p.names, r.Name)
	}
	p.byLabels = slices.ContainsFunc(o.Rules.Routes, func(r v1alpha1.Route) bool { return len(r.Match.Labels) > 0 })
	return p
}

// Index returns what is known of the Incidents.
func (p *Pipeline) Index() *Index { return p.index }

// Ingest stores alerts and returns when every one of them is in an Incident. With an error some may be missing; the
// same alerts may be given again. The watchdog and the copies for the fallback are not stored.
func (p *Pipeline) Ingest(ctx context.Context, alerts []alert.Alert) error {
	started := p.Now()
	t := &ticket{done: make(chan struct{})}
	p.put(alerts, t)
	select {
	case <-t.done:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if t.err == nil {
		p.Metrics.storing.Observe(p.Now().Sub(started).Seconds())
		for _, a := range alerts {
			p.Metrics.stored.WithLabelValues(string(a.Source)).Inc()
		}
	}
	return t.err
}

// put sorts alerts into the inbox by group.
func (p *Pipeline) put(alerts []alert.Alert, t *ticket) {
	groups := map[string]alert.Group{}
	members := map[string][]alert.Alert{}
	for _, a := range alerts {
		p.Metrics.ingested.WithLabelValues(string(a.Source)).Inc()
		if alert.AboutKubeBot(a.Name()) {
			continue
		}
		g := p.group(a)
		groups[g.Key] = g
		members[g.Key] = append(members[g.Key], a)
	}
	t.pending = len(groups) + 1
	if p.stopping.Load() {
		t.pending = 1
		t.finish(ErrStopping)
		return
	}
	p.mu.Lock()
	for key, g := range groups {
		b := p.box(key)
		b.group = g
		b.alerts = append(b.alerts, members[key]...)
		b.tickets = append(b.tickets, t)
	}
	p.mu.Unlock()
	for key := range groups {
		p.queue.AddAfter(key, window)
	}
	t.finish(nil)
}

// group returns the group of an alert: the one it is known to belong to, else the one that its labels say.
func (p *Pipeline) group(a alert.Alert) alert.Group {
	if list := p.index.ByKey(a.GroupKey); a.GroupKey != "" && len(list) > 0 {
		return alert.Group{Key: a.GroupKey, Subject: list[0].Spec.Subject}
	}
	return groupOf(a, p.Topology)
}

// box returns the batch of a key; the lock is held.
func (p *Pipeline) box(key string) *batch {
	b, ok := p.inbox[key]
	if !ok {
		b = &batch{}
		p.inbox[key] = b
	}
	return b
}

func (p *Pipeline) take(key string) *batch {
	p.mu.Lock()
	defer p.mu.Unlock()
	b, ok := p.inbox[key]
	if !ok {
		return &batch{}
	}
	delete(p.inbox, key)
	return b
}

// Observe takes a version of an Incident that the watch shows.
func (p *Pipeline) Observe(inc *v1alpha1.Incident) {
	before := p.index.Get(inc.Name)
	news := p.index.Put(inc)
	if news {
		p.rush.see(inc, p.Now())
		p.widen(before, inc)
	}
	if !news || inc.Status.State == v1alpha1.IncidentClosed && !pending(inc) {
		return
	}
	// Another replica or a person wrote it. Whoever wrote it goes on with it; this replica looks a little later, in
	// case the other one died.
	p.queue.AddAfter(inc.Spec.GroupKey, otherReplicaDelay())
}

// Forget takes an Incident that was deleted.
func (p *Pipeline) Forget(inc *v1alpha1.Incident) {
	p.index.Delete(inc)
	p.mu.Lock()
	delete(p.own, inc.Name)
	delete(p.decided, inc.UID)
	p.mu.Unlock()
}

// otherReplicaDelay is how long a replica leaves a change to the one that made it: 0.7 to 2 s, at random so that the
// others do not all come at once.
func otherReplicaDelay() time.Duration {
	return 700*time.Millisecond + rand.N(1300*time.Millisecond)
}

// Run works until the context ends, then ends what is in flight and writes its results.
func (p *Pipeline) Run(ctx context.Context) error {
	var working sync.WaitGroup
	for range workers {
		working.Go(p.work)
	}
	p.tend(ctx)
	p.sendMu.Lock()
	p.stopping.Store(true)
	p.sendMu.Unlock()
	p.stopAnalysing()
	p.sends.Wait()
	p.queue.ShutDownWithDrain()
	working.Wait()
	p.queue.ShutDown() // ends what waits for its time, which draining does not
	return nil
}

func (p *Pipeline) work() {
	for {
		key, shutdown := p.queue.Get()
		if shutdown {
			return
		}
		p.process(key)
		p.queue.Done(key)
	}
}

// tend runs what comes by time: gates that open, and the receivers' checks.
func (p *Pipeline) tend(ctx context.Context) {
	gates := time.NewTicker(500 * time.Millisecond)
	defer gates.Stop()
	gauges := time.NewTicker(5 * time.Second)
	defer gauges.Stop()
	checks := time.NewTicker(10 * time.Second)
	defer checks.Stop()
	go p.checkAll(ctx)
	for {
		select {
		case <-ctx.Done():
			return
		case <-gates.C:
			for _, r := range p.every() {
				p.wake(r.gate.tick(p.Now()))
			}
			p.wake(p.analyses.free())
			p.sendDigests()
		case <-gauges.C:
			p.gauge()
		case <-checks.C:
			go p.checkAll(ctx)
		}
	}
}

func (p *Pipeline) wake(keys []string) {
	for _, key := range keys {
		p.queue.Add(key)
	}
}
