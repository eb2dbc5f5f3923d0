package rules

import (
	"errors"
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/alert"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/testutil/golden"
)

// defaultInput is an empty spec in a cluster whose provider runs the control plane.
func defaultInput() component.Input {
	in := golden.Input(&v1alpha1.KubeBot{ObjectMeta: metav1.ObjectMeta{Name: "main", Namespace: "kubebot"}})
	in.Cluster.Kinds[ruleKind] = true
	return in
}

// fullInput has everything that a rule can need.
func fullInput() component.Input {
	in := defaultInput()
	for _, part := range []string{"kube-scheduler", "kube-controller-manager", "kube-proxy", "etcd"} {
		in.Cluster.ControlPlane[part] = true
	}
	in.KubeBot.Spec.Metrics.Prometheus.RemoteWrite = []v1alpha1.RemoteWrite{{Name: "store", URL: "http://store"}}
	return in
}

func rendered(t *testing.T, in component.Input) []monitoringv1.RuleGroup {
	t.Helper()
	objects, err := Component{}.Build(in)
	if err != nil {
		t.Fatalf("build: %v", err)
	}
	return groupsOf(objects)
}

func groupsOf(objects []client.Object) []monitoringv1.RuleGroup {
	var out []monitoringv1.RuleGroup
	for _, o := range objects {
		out = append(out, o.(*monitoringv1.PrometheusRule).Spec.Groups...)
	}
	return out
}

// everyAlert returns all alerts, whatever the cluster has.
func everyAlert() []Rule {
	var out []Rule
	for _, g := range groups(settings{windows: windows{"1m", "3m", "4m"}, downKnown: true, lostKnown: true, spansKnown: true, critical: criticalValues(nil)}) {
		for _, r := range g.Rules {
			if r.Alert != "" {
				out = append(out, r)
			}
		}
	}
	return out
}

func alertNames(groups []monitoringv1.RuleGroup) map[string]bool {
	out := map[string]bool{}
	for _, g := range groups {
		for _, r := range g.Rules {
			if r.Alert != "" {
				out[r.Alert] = true
			}
		}
	}
	return out
}

func reasons(t *testing.T, in component.Input) map[string]string {
	t.Helper()
	_, omitted, err := selected(in)
	if err != nil {
		t.Fatalf("select: %v", err)
	}
	out := map[string]string{}
	for _, o := range omitted {
		out[o.Name] = o.Reason
	}
	return out
}

