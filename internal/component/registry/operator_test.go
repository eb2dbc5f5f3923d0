package registry

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/discovery"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/component/rules"
	"github.com/kubebot/kubebot/internal/gather"
	"github.com/kubebot/kubebot/internal/testutil/golden"
)

// operatorTimeout is how long the operator may take to act on all objects: far more than the seconds that it needs.
const operatorTimeout = 4 * time.Minute

// The Prometheus Operator, as the chart runs it, makes of what the components build: a configuration that promtool
// accepts, and pods that Pod Security "restricted" lets in.
func TestTheOperatorRunsWhatTheComponentsBuild(t *testing.T) {
	operator, promtool := golden.Program(t, "prometheus-operator"), golden.Program(t, "promtool")
	c := newClient(t)
	const namespace = "operated"
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace, Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"}}}
	if err := c.Create(t.Context(), ns); err != nil {
		t.Fatalf("create the namespace: %v", err)
	}
	class := &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "fast"}, Provisioner: "test.kubebot.io/none"}
	if err := c.Create(t.Context(), class); err != nil {
		t.Fatalf("create the storage class of the golden cases: %v", err)
	}
	for name, path := range map[string]string{"empty": "empty", "stored": "storage", "writing": "remote-write", "narrowed": "narrowed-monitors"} {
		in := golden.Load(t, filepath.Join("..", "prometheus", "testdata", path, "in.yaml"))
		in.KubeBot.Name, in.KubeBot.Namespace = name, namespace
		in.Install.PrometheusOperatorID = "kubebot/test"
		in.Cluster.Kinds[monitoringv1.SchemeGroupVersion.WithKind(monitoringv1.PrometheusRuleKind)] = true
		createSecrets(t, c, in)
		applyAll(t, c, in)
	}
	createBadRule(t, c, namespace)
	startOperator(t, operator, namespace)
	refusesTheBadRule(t, c, namespace)

	for _, name := range []string{"empty", "stored", "writing", "narrowed"} {
		t.Run(name, func(t *testing.T) {
			config := unzip(t, secretData(t, c, namespace, "prometheus-"+name+"-prometheus", "prometheus.yaml.gz"))
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "prometheus.yaml"), config, 0o600); err != nil {
				t.Fatalf("write the configuration: %v", err)
			}
			golden.Run(t, dir, promtool, "check", "config", "--syntax-only", "prometheus.yaml")
			for _, want := range []string{"job_name: kubelet-cadvisor", "job_name: annotated-pods", "regex: " + name + "-alertmanager", "cluster: test"} {
				if !bytes.Contains(config, []byte(want)) {
					t.Errorf("the configuration has no %q:\n%s", want, config)
				}
			}
			for _, set := range []string{"prometheus-" + name + "-prometheus", "alertmanager-" + name + "-alertmanager"} {
				admitted(t, c, namespace, set)
			}
			var rules corev1.ConfigMap
			get(t, c, namespace, "prometheus-"+name+"-prometheus-rulefiles-0", &rules, func() bool {
				return holds(rules.Data, "operated-"+name+"-rules", "alert: Watchdog")
			})
			runs(t, c, namespace, name+"-prometheus")
		})
	}
}

// runs waits until the operator says that it runs a Prometheus: until then it may say that two of its own writes met,
// which it repeats by itself.
func runs(t *testing.T, c client.Client, namespace, name string) {
	t.Helper()
	var said string
	defer func() {
		if t.Failed() {
			t.Logf("the operator says of %s: %s", name, said)
		}
	}()
	var p monitoringv1.Prometheus
	get(t, c, namespace, name, &p, func() bool {
		for _, condition := range p.Status.Conditions {
			if condition.Type == monitoringv1.Reconciled {
				said = condition.Message
				return condition.Status == monitoringv1.ConditionTrue
			}
		}
		return false
	})
}

// createBadRule makes a rule of a user's that no Prometheus could load.
func createBadRule(t *testing.T, c client.Client, namespace string) {
	t.Helper()
	rule := &monitoringv1.PrometheusRule{
		ObjectMeta: metav1.ObjectMeta{Name: "orders", Namespace: namespace},
		Spec: monitoringv1.PrometheusRuleSpec{Groups: []monitoringv1.RuleGroup{{
			Name: "orders", Rules: []monitoringv1.Rule{{Alert: "OrdersStuck", Expr: intstr.FromString("sum(orders_total")}},
		}}},
	}
	if err := c.Create(t.Context(), rule); err != nil {
		t.Fatalf("create the bad rule: %v", err)
	}
}

