// Package cmd makes the command line of KubeBot: one subcommand per process, each with a folder of its own.
package cmd

import (
	"fmt"
	"math"
	"os"
	"runtime/debug"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	"go.uber.org/zap/zapcore"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"github.com/kubebot/kubebot/internal/cmd/cleanup"
	"github.com/kubebot/kubebot/internal/cmd/dashboards"
	"github.com/kubebot/kubebot/internal/cmd/learned"
	"github.com/kubebot/kubebot/internal/cmd/manager"
	"github.com/kubebot/kubebot/internal/cmd/rca"
	"github.com/kubebot/kubebot/internal/cmd/responder"
	"github.com/kubebot/kubebot/internal/cmd/train"
	"github.com/kubebot/kubebot/internal/cmd/waitapi"
	"github.com/kubebot/kubebot/internal/cmd/why"
	dashboardsconfig "github.com/kubebot/kubebot/internal/dashboards/config"
	"github.com/kubebot/kubebot/internal/pipeline/config"
)

// Version of KubeBot, set when it is built.
var Version = "dev"

// Main runs the command line and returns the exit code.
func Main() int {
	leaveForKernel()
	ctx := ctrl.SetupSignalHandler()
	if err := New().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "kubebot:", err)
		return 1
	}
	return 0
}

// leaveForKernel keeps a tenth of GOMEMLIMIT free: pods have their container's limit there, against which the kernel counts
// what it holds for the process too.
func leaveForKernel() {
	if limit := debug.SetMemoryLimit(-1); limit != math.MaxInt64 {
		debug.SetMemoryLimit(limit / 10 * 9)
	}
}

// New returns the root command.
func New() *cobra.Command {
	root := &cobra.Command{
		Use:           "kubebot",
		Short:         "Monitoring and alerting for Kubernetes that tells people only what matters, and why",
		Version:       Version,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	logs := zap.Options{StacktraceLevel: zapcore.PanicLevel}
	level := root.PersistentFlags().Bool("debug", false, "log in detail")
	root.PersistentPreRun = func(cmd *cobra.Command, _ []string) {
		logs.Development = *level
		useLogger(zap.New(zap.UseFlagOptions(&logs)).WithName(cmd.Name()))
		cmd.SetContext(ctrl.LoggerInto(cmd.Context(), ctrl.Log))
	}
	root.AddCommand(managerCommand(), responderCommand(), dashboardsCommand(), why.Command(), learned.Command(),
		rcaCommand(), trainCommand(), waitAPICommand(), cleanupCommand())
	return root
}

func useLogger(log logr.Logger) {
	ctrl.SetLogger(log)
	klog.SetLogger(log)
}

func managerCommand() *cobra.Command {
	var o manager.Options
	c := &cobra.Command{
		Use:   "manager",
		Short: "Run the controllers: KubeBots to objects to status, and the retention of Incidents",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if o.Config, err = ctrl.GetConfig(); err != nil {
				return fmt.Errorf("find the cluster: %w", err)
			}
			return manager.Run(cmd.Context(), o)
		},
	}
	f := c.Flags()
	f.StringSliceVar(&o.Namespaces, "namespaces", nil, "namespaces whose KubeBots are served (default: the release's)")
	f.StringVar(&o.Install.ReleaseNamespace, "release-namespace", "", "namespace that the manager runs in")
	f.StringVar(&o.Install.NodesNamespace, "nodes-namespace", "", "namespace of the node agents")
	f.StringVar(&o.Install.ServiceAccountPrefix, "service-account-prefix", "kubebot", "what the names of the components' service accounts begin with")
	f.StringVar(&o.Install.Image, "image", "", "KubeBot's own image, for the responder")
	f.StringVar(&o.Install.PrometheusOperatorID, "prometheus-operator-id", "",
		"controller ID of the Prometheus Operator that came with KubeBot; empty for another one")
	f.IntSliceVar(&o.Install.APIServerPorts, "api-server-ports", nil, "ports by which NetworkPolicies name the API server (default 443,6443)")
	o.Install.Proxy = map[string]string{}
	f.Var(proxy{o.Install.Proxy, "HTTPS_PROXY"}, "https-proxy", "proxy for the responder's HTTPS calls to receivers")
	f.Var(proxy{o.Install.Proxy, "HTTP_PROXY"}, "http-proxy", "proxy for the responder's HTTP calls to receivers")
	f.Var(proxy{o.Install.Proxy, "NO_PROXY"}, "no-proxy",
		"hosts that the responder calls without proxy, separated by commas; .svc and .cluster.local need not be named")
	f.StringVar(&o.MetricsBindAddress, "metrics-bind-address", ":8080", "address of the metrics; 0 for none")
	f.StringVar(&o.HealthProbeBindAddress, "health-probe-bind-address", ":8081", "address of the probes; 0 for none")
	f.BoolVar(&o.LeaderElect, "leader-elect", false, "let one of several managers work at a time")
	return c
}

