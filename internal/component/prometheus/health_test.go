package prometheus

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/component/observe"
	"github.com/kubebot/kubebot/internal/testutil/golden"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

var external = v1alpha1.PrometheusSpec{Mode: v1alpha1.ModeExternal, External: &v1alpha1.ExternalEndpoint{URL: "http://prom.example.com/base/"}}

func input(p v1alpha1.PrometheusSpec) component.Input {
	kb := &v1alpha1.KubeBot{ObjectMeta: metav1.ObjectMeta{Name: "main", Namespace: "kubebot"}}
	kb.Spec.Metrics.Prometheus = p
	return golden.Input(kb)
}

func live(age time.Duration, conditions ...monitoringv1.Condition) []client.Object {
	return []client.Object{&monitoringv1.Prometheus{
		ObjectMeta: metav1.ObjectMeta{Name: "main-prometheus", Namespace: "kubebot", CreationTimestamp: metav1.NewTime(now.Add(-age))},
		Status:     monitoringv1.PrometheusStatus{Conditions: conditions},
	}}
}

// counted is the answer to a query that counts by job and metrics_path: each line is job, metrics_path or -, count.
func counted(lines ...string) component.Answer {
	var samples []string
	for _, line := range lines {
		parts := strings.Fields(line)
		samples = append(samples, fmt.Sprintf(`{"metric":{"job":%q,"metrics_path":%q},"value":[1767323045.1,%q]}`,
			parts[0], strings.TrimPrefix(parts[1], "-"), parts[2]))
	}
	return component.Answer{Status: 200, Body: []byte(`{"status":"success","data":{"resultType":"vector","result":[` + strings.Join(samples, ",") + `]}}`)}
}

var allUp = []string{
	"prometheus - 1", "config-reloader - 2", "alertmanager - 1", "kube-state-metrics - 1", "kube-state-metrics-self - 1", "node-exporter - 3",
	"kubebot-responder - 2", "fluent-bit - 3", "kubebot-collector - 4", "kubebot-archive - 1", "loki - 1", "jaeger - 1", "grafana - 1", "kubebot-manager - 2", "kubelet /metrics 3", "kubelet /metrics/cadvisor 3", "apiserver - 1",
}

func answers(all, down component.Answer) map[string]component.Answer {
	return map[string]component.Answer{keyReady: {Status: 200}, keyTargets: all, keyDown: down}
}