func TestRulesFollowWhatTheClusterHas(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*component.Input)
		// gone are alerts that are left out with a reason that holds the text; kept are some that stay.
		gone map[string]string
		kept []string
	}{{
		name:   "a control plane that is not seen has no rules of its pods",
		change: func(*component.Input) {},
		gone: map[string]string{
			"SchedulerDown":                "kube-scheduler",
			"ControllerManagerDown":        "kube-controller-manager",
			"KubeProxyDown":                "kube-proxy",
			"EtcdMemberDown":               "etcd",
			"PrometheusRemoteWriteFailing": "spec.metrics.prometheus.remoteWrite",
		},
		kept: []string{alert.Watchdog, "WorkloadDown", "ServiceErrorRateHigh", "APIServerDown"},
	}, {
		name: "without kube-state-metrics no rule of workloads, but those of nodes and volumes",
		change: func(in *component.Input) {
			in.KubeBot.Spec.Metrics.KubeStateMetrics.Mode = v1alpha1.ExporterMode(v1alpha1.ModeDisabled)
		},
		gone: map[string]string{
			"WorkloadDown":         "spec.metrics.kubeStateMetrics.mode",
			"ServiceErrorRateHigh": "spec.metrics.kubeStateMetrics.mode",
			"NodeNotReady":         "spec.metrics.kubeStateMetrics.mode",
		},
		kept: []string{alert.Watchdog, "VolumeAlmostFull", "NodeDiskAlmostFull", "APIServerDown"},
	}, {
		name: "kube-state-metrics of the cluster's own will do",
		change: func(in *component.Input) {
			in.KubeBot.Spec.Metrics.KubeStateMetrics.Mode = v1alpha1.ExporterMode(v1alpha1.ModeDisabled)
			in.Cluster.Sources = map[string]bool{"kube-state-metrics": true}
		},
		kept: []string{"WorkloadDown", "ServiceErrorRateHigh", "NodeNotReady"},
	}, {
		name: "without node-exporter no rule of disks",
		change: func(in *component.Input) {
			in.KubeBot.Spec.Metrics.NodeExporter.Mode = v1alpha1.ExporterMode(v1alpha1.ModeDisabled)
		},
		gone: map[string]string{"NodeDiskAlmostFull": "spec.metrics.nodeExporter.mode"},
		kept: []string{"NodeNotReady"},
	}, {
		name: "without the collector no rule of spans",
		change: func(in *component.Input) {
			in.KubeBot.Spec.Traces.Collector.Mode = v1alpha1.ExporterMode(v1alpha1.ModeDisabled)
		},
		gone: map[string]string{
			"ServiceSlow": "spec.traces.collector.mode", "ServiceVerySlow": "spec.traces.collector.mode",
			"ServiceSpanErrorRateHigh": "spec.traces.collector.mode",
		},
		kept: []string{"ServiceErrorRateHigh"},
	}, {
		name: "without Fluent Bit no rule of what it reads",
		change: func(in *component.Input) {
			in.KubeBot.Spec.Logs.FluentBit.Mode = v1alpha1.ExporterMode(v1alpha1.ModeDisabled)
		},
		gone: map[string]string{
			"LogLinesLost": "spec.logs.fluentBit.mode", "LogLinesWaiting": "spec.logs.fluentBit.mode", "LogLinesNotRead": "spec.logs.fluentBit.mode",
		},
		kept: []string{"NodeNotReady"},
	}, {
		name: "an external Prometheus has jobs of other names",
		change: func(in *component.Input) {
			in.KubeBot.Spec.Metrics.Prometheus.Mode = v1alpha1.ModeExternal
			in.KubeBot.Spec.Metrics.Prometheus.External = &v1alpha1.ExternalEndpoint{URL: "http://prometheus.other:9090"}
		},
		gone: map[string]string{"APIServerDown": "external", "TargetDown": "external", "CPUThrottling": "cadvisor"},
		kept: []string{alert.Watchdog, "WorkloadDown", "ServiceErrorRateHigh", "PrometheusNotIngesting"},
	}, {
		name: "an external Alertmanager is sent alerts and the fallback, and its own figures are not known",
		change: func(in *component.Input) {
			in.KubeBot.Spec.Metrics.Alertmanager.Mode = v1alpha1.ModeExternal
			in.KubeBot.Spec.Metrics.Alertmanager.External = &v1alpha1.ExternalEndpoint{URL: "http://alertmanager.other:9093"}
		},
		gone: map[string]string{"AlertmanagerNotificationsFailing": "spec.metrics.alertmanager.mode: Managed"},
		kept: []string{alert.Fallback, "PrometheusAlertsDropped"},
	}, {
		name: "without an Alertmanager nothing is sent",
		change: func(in *component.Input) {
			in.KubeBot.Spec.Metrics.Alertmanager.Mode = v1alpha1.ModeDisabled
		},
		gone: map[string]string{alert.Fallback: "there is no Alertmanager", "PrometheusAlertsDropped": "there is no Alertmanager"},
		kept: []string{alert.Watchdog},
	}, {
		name: "a disabled alert is left out, of the watch too; the watchdog and unknown names are not",
		change: func(in *component.Input) {
			in.KubeBot.Spec.Alerting.DefaultRules.Disabled = []string{"WorkloadDown", alert.Watchdog, alert.PodEvicted, "Typo"}
		},
		gone: map[string]string{"WorkloadDown": "disabled names it", alert.PodEvicted: "disabled names it", "Typo": "no alert of KubeBot has the name"},
		kept: []string{alert.Watchdog, "ServiceErrorRateHigh"},
	}} {
		t.Run(tc.name, func(t *testing.T) {
			in := defaultInput()
			tc.change(&in)
			got, why := alertNames(rendered(t, in)), reasons(t, in)
			for name, text := range tc.gone {
				if got[name] || !strings.Contains(why[name], text) {
					t.Errorf("%s: shipped %v, reason %q; want it left out with a reason that holds %q", name, got[name],
						why[name], text)
				}
			}
			for _, name := range tc.kept {
				if !got[name] || why[name] != "" {
					t.Errorf("%s: shipped %v, left out for %q; want it shipped", name, got[name], why[name])
				}
			}
			for _, r := range everyAlert() {
				if got[r.Alert] == (why[r.Alert] != "") {
					t.Errorf("%s: shipped %v and reason %q; want one of the two", r.Alert, got[r.Alert], why[r.Alert])
				}
			}
		})
	}
}

