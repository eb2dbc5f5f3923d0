// Package manager runs the controllers: KubeBots to objects to status, and the retention of Incidents.
package manager

import (
	"context"
	"fmt"
	"time"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/discovery"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/controllers"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/component/registry"
	"github.com/kubebot/kubebot/internal/gather"
)

const (
	// leaseName is the Lease of the leader election.
	leaseName = "kubebot-manager"
	// stopWithin is how long a stopping manager waits for its workers; it is less than the pod's grace period.
	stopWithin = 20 * time.Second
	// Requests to the API server per second, and in a burst: a pass over a whole stack asks for a few dozen objects.
	clientQPS   = 50
	clientBurst = 100
)

// Options of the manager.
type Options struct {
	// Config reaches the API server.
	Config *rest.Config
	// Namespaces whose KubeBots are served.
	Namespaces []string
	// Install is how KubeBot was installed.
	Install component.Install
	// MetricsBindAddress and HealthProbeBindAddress are listened on; 0 means not at all.
	MetricsBindAddress     string
	HealthProbeBindAddress string
	// LeaderElect lets one of several managers work at a time.
	LeaderElect bool
	// Registry takes the metrics. Default: the one that MetricsBindAddress serves.
	Registry prometheus.Registerer
	// Components of the stack. Default: all.
	Components []component.Component
	// Asker asks components. Default: by HTTP.
	Asker gather.Asker
	// Now is the clock. Default: the system's.
	Now func() time.Time
}

func (o *Options) complete() error {
	if o.Config == nil {
		return fmt.Errorf("run the manager: no configuration of the API server")
	}
	if o.Install.ReleaseNamespace == "" || o.Install.NodesNamespace == "" {
		return fmt.Errorf("run the manager: --release-namespace and --nodes-namespace must be set")
	}
	if len(o.Namespaces) == 0 {
		o.Namespaces = []string{o.Install.ReleaseNamespace}
	}
	if o.Registry == nil {
		o.Registry = metrics.Registry
	}
	if o.Components == nil {
		o.Components = registry.All()
	}
	if o.Asker == nil {
		o.Asker = &gather.HTTPAsker{}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return nil
}

// Scheme knows every type that KubeBot reads or writes.
func Scheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme, monitoringv1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("make scheme: %w", err)
		}
	}
	return scheme, nil
}

// Run runs the manager until ctx ends, then lets the workers finish and gives the lease back.
func Run(ctx context.Context, o Options) error {
	if err := o.complete(); err != nil {
		return err
	}
	scheme, err := Scheme()
	if err != nil {
		return err
	}
	config := rest.CopyConfig(o.Config)
	config.QPS, config.Burst = clientQPS, clientBurst
	stop := stopWithin
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:                        scheme,
		Logger:                        ctrl.LoggerFrom(ctx),
		Metrics:                       metricsserver.Options{BindAddress: o.MetricsBindAddress},
		HealthProbeBindAddress:        o.HealthProbeBindAddress,
		LeaderElection:                o.LeaderElect,
		LeaderElectionID:              leaseName,
		LeaderElectionNamespace:       o.Install.ReleaseNamespace,
		LeaderElectionReleaseOnCancel: true,
		GracefulShutdownTimeout:       &stop,
	})
	if err != nil {
		return fmt.Errorf("make the manager: %w", err)
	}
	if err := setup(mgr, o); err != nil {
		return err
	}
	if err := mgr.Start(ctx); err != nil {
		return fmt.Errorf("run the manager: %w", err)
	}
	return nil
}

// setup wires the controllers.
func setup(mgr ctrl.Manager, o Options) error {
	for name, add := range map[string]func(string, healthz.Checker) error{"ping": mgr.AddHealthzCheck, "ready": mgr.AddReadyzCheck} {
		if err := add(name, healthz.Ping); err != nil {
			return fmt.Errorf("add the check %s: %w", name, err)
		}
	}
	disco, err := discovery.NewDiscoveryClientForConfigAndClient(mgr.GetConfig(), mgr.GetHTTPClient())
	if err != nil {
		return fmt.Errorf("make the discovery client: %w", err)
	}
	caches, err := gather.NewCaches(mgr.GetConfig(), cache.Options{
		HTTPClient: mgr.GetHTTPClient(), Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper(),
	}, mgr.GetAPIReader(), append([]string{o.Install.NodesNamespace}, o.Namespaces...))
	if err != nil {
		return err
	}
	if err := mgr.Add(caches); err != nil {
		return fmt.Errorf("add the caches: %w", err)
	}
	counts := controllers.NewMetrics(o.Registry, o.Components)
	kubebots := &controllers.KubeBotReconciler{
		Client: mgr.GetClient(), Direct: mgr.GetAPIReader(), Scheme: mgr.GetScheme(), Caches: caches,
		Gatherer:   &gather.Gatherer{Reader: mgr.GetAPIReader(), Discovery: disco, Install: o.Install, Now: o.Now},
		Asker:      o.Asker,
		Components: o.Components, Served: o.Namespaces,
		Recorder: mgr.GetEventRecorder("kubebot"), Metrics: counts, Now: o.Now,
	}
	if err := kubebots.SetupWithManager(mgr); err != nil {
		return err
	}
	incidents := &controllers.IncidentReconciler{
		Client: mgr.GetClient(), Caches: caches, Served: o.Namespaces, Metrics: counts, Now: o.Now,
	}
	return incidents.SetupWithManager(mgr)
}