func TestHealth(t *testing.T) {
	reconciled := monitoringv1.Condition{Type: monitoringv1.Reconciled, Status: monitoringv1.ConditionTrue}
	running := live(time.Hour, reconciled)
	for name, c := range map[string]struct {
		spec   v1alpha1.PrometheusSpec
		seen   component.Observed
		status metav1.ConditionStatus
		reason string
		part   string
	}{
		"switched off":           {v1alpha1.PrometheusSpec{Mode: v1alpha1.ModeDisabled}, component.Observed{}, metav1.ConditionFalse, v1alpha1.ReasonDisabled, "mode"},
		"not applied yet":        {v1alpha1.PrometheusSpec{}, component.Observed{}, metav1.ConditionFalse, v1alpha1.ReasonProgressing, "does not exist"},
		"operator is absent":     {v1alpha1.PrometheusSpec{}, component.Observed{Objects: live(time.Hour)}, metav1.ConditionFalse, v1alpha1.ReasonOperatorNotActing, "namespace kubebot"},
		"still reads its log":    {v1alpha1.PrometheusSpec{}, component.Observed{Objects: running, Answers: map[string]component.Answer{keyReady: {Status: 503}}}, metav1.ConditionFalse, v1alpha1.ReasonProgressing, "503"},
		"answers with an error":  {v1alpha1.PrometheusSpec{}, component.Observed{Objects: running, Answers: map[string]component.Answer{keyReady: {Status: 404}}}, metav1.ConditionFalse, v1alpha1.ReasonNotAnswering, "404"},
		"queries fail":           {v1alpha1.PrometheusSpec{}, component.Observed{Objects: running, Answers: answers(component.Answer{Status: 503}, counted())}, metav1.ConditionFalse, v1alpha1.ReasonNotAnswering, "503 to a query"},
		"answers nonsense":       {v1alpha1.PrometheusSpec{}, component.Observed{Objects: running, Answers: answers(component.Answer{Status: 200, Body: []byte("<html>")}, counted())}, metav1.ConditionFalse, v1alpha1.ReasonNotAnswering, "format"},
		"all targets are up":     {v1alpha1.PrometheusSpec{}, component.Observed{Objects: running, Answers: answers(counted(allUp...), counted())}, metav1.ConditionTrue, v1alpha1.ReasonReady, "are up"},
		"a kubelet is down":      {v1alpha1.PrometheusSpec{}, component.Observed{Objects: running, Answers: answers(counted(allUp...), counted("kubelet /metrics/cadvisor 1"))}, metav1.ConditionFalse, v1alpha1.ReasonTargetsDown, "down: kubelet /metrics/cadvisor (1 of 3);"},
		"a job has no target":    {v1alpha1.PrometheusSpec{}, component.Observed{Objects: running, Answers: answers(counted(allUp[1:]...), counted())}, metav1.ConditionFalse, v1alpha1.ReasonTargetsDown, "down: prometheus (no target);"},
		"external is not there":  {external, component.Observed{}, metav1.ConditionFalse, v1alpha1.ReasonNotAnswering, "external.url"},
		"external is well":       {external, component.Observed{Answers: map[string]component.Answer{keyReady: {Status: 200}}}, metav1.ConditionTrue, v1alpha1.ReasonReady, "external"},
		"an unreconciled object": {v1alpha1.PrometheusSpec{}, component.Observed{Objects: live(0)}, metav1.ConditionFalse, v1alpha1.ReasonProgressing, "yet"},
	} {
		t.Run(name, func(t *testing.T) {
			c.seen.Now = now
			got := Component{}.Health(input(c.spec), c.seen)
			if got.Status != c.status || got.Reason != c.reason || !strings.Contains(got.Message, c.part) {
				t.Errorf("Health = %s %s %q, want %s %s and a message with %q", got.Status, got.Reason, got.Message, c.status, c.reason, c.part)
			}
		})
	}
}

func TestNodesThatAreNotReadyAreNamedAsLeftOut(t *testing.T) {
	seen := component.Observed{Now: now, Objects: live(time.Hour), Answers: answers(counted(allUp...), counted())}
	seen.Answers[observe.KeyNodesNotReady] = counted("- - 0")
	got := Component{}.Health(input(v1alpha1.PrometheusSpec{}), seen)
	if got.Status != metav1.ConditionTrue || !strings.Contains(got.Message, "1 node(s) that are not ready are left out") {
		t.Errorf("Health = %s %s %q", got.Status, got.Reason, got.Message)
	}
}

func TestWhatIsSwitchedOffIsNoTargetOfTheStack(t *testing.T) {
	in := input(v1alpha1.PrometheusSpec{})
	in.KubeBot.Spec.Metrics.KubeStateMetrics.Mode = "Disabled"
	in.KubeBot.Spec.Metrics.NodeExporter.Mode = "Disabled"
	in.KubeBot.Spec.Metrics.Alertmanager.Mode = v1alpha1.ModeDisabled
	var up []string
	for _, line := range allUp {
		if !strings.HasPrefix(line, "kube-state") && !strings.HasPrefix(line, "node-") && !strings.HasPrefix(line, "alertmanager") {
			up = append(up, line)
		}
	}
	got := Component{}.Health(in, component.Observed{Now: now, Objects: live(time.Hour), Answers: answers(counted(up...), counted())})
	if got.Status != metav1.ConditionTrue {
		t.Errorf("Health = %s %s %q, want true", got.Status, got.Reason, got.Message)
	}
}