// proxy is a flag that sets one of the responder's proxy variables.
type proxy struct {
	into map[string]string
	name string
}

func (p proxy) String() string { return p.into[p.name] }
func (p proxy) Type() string   { return "string" }
func (p proxy) Set(value string) error {
	p.into[p.name] = value
	return nil
}

func responderCommand() *cobra.Command {
	o := responder.Options{PodName: os.Getenv("POD_NAME"), PodNamespace: os.Getenv("POD_NAMESPACE")}
	c := &cobra.Command{
		Use:   "responder",
		Short: "Run the alert pipeline: alerts to Incidents to messages",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if o.REST, err = ctrl.GetConfig(); err != nil {
				return fmt.Errorf("find the cluster: %w", err)
			}
			o.Log = ctrl.LoggerFrom(cmd.Context())
			o.Registry = prometheus.NewRegistry()
			return responder.Run(cmd.Context(), o)
		},
	}
	f := c.Flags()
	f.StringVar(&o.ConfigFile, "config", config.Path, "configuration that the manager writes")
	f.StringVar(&o.Listen, "listen", ":8443", "address of the webhook and the report, by TLS")
	f.StringVar(&o.MetricsBindAddress, "metrics-bind-address", ":8080", "address of the metrics; 0 for none")
	f.StringVar(&o.InteractionsBindAddress, "interactions-bind-address", "", "address that takes Slack's signed requests by plain HTTP; empty for none")
	f.StringVar(&o.HealthProbeBindAddress, "health-probe-bind-address", ":8081", "address of the probes; 0 for none")
	return c
}

func dashboardsCommand() *cobra.Command {
	var o dashboards.Options
	c := &cobra.Command{
		Use:   "dashboards",
		Short: "Keep KubeBot's data sources and dashboards in a Grafana",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Registry = prometheus.NewRegistry()
			return dashboards.Run(cmd.Context(), o)
		},
	}
	f := c.Flags()
	f.StringVar(&o.ConfigFile, "config", dashboardsconfig.Path, "configuration that the manager writes")
	f.StringVar(&o.CredentialsDir, "credentials", dashboardsconfig.CredentialsDir, "folder of the files user and password, or token")
	f.StringVar(&o.ExtraDir, "extra", dashboardsconfig.ExtraDir, "folder of <name>.json of each dashboard of the user's")
	f.StringVar(&o.Listen, "listen", ":8080", "address of metrics, report and probe")
	return c
}

