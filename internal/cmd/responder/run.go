package responder

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"
	_ "time/tzdata" // mute times name time zones, and the image holds no others

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/runtime"
	utilrand "k8s.io/apimachinery/pkg/util/rand"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/ingest"
	"github.com/kubebot/kubebot/internal/ingest/watch"
	"github.com/kubebot/kubebot/internal/learn/keeper"
	"github.com/kubebot/kubebot/internal/notify/heartbeat"
	"github.com/kubebot/kubebot/internal/notify/transport"
	"github.com/kubebot/kubebot/internal/pipeline"
	"github.com/kubebot/kubebot/internal/pipeline/config"
	"github.com/kubebot/kubebot/internal/proof"
	"github.com/kubebot/kubebot/internal/teams"
)

// process is the responder with its parts.
type process struct {
	Options
	config    config.Config
	problems  []string
	cache     cache.Cache
	pipeline  *pipeline.Pipeline
	heartbeat *ingest.Heartbeat
	beats     *heartbeat.Sender // nil without a heartbeat
	proof     *proof.Prover     // nil when no signal can be proven
	webhook   *ingest.Webhook
	compare   *ingest.Comparison // nil without Alertmanager
	history   *ingest.History    // nil without Prometheus
	watcher   *watch.Watcher
	lease     *lease
	keeper    *keeper.Keeper // nil without learning
	people    *interactions
	teams     *teams.Keeper
	api       *transport.ClusterAPI // the addresses of the cluster's own API server
	apiKnown  bool                  // those of its endpoints too
	direct    client.Client
	ready     atomic.Bool
}

// Run runs the responder until the context ends.
func Run(ctx context.Context, o Options) error {
	p, err := build(o)
	if err != nil {
		return err
	}
	return p.run(ctx)
}

func build(o Options) (*process, error) {
	if o.CredentialsDir == "" {
		o.CredentialsDir = config.CredentialsDir
	}
	if o.Registry == nil {
		o.Registry = prometheus.NewRegistry()
	}
	o.Registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	c, rules, problems, err := load(o.ConfigFile)
	if err != nil {
		return nil, err
	}
	api := &transport.ClusterAPI{}
	if o.Sinks == nil {
		o.Sinks = Sinks(Making{Links: grafana(c), Picture: pictures(c), API: api})
	}
	sinks, more := receivers(c, o.Sinks)
	p := &process{Options: o, config: c, problems: append(problems, more...), api: api}
	direct, err := p.clients()
	if err != nil {
		return nil, err
	}
	p.direct = direct
	replica := o.PodName + "." + utilrand.String(5)
	topology := &watch.Topology{Reader: p.cache}
	if o.Analyse == nil {
		if o.Analyse, err = p.analyst(); err != nil {
			return nil, err
		}
	}
	if p.lease, err = p.newLease(direct, replica); err != nil {
		return nil, err
	}
	p.keeper = p.newKeeper(direct)
	p.pipeline = pipeline.New(pipeline.Options{
		Client: direct, Config: c, Rules: rules, Receivers: sinks, Topology: topology, Replica: replica,
		Analyse: o.Analyse, Learned: p.learned(), Leader: p.lease, Damping: damping(c), Began: p.lease.Began,
		Metrics: pipeline.NewMetrics(o.Registry, receiverTypes), Log: o.Log.WithName("pipeline"), Now: time.Now,
	})
	p.heartbeat = &ingest.Heartbeat{
		Client: direct, KubeBot: c.KubeBot, Namespace: c.Namespace, UID: c.UID, Replica: replica, Now: time.Now, Log: o.Log.WithName("heartbeat"),
	}
	o.Registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "kubebot_responder_watchdog_timestamp_seconds",
		Help: "When the watchdog alert last reached any replica, in seconds since the epoch; 0 if never."}, func() float64 {
		if seen := p.heartbeat.Last().Seen; !seen.IsZero() {
			return float64(seen.Unix())
		}
		return 0
	}))
	if h := c.Heartbeat; h != nil {
		p.beats = heartbeat.New(heartbeat.Options{
			URL: h.URL, URLSecret: secret(h.URLSecret), CASecret: secret(h.CASecret),
			Guard: &transport.Guard{Allow: h.AllowTargets, API: api}, Now: time.Now, Log: o.Log.WithName("heartbeat"),
		}, o.Registry)
	}
	if p.proof, err = p.prover(direct, replica); err != nil {
		return nil, err
	}
	p.teams = p.newTeams()
	p.sources(topology)
	if p.people, err = p.newInteractions(direct); err != nil {
		return nil, err
	}
	return p, nil
}