func TestStorageEphemeralIsSaidOnlyOfAnEmptyDir(t *testing.T) {
	in := golden.Load(t, filepath.Join("testdata", "storage", "in.yaml"))
	if extra := (Component{}).Health(in, component.Observed{}).Extra; len(extra) != 0 {
		t.Errorf("with a volume claim: %v", extra)
	}
	extra := Component{}.Health(input(v1alpha1.PrometheusSpec{}), component.Observed{}).Extra
	if len(extra) != 1 || extra[0].Type != v1alpha1.ConditionStorageEphemeral || !strings.Contains(extra[0].Message, "spec.metrics.prometheus.storage.size") {
		t.Errorf("with an emptyDir: %v", extra)
	}
}

// A real Prometheus scrapes itself and an address where nobody is, under the names of jobs of the stack. One of two
// kubelets that are down is of a node that is not ready.
func TestARealPrometheusUnderstandsTheQuestions(t *testing.T) {
	program := golden.Program(t, "prometheus")
	states := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		fmt.Fprint(w, "kube_node_status_condition{node=\"lost\",condition=\"Ready\",status=\"true\"} 0\n"+
			"kube_node_status_condition{node=\"well\",condition=\"Ready\",status=\"true\"} 1\n")
	}))
	t.Cleanup(states.Close)
	dir := t.TempDir()
	base := golden.Start(t, dir, program, "/-/ready", func(address string) []string {
		config := fmt.Sprintf(`
global: {scrape_interval: 100ms, scrape_timeout: 100ms}
scrape_configs:
- {job_name: prometheus, static_configs: [{targets: ["%s"]}]}
- {job_name: apiserver, static_configs: [{targets: ["127.0.0.1:1"]}]}
- {job_name: kube-state-metrics, static_configs: [{targets: ["%s"]}]}
- job_name: kubelet
  static_configs:
  - {targets: ["127.0.0.1:1"], labels: {node: lost}}
  - {targets: ["127.0.0.1:2"], labels: {node: well}}
`, address, strings.TrimPrefix(states.URL, "http://"))
		if err := os.WriteFile(filepath.Join(dir, "prometheus.yaml"), []byte(config), 0o600); err != nil {
			t.Fatalf("write the configuration: %v", err)
		}
		return []string{"--config.file=prometheus.yaml", "--storage.tsdb.path=" + dir, "--web.listen-address=" + address}
	})
	in := input(v1alpha1.PrometheusSpec{})
	ask := func() (all, down map[target]int, left int) {
		for _, q := range (Component{}).Questions(in) {
			answer := golden.Ask(t, strings.Replace(q.URL, "http://main-prometheus.kubebot.svc:9090", base, 1))
			found, err := counts(answer)
			switch {
			case q.Key == keyTargets && err == nil:
				all = found
			case q.Key == keyDown && err == nil:
				down = found
			case q.Key == observe.KeyNodesNotReady && err == nil:
				left = observe.NotReadyNodes(component.Observed{Answers: map[string]component.Answer{q.Key: answer}})
			case q.Key != keyReady || answer.Status != 200:
				t.Fatalf("%s: status %d, %v, %s", q.Key, answer.Status, err, answer.Body)
			}
		}
		return all, down, left
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		all, down, left := ask()
		kubelet := target{job: "kubelet"}
		if all[target{job: "prometheus"}] == 1 && all[target{job: "apiserver"}] == 1 && down[target{job: "apiserver"}] == 1 && down[target{job: "prometheus"}] == 0 &&
			all[kubelet] == 2 && down[kubelet] == 1 && left == 1 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("targets %v, down %v, %d nodes are not ready: want prometheus up, apiserver and one of 2 kubelets down", all, down, left)
		}
	}
}

func TestQuestionsToAnExternalPrometheusKeepItsPath(t *testing.T) {
	questions := Component{}.Questions(input(external))
	if len(questions) != 1 || questions[0].URL != "http://prom.example.com/base/api/v1/query?query=vector%281%29" {
		t.Errorf("Questions = %v", questions)
	}
}