// refusesTheBadRule: the operator says so where KubeBot reads it, and the condition names the rule.
func refusesTheBadRule(t *testing.T, c client.Client, namespace string) {
	t.Helper()
	disco, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	kb := &v1alpha1.KubeBot{ObjectMeta: metav1.ObjectMeta{Name: "empty", Namespace: namespace}}
	now := time.Now()
	var message string
	var rule monitoringv1.PrometheusRule
	get(t, c, namespace, "orders", &rule, func() bool {
		g := gather.Gatherer{Reader: c, Discovery: disco, Now: func() time.Time { return now }}
		in, err := g.Input(t.Context(), kb)
		if err != nil {
			t.Fatal(err)
		}
		for _, condition := range (rules.Component{}).Health(in, component.Observed{}).Extra {
			message = condition.Message
		}
		return message != ""
	})
	for _, part := range []string{"PrometheusRule " + namespace + "/orders: invalid rule", "the log of the Prometheus Operator"} {
		if !strings.Contains(message, part) {
			t.Errorf("the condition has no %q: %s", part, message)
		}
	}
}

// holds tells whether a file whose name begins with prefix has a text.
func holds(files map[string]string, prefix, text string) bool {
	for name, content := range files {
		if strings.HasPrefix(name, prefix) && strings.Contains(content, text) {
			return true
		}
	}
	return false
}

func applyAll(t *testing.T, c client.Client, in component.Input) {
	t.Helper()
	for _, part := range All() {
		objects, err := part.Build(in)
		if err != nil {
			t.Fatalf("build %s: %v", part.Name(), err)
		}
		for _, o := range objects {
			if o.GetNamespace() != in.KubeBot.Namespace {
				continue
			}
			if err := apply(t.Context(), c, o); err != nil {
				t.Fatalf("apply %s %s: %v", o.GetObjectKind().GroupVersionKind().Kind, o.GetName(), err)
			}
		}
	}
}

// createSecrets makes the Secrets that the remote-write case names.
func createSecrets(t *testing.T, c client.Client, in component.Input) {
	t.Helper()
	for _, w := range in.KubeBot.Spec.Metrics.Prometheus.RemoteWrite {
		secret := &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Name: w.Name, Namespace: in.KubeBot.Namespace},
			StringData: map[string]string{"token": "t", "user": "u", "password": "p"},
		}
		if err := c.Create(t.Context(), secret); err != nil {
			t.Fatalf("create the Secret %s: %v", w.Name, err)
		}
	}
}

// startOperator runs the operator until the test ends, with the flags that the chart gives it.
func startOperator(t *testing.T, program, namespace string) {
	t.Helper()
	dir := t.TempDir()
	for name, data := range map[string][]byte{"crt": config.CertData, "key": config.KeyData, "ca": config.CAData} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatalf("write %s: %v", name, err)
		}
	}
	address := golden.FreeAddress(t)
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, program,
		"--apiserver="+config.Host, "--cert-file="+filepath.Join(dir, "crt"), "--key-file="+filepath.Join(dir, "key"), "--ca-file="+filepath.Join(dir, "ca"),
		"--web.listen-address="+address, "--kubelet-endpoints=false", "--controller-id=kubebot/test",
		"--feature-gates=StatusForConfigurationResources=true",
		"--prometheus-instance-namespaces="+namespace, "--alertmanager-instance-namespaces="+namespace,
		"--alertmanager-config-namespaces="+namespace, "--thanos-ruler-instance-namespaces="+namespace,
		"--config-reloader-cpu-limit=0",
	)
	var log bytes.Buffer
	cmd.Stderr, cmd.Stdout = &log, &log
	if err := cmd.Start(); err != nil {
		cancel()
		t.Fatalf("start the operator: %v", err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // it was killed: its error says only that
		if t.Failed() {
			t.Logf("the operator said:\n%s", log.String())
		}
	})
}

// get waits until an object is there and done says yes.
func get(t *testing.T, c client.Client, namespace, name string, o client.Object, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), operatorTimeout)
	defer cancel()
	for {
		err := c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, o)
		if err == nil && done() {
			return
		}
		if err != nil && !apierrors.IsNotFound(err) || errors.Is(ctx.Err(), context.DeadlineExceeded) {
			t.Fatalf("wait for %T %s: %v", o, name, err)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func secretData(t *testing.T, c client.Client, namespace, name, key string) []byte {
	t.Helper()
	var secret corev1.Secret
	get(t, c, namespace, name, &secret, func() bool { return len(secret.Data[key]) > 0 })
	return secret.Data[key]
}

func unzip(t *testing.T, data []byte) []byte {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatalf("unzip the configuration: %v", err)
	}
	out, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("unzip the configuration: %v", err)
	}
	return out
}

// admitted creates a pod of a StatefulSet, as a dry run.
func admitted(t *testing.T, c client.Client, namespace, name string) {
	t.Helper()
	var set appsv1.StatefulSet
	get(t, c, namespace, name, &set, func() bool { return true })
	meta := *set.Spec.Template.ObjectMeta.DeepCopy()
	meta.GenerateName, meta.Namespace = "test-", namespace
	spec := *set.Spec.Template.Spec.DeepCopy()
	for _, claim := range set.Spec.VolumeClaimTemplates { // as the StatefulSet controller does
		spec.Volumes = append(spec.Volumes, claimed(claim.Name))
	}
	if err := c.Create(t.Context(), &corev1.Pod{ObjectMeta: meta, Spec: spec}, client.DryRunAll); err != nil {
		t.Errorf("create a pod of %s: %v", name, err)
	}
}