// watchdog takes the arrival of the watchdog alert.
func (p *process) watchdog(receiver string) {
	p.heartbeat.Arrived(receiver)
	if p.beats != nil {
		p.beats.Beat()
	}
}

// sources makes what brings alerts in.
func (p *process) sources(topology *watch.Topology) {
	c, store, index := p.config, p.pipeline.Ingest, p.pipeline.Index()
	calls := &http.Client{Timeout: 40 * time.Second}
	p.webhook = &ingest.Webhook{
		Store: store, Seen: p.watchdog, Incomplete: func() {}, Severities: c.Severities, Now: time.Now, Log: p.Log.WithName("webhook"),
	}
	p.webhook.Register(p.Registry)
	if c.AlertmanagerURL != "" {
		p.compare = &ingest.Comparison{
			URL: strings.TrimSuffix(c.AlertmanagerURL, "/"), HTTP: calls, Store: store, Index: index, Severities: c.Severities,
			Receiver: func() string { return p.heartbeat.Last().Receiver }, Now: time.Now, Log: p.Log.WithName("comparison"),
		}
		p.compare.Start()
		p.webhook.Incomplete = p.compare.Soon
	}
	if c.PrometheusURL != "" {
		p.history = &ingest.History{
			URL: c.PrometheusURL, AlertmanagerURL: strings.TrimSuffix(c.AlertmanagerURL, "/"), HTTP: calls,
			Store: store, Index: index, Heartbeat: p.heartbeat, Severities: c.Severities, Now: time.Now, Log: p.Log.WithName("history"),
		}
	}
	p.watcher = watch.New(watch.Options{
		Reader: p.cache, Topology: topology, Store: watch.Store(store), Index: index, Severities: c.Severities, Disabled: c.DisabledAlerts,
		Now: time.Now, Log: p.Log.WithName("watch"),
	})
}

// clients makes the cache and returns a client that does not use it.
func (p *process) clients() (client.Client, error) {
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return nil, fmt.Errorf("build the scheme: %w", err)
	}
	// A storm of 10,000 alerts may make thousands of writes; the API server's own fairness bounds them.
	settings := rest.CopyConfig(p.REST)
	settings.QPS, settings.Burst = 300, 600
	objects := watch.Objects()
	objects[&v1alpha1.AlertRoute{}] = cache.ByObject{}
	objects[&v1alpha1.Incident{}] = cache.ByObject{Namespaces: map[string]cache.Config{p.config.Namespace: {}}, Transform: trimIncident}
	var err error
	if p.cache, err = cache.New(settings, cache.Options{Scheme: scheme, ByObject: objects, ReaderFailOnMissingInformer: true}); err != nil {
		return nil, fmt.Errorf("make the cache: %w", err)
	}
	direct, err := client.New(settings, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("make the client: %w", err)
	}
	return direct, nil
}

// trimIncident drops what the responder never reads.
func trimIncident(obj any) (any, error) {
	inc, ok := obj.(*v1alpha1.Incident)
	if !ok {
		return obj, nil
	}
	inc.ManagedFields = nil
	return inc, nil
}