func rcaCommand() *cobra.Command {
	var o rca.Options
	var alarm string
	c := &cobra.Command{
		Use:   "rca",
		Short: "Analyse a recorded snapshot, or telemetry that the OpenTelemetry Collector wrote to files",
		Example: `  kubebot rca --snapshot incident.json
  kubebot rca --telemetry otlp/ --alarm 2026-11-21T04:05:00Z --save incident.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if alarm != "" {
				if o.Alarm, err = time.Parse(time.RFC3339, alarm); err != nil {
					return fmt.Errorf("--alarm: %w; write it as 2026-11-21T04:05:00Z", err)
				}
			}
			return rca.Run(cmd.Context(), o)
		},
	}
	f := c.Flags()
	f.StringVar(&o.Snapshot, "snapshot", "", "snapshot file; - for standard input")
	f.StringVar(&o.Telemetry, "telemetry", "", "folder or file with OTLP that the Collector's file exporter wrote")
	f.StringVar(&alarm, "alarm", "", "when the trouble was noticed, such as 2026-11-21T04:05:00Z; needed with --telemetry")
	f.DurationVar(&o.Baseline, "baseline", rca.DefaultBaseline, "how long before the alarm normal operation is looked for")
	f.DurationVar(&o.Length, "length", rca.DefaultLength, "how long after the alarm the trouble is looked at")
	f.StringVar(&o.Target, "target", "", "workload that raised the alarm, if known")
	f.StringVar(&o.Signal, "signal", "", "signal that raised the alarm: latency or availability, if known")
	f.StringVar(&o.Save, "save", "", "write the snapshot to this file, to be replayed")
	f.StringVar(&o.Weights, "weights", "", "weights file; the built-in one when left out")
	f.BoolVar(&o.JSON, "json", false, "print JSON")
	return c
}

func trainCommand() *cobra.Command {
	var o train.Options
	c := &cobra.Command{
		Use:   "train",
		Short: "Refit the analysis from incidents whose cause people judged",
		Long: "Refit the analysis from incidents whose cause people judged: those of a folder (--incidents), or those of a KubeBot\n" +
			"(--kubebot), as the CronJob of the stack does. New weights are adopted only if they are better on incidents that\n" +
			"they had not seen.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if o.Cluster.KubeBot != "" {
				if o.Cluster.Config, err = ctrl.GetConfig(); err != nil {
					return fmt.Errorf("find the cluster: %w", err)
				}
			}
			return train.Run(cmd.Context(), o)
		},
	}
	f := c.Flags()
	f.StringVar(&o.Folder, "incidents", "", "folder with one <name>.json per incident: snapshot, workload, kind")
	f.StringVar(&o.Weights, "weights", "", "weights file in use; the built-in one when left out")
	f.StringVar(&o.Output, "output", "", "where new weights are written if they are better")
	f.StringVar(&o.Cluster.KubeBot, "kubebot", "", "KubeBot whose Incidents are learned from")
	f.StringVar(&o.Cluster.Namespace, "namespace", "", "its namespace")
	f.StringVar(&o.Cluster.Prometheus, "prometheus", "", "URL of Prometheus")
	f.StringVar(&o.Cluster.Loki, "loki", "", "URL of Loki")
	f.StringVar(&o.Cluster.LokiTenant, "loki-tenant", "", "tenant of Loki")
	f.StringVar(&o.Cluster.Jaeger, "jaeger", "", "URL of Jaeger")
	f.StringVar(&o.Cluster.Archive, "archive", "", "folder of the archive's files, for what the stores no longer hold")
	c.MarkFlagsOneRequired("incidents", "kubebot")
	c.MarkFlagsMutuallyExclusive("incidents", "kubebot")
	c.MarkFlagsRequiredTogether("kubebot", "namespace")
	return c
}

func waitAPICommand() *cobra.Command {
	o := waitapi.Options{Timeout: time.Minute}
	c := &cobra.Command{
		Use:   "wait-api GROUP/VERSION/RESOURCE...",
		Short: "Wait until the API server serves some resources (the chart runs it before the Prometheus Operator)",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if o.Config, err = ctrl.GetConfig(); err != nil {
				return fmt.Errorf("find the cluster: %w", err)
			}
			o.Resources = args
			return waitapi.Run(cmd.Context(), o)
		},
	}
	c.Flags().DurationVar(&o.Timeout, "timeout", o.Timeout, "how long to wait")
	return c
}

func cleanupCommand() *cobra.Command {
	o := cleanup.Options{Timeout: 3 * time.Minute}
	c := &cobra.Command{
		Use:   "cleanup",
		Short: "Remove the KubeBots of some namespaces and wait until they are gone (the chart runs it before it is uninstalled)",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, err := ctrl.GetConfig()
			if err != nil {
				return fmt.Errorf("find the cluster: %w", err)
			}
			o.Config = config
			return cleanup.Run(cmd.Context(), o)
		},
	}
	c.Flags().StringSliceVar(&o.Namespaces, "namespaces", nil, "namespaces whose KubeBots are removed")
	c.Flags().DurationVar(&o.Timeout, "timeout", o.Timeout, "how long to wait")
	_ = c.MarkFlagRequired("namespaces")
	return c
}
