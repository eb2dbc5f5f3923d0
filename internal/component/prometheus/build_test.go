package prometheus

import (
	"errors"
	"regexp"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
)

func TestBuildRefusesWhatTheSchemaCannot(t *testing.T) {
	contradiction := &metav1.LabelSelector{MatchLabels: map[string]string{"kubebot.io/name": "other"}}
	for field, spec := range map[string]v1alpha1.PrometheusSpec{
		"spec.metrics.prometheus.image":                 {PodSettings: v1alpha1.PodSettings{Image: "quay.io/prometheus/prometheus:"}},
		"spec.metrics.prometheus.retention":             {Retention: "0d"},
		"spec.metrics.prometheus.scrapeInterval":        {ScrapeInterval: "30s1m"},
		"spec.metrics.prometheus.evaluationInterval":    {EvaluationInterval: "5"},
		"spec.metrics.prometheus.retentionSize":         {RetentionSize: new(resource.MustParse("11Gi"))},
		"spec.metrics.prometheus.storage.size":          {Storage: v1alpha1.StorageSpec{Size: new(resource.MustParse("0"))}},
		"spec.metrics.prometheus.remoteWrite[0].url":    {RemoteWrite: []v1alpha1.RemoteWrite{{Name: "a", URL: "https://user:pass@store.example.com"}}},
		"spec.metrics.prometheus.userMonitors.selector": {UserMonitors: v1alpha1.MonitorSelection{Selector: contradiction}},
		"spec.metrics.prometheus.external.url":          {Mode: v1alpha1.ModeExternal, External: &v1alpha1.ExternalEndpoint{URL: "http://user@prom.example.com"}},
	} {
		t.Run(field, func(t *testing.T) {
			_, err := Component{}.Build(input(spec))
			var invalid *component.InvalidError
			if !errors.As(err, &invalid) || invalid.Field != field {
				t.Errorf("Build: %v, want an InvalidError of %s", err, field)
			}
		})
	}
}

func TestSamplesFitIntoTheVolumeThatIsThere(t *testing.T) {
	for name, c := range map[string]struct {
		given    string
		capacity int64
		want     monitoringv1.ByteSize
	}{
		"the volume is as the spec says":        {"", 0, "81920MiB"},
		"it is smaller":                         {"", 50 << 30, "40960MiB"},
		"it is smaller than the user's limit":   {"90Gi", 50 << 30, "40960MiB"},
		"it is larger than the user's limit":    {"45Gi", 50 << 30, "46080MiB"},
		"the user's limit, and all of it there": {"90Gi", 0, "92160MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			spec := v1alpha1.PrometheusSpec{Storage: v1alpha1.StorageSpec{Size: new(resource.MustParse("100Gi"))}}
			if c.given != "" {
				spec.RetentionSize = new(resource.MustParse(c.given))
			}
			in := input(spec)
			if c.capacity > 0 {
				in.Capacity = map[string]int64{"prometheus": c.capacity}
			}
			p, err := prometheus(in)
			if err != nil || p.Spec.RetentionSize != c.want {
				t.Errorf("retentionSize %s, %v, want %s", p.Spec.RetentionSize, err, c.want)
			}
		})
	}
}

func TestAnnotatedPodsGetTheirAddress(t *testing.T) {
	for name, c := range map[string]struct{ port, ip, want string }{
		"IPv4":            {"8080", "10.0.0.7", "10.0.0.7:8080"},
		"IPv6":            {"8080", "fd00::7", "[fd00::7]:8080"},
		"no port":         {"", "10.0.0.7", ""},
		"port with words": {"8080/tcp", "10.0.0.7", ""},
	} {
		t.Run(name, func(t *testing.T) {
			var got string
			for _, r := range annotatedPodsJob().RelabelConfigs {
				if r.TargetLabel != "__address__" {
					continue
				}
				// Prometheus anchors the expression and joins the values by semicolons.
				if m := regexp.MustCompile("^(?:" + r.Regex + ")$"); m.MatchString(c.port + ";" + c.ip) {
					got = m.ReplaceAllString(c.port+";"+c.ip, r.Replacement)
				}
			}
			if got != c.want {
				t.Errorf("address = %q, want %q", got, c.want)
			}
		})
	}
}

// series is a time series of cAdvisor as rules see it.
type series struct{ name, pod, container, id string }

func TestOfCAdvisorStaysWhatRulesRead(t *testing.T) {
	for s, want := range map[series]bool{
		{"container_cpu_usage_seconds_total", "shop-1", "shop", "/kubepods/x/y"}:       true,
		{"container_cpu_usage_seconds_total", "shop-1", "", "/kubepods/x"}:             false,
		{"container_cpu_usage_seconds_total", "", "", "/system.slice/ssh.service"}:     false,
		{"container_cpu_usage_seconds_total", "", "", "/"}:                             true,
		{"container_memory_working_set_bytes", "shop-1", "shop", "/kubepods/x/y"}:      true,
		{"container_cpu_cfs_throttled_periods_total", "shop-1", "shop", "/kubepods/x"}: true,
		{"container_network_receive_bytes_total", "shop-1", "", "/kubepods/x"}:         true,
		{"container_fs_writes_bytes_total", "shop-1", "shop", "/kubepods/x/y"}:         true,
		{"container_tasks_state", "shop-1", "shop", "/kubepods/x/y"}:                   false,
		{"container_oom_events_total", "shop-1", "shop", "/kubepods/x/y"}:              true,
		{"machine_cpu_cores", "", "", ""}:                                              true,
		{"container_pressure_cpu_waiting_seconds_total", "shop-1", "shop", "/kube"}:    true,
	} {
		if got := kept(cadvisorSeries(), s); got != want {
			t.Errorf("%+v kept = %v, want %v", s, got, want)
		}
	}
}

// kept applies keep and drop rules as Prometheus does.
func kept(rules []relabelConfig, s series) bool {
	values := map[string]string{"__name__": s.name, "pod": s.pod, "container": s.container, "id": s.id}
	for _, r := range rules {
		joined := ""
		for i, label := range r.SourceLabels {
			if i > 0 {
				joined += ";"
			}
			joined += values[label]
		}
		if regexp.MustCompile("^(?:"+r.Regex+")$").MatchString(joined) == (r.Action == "drop") {
			return false
		}
	}
	return true
}