// run starts the parts in order and stops them in the other: first no new alerts, then the deliveries in flight end.
func (p *process) run(ctx context.Context) error {
	delivering, stopDelivering := context.WithCancel(context.WithoutCancel(ctx))
	defer stopDelivering()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return p.cache.Start(ctx) })
	group.Go(func() error { return serve(ctx, p.HealthProbeBindAddress, probeHandler(&p.ready)) })
	group.Go(func() error { return serve(ctx, p.MetricsBindAddress, metricsHandler(p.Registry)) })
	p.learnAPI(ctx)
	group.Go(func() error { return p.followAPI(ctx) })
	delivered := make(chan error, 1)
	if err := p.sync(ctx); err != nil {
		stop() // what runs already waits for it
		return errors.Join(err, group.Wait())
	}
	go func() { delivered <- p.pipeline.Run(delivering) }()
	group.Go(func() error { return p.lease.Run(ctx) })
	if p.keeper != nil {
		group.Go(func() error { return p.keeper.Run(ctx) })
	}
	group.Go(func() error { return p.heartbeat.Run(ctx) })
	group.Go(func() error { return p.watcher.Run(ctx) })
	group.Go(func() error { return p.teams.Run(ctx) })
	p.people.start(ctx, group, p.InteractionsBindAddress)
	if p.beats != nil {
		group.Go(func() error { return p.beats.Run(ctx) })
	}
	if p.proof != nil {
		group.Go(func() error { return p.proof.Run(ctx) })
	}
	group.Go(func() error {
		return serveTLS(ctx, p.Listen, p.CredentialsDir, apiHandler(p.CredentialsDir, p.webhook, p.report))
	})
	if p.compare != nil {
		group.Go(func() error { return p.compare.Run(ctx, func() { p.ready.Store(true) }) })
	} else {
		p.ready.Store(true)
	}
	if p.history != nil {
		group.Go(func() error { return p.history.Run(ctx) })
	}
	err := group.Wait()
	p.people.handler.Wait()
	stopDelivering()
	return errors.Join(err, <-delivered)
}

// sync waits until the caches hold what the API server has, and the pipeline every Incident.
func (p *process) sync(ctx context.Context) error {
	if err := p.watcher.Watch(ctx, p.cache); err != nil {
		return err
	}
	if err := p.watchTeams(ctx); err != nil {
		return err
	}
	informer, err := p.cache.GetInformer(ctx, &v1alpha1.Incident{})
	if err != nil {
		return fmt.Errorf("watch Incidents: %w", err)
	}
	handler, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc:    func(obj any) { p.observe(obj, p.pipeline.Observe) },
		UpdateFunc: func(_, obj any) { p.observe(obj, p.pipeline.Observe) },
		DeleteFunc: func(obj any) { p.observe(obj, p.pipeline.Forget); p.observe(obj, p.watcher.Deleted) },
	})
	if err != nil {
		return fmt.Errorf("watch Incidents: %w", err)
	}
	if !p.cache.WaitForCacheSync(ctx) || !toolscache.WaitForCacheSync(ctx.Done(), handler.HasSynced) {
		return errors.New("wait for the caches: the API server did not answer before the responder was stopped")
	}
	if err := p.syncTeams(ctx); err != nil {
		return err
	}
	if err := p.heartbeat.Sync(ctx); err != nil {
		p.Log.Error(err, "Watchdog Lease was not read")
	}
	if err := p.lease.make(ctx); err != nil {
		p.Log.Error(err, "Lease was not made; what is older than the KubeBot is told one by one")
	}
	if p.keeper != nil {
		if err := p.keeper.Sync(ctx); err != nil {
			p.Log.Error(err, "What was learned was not read; the plain rules decide until it is")
		}
	}
	return nil
}

// observe hands an Incident of the watch on.
func (p *process) observe(obj any, to func(*v1alpha1.Incident)) {
	if gone, ok := obj.(toolscache.DeletedFinalStateUnknown); ok {
		obj = gone.Obj
	}
	if inc, ok := obj.(*v1alpha1.Incident); ok {
		to(inc)
	}
}

// report tells of this replica.
func (p *process) report() config.Report {
	report := config.Report{
		Replica: p.PodName, WatchdogSeen: p.heartbeat.Last().Seen, Receivers: p.pipeline.Report(),
		Problems: slices.Concat(p.problems, p.people.problems(), p.learningProblems()),
	}
	if p.beats != nil {
		if last := p.beats.Last(); !last.At.IsZero() {
			report.Heartbeat = &config.HeartbeatReport{At: last.At, Reason: last.Reason, Message: last.Message}
		}
	}
	if p.proof != nil {
		report.Proof = p.proof.Report()
	}
	return report
}