func TestReasonsFitTheStatus(t *testing.T) {
	in := component.Input{KubeBot: defaultInput().KubeBot}
	in.KubeBot.Spec.Metrics = v1alpha1.MetricsSpec{
		Prometheus:       v1alpha1.PrometheusSpec{Mode: v1alpha1.ModeExternal},
		Alertmanager:     v1alpha1.AlertmanagerSpec{Mode: v1alpha1.ModeDisabled},
		KubeStateMetrics: v1alpha1.ExporterSpec{Mode: v1alpha1.ExporterMode(v1alpha1.ModeDisabled)},
		NodeExporter:     v1alpha1.ExporterSpec{Mode: v1alpha1.ExporterMode(v1alpha1.ModeDisabled)},
	}
	in.KubeBot.Spec.Traces.Collector.Mode = v1alpha1.ExporterMode(v1alpha1.ModeDisabled)
	why := reasons(t, in)
	if len(why) != len(everyAlert())-2 {
		t.Errorf("%d alerts are left out of %d; want all but Watchdog and PrometheusNotIngesting", len(why), len(everyAlert()))
	}
	for name, reason := range why {
		if len(reason) > 512 {
			t.Errorf("%s: the reason has %d bytes, the status takes 512", name, len(reason))
		}
	}
}

func TestNothingIsBuiltWithoutUse(t *testing.T) {
	for name, change := range map[string]func(*component.Input){
		"rules switched off": func(in *component.Input) {
			in.KubeBot.Spec.Alerting.DefaultRules.Mode = v1alpha1.SwitchDisabled
		},
		"no Prometheus": func(in *component.Input) {
			in.KubeBot.Spec.Metrics.Prometheus.Mode = v1alpha1.ModeDisabled
		},
		"no PrometheusRules in the cluster": func(in *component.Input) { in.Cluster.Kinds = nil },
	} {
		t.Run(name, func(t *testing.T) {
			in := defaultInput()
			change(&in)
			objects, err := Component{}.Build(in)
			if err != nil || len(objects) > 0 {
				t.Errorf("built %d objects (%v); want none", len(objects), err)
			}
			if q := (Component{}).Questions(in); len(q) > 0 {
				t.Errorf("asks %v; want nothing asked", q)
			}
		})
	}
}

func TestWindowHoldsFourScrapesAndThreePushes(t *testing.T) {
	for interval, want := range map[v1alpha1.Duration]map[string]string{
		"":    {"scraped": "[1m]", "pushed": "[3m]"},
		"10s": {"scraped": "[1m]", "pushed": "[3m]"},
		"30s": {"scraped": "[2m]", "pushed": "[3m]"},
		"1m":  {"scraped": "[4m]", "pushed": "[4m]"},
	} {
		in := defaultInput()
		in.KubeBot.Spec.Metrics.Prometheus.ScrapeInterval = interval
		for _, g := range rendered(t, in) {
			for _, r := range g.Rules {
				if w := want[r.Labels["source"]]; r.Record == podRequests && (w == "" || !strings.Contains(r.Expr.StrVal, w)) {
					t.Errorf("scrapes each %q: %s; want a window of %s", interval, r.Expr.StrVal, w)
				}
			}
		}
	}
}

// Without the alert of spans nothing else tells of who sends spans and pushes metrics.
func TestOfWhoPushesTheMetricsTellWhereTheSpansMayNot(t *testing.T) {
	in := defaultInput()
	in.KubeBot.Spec.Alerting.DefaultRules.Disabled = []string{alertSpanErrors}
	for _, g := range rendered(t, in) {
		for _, r := range g.Rules {
			if r.Alert == "ServiceErrorRateHigh" && strings.Contains(r.Expr.StrVal, tracedRequests) {
				t.Errorf("it leaves out who sends spans: %s", r.Expr.StrVal)
			}
		}
	}
}

func TestBadScrapeIntervalIsRefused(t *testing.T) {
	in := defaultInput()
	in.KubeBot.Spec.Metrics.Prometheus.ScrapeInterval = "1m30"
	_, err := Component{}.Build(in)
	var invalid *component.InvalidError
	if !errors.As(err, &invalid) || invalid.Field != "spec.metrics.prometheus.scrapeInterval" {
		t.Errorf("error %v; want an InvalidError of the scrape interval", err)
	}
}
