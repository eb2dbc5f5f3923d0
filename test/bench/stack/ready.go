package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/endpoints"
	"github.com/kubebot/kubebot/internal/naming"
	"github.com/kubebot/kubebot/test/stack"
)

// How long and how often is looked.
const (
	readyTimeout  = 5 * time.Minute
	readyInterval = 250 * time.Millisecond
	// managerName names the manager's Deployment, its pods and its Lease.
	managerName = "kubebot-manager"
)

// Ready compares a KubeBot with the same objects applied by kubectl.
type Ready struct {
	// Runs in the order in which they ran: KubeBot, kubectl, KubeBot again.
	Runs []ReadyRun `json:"runs"`
	// Objects that kubectl applied: all of the KubeBot's inventory.
	Objects int `json:"objects"`
	// Pods and Targets that every run but the first waits for.
	Pods    int `json:"pods"`
	Targets int `json:"targets"`
}

// ReadyRun is one run; seconds count from the start of kubectl apply.
type ReadyRun struct {
	// By is what applied the objects.
	By string `json:"by"`
	// PodsReady is when every pod was ready.
	PodsReady float64 `json:"podsReadySeconds"`
	// Answers is when also the targets of Prometheus were up and its rules loaded, Alertmanager was ready and a first alert
	// had come through to the responder.
	Answers float64 `json:"answersSeconds"`
	// Ready is when the KubeBot's condition Ready was true; 0 for kubectl.
	Ready float64 `json:"readySeconds"`
}

// measureReady leaves a KubeBot that is Ready. The objects of kubectl come from the first run. A short round has this run
// alone, of a KubeBot that may be there already.
func (b *bench) measureReady(ctx context.Context) error {
	manifest := kubebotManifest
	if err := b.readyRun(ctx, "KubeBot", manifest, true); err != nil || b.options.in != "" {
		return err
	}
	kb, err := b.KubeBot(ctx, kubebotName)
	if err != nil {
		return err
	}
	objects, err := b.objects(ctx, kb.Status.Inventory)
	if err != nil {
		return err
	}
	if err := b.gone(ctx, manifest, kb.Status.Inventory); err != nil {
		return err
	}
	// The manager removes objects of a KubeBot that does not exist.
	if err := b.scaleManager(ctx, 0); err != nil {
		return err
	}
	if err := b.readyRun(ctx, "kubectl apply", objects, false); err != nil {
		return err
	}
	if err := b.gone(ctx, objects, kb.Status.Inventory); err != nil {
		return err
	}
	if err := b.scaleManager(ctx, 2); err != nil {
		return err
	}
	b.report.Ready.Objects = len(kb.Status.Inventory)
	return b.readyRun(ctx, "KubeBot again", manifest, true)
}

// scaleManager waits until as many replicas run, and one of them leads.
func (b *bench) scaleManager(ctx context.Context, replicas int) error {
	if _, err := b.Kubectl(ctx, "-n", stack.Namespace, "scale", "deployment", managerName, fmt.Sprintf("--replicas=%d", replicas)); err != nil {
		return err
	}
	return stack.Eventually(ctx, 2*time.Minute, time.Second, func(ctx context.Context) error {
		var pods corev1.PodList
		if err := b.Client.List(ctx, &pods, client.InNamespace(stack.Namespace), client.MatchingLabels{"app.kubernetes.io/name": managerName}); err != nil {
			return fmt.Errorf("list the manager's pods: %w", err)
		}
		if len(pods.Items) != replicas {
			return fmt.Errorf("the manager has %d pods, %d wanted", len(pods.Items), replicas)
		}
		if replicas == 0 {
			return nil
		}
		lease, err := b.Kube.CoordinationV1().Leases(stack.Namespace).Get(ctx, managerName, metav1.GetOptions{})
		if err != nil {
			return fmt.Errorf("get the manager's Lease: %w", err)
		}
		for _, pod := range pods.Items {
			if strings.HasPrefix(ptr.Deref(lease.Spec.HolderIdentity, ""), pod.Name+"_") {
				return b.PodsReady(ctx, stack.Namespace, replicas, client.MatchingLabels{"app.kubernetes.io/name": managerName})
			}
		}
		return errors.New("no replica of the manager leads yet")
	})
}

// targetsUp counts the targets that are up. Those of the manager, which does not always run, are left out.
func (b *bench) targetsUp(ctx context.Context) (int, error) {
	targets, err := b.TargetList(ctx, kubebotName)
	up := 0
	for _, t := range targets {
		if t.Health == "up" && t.Labels["job"] != endpoints.JobManager {
			up++
		}
	}
	return up, err
}

// readyRun applies a manifest and waits until the stack answers.
func (b *bench) readyRun(ctx context.Context, by, manifest string, kubebot bool) error {
	run := ReadyRun{By: by}
	file := filepath.Join(b.Root, "bin", "bench-apply.yaml")
	if err := os.WriteFile(file, []byte(manifest), 0o600); err != nil {
		return fmt.Errorf("write the manifest: %w", err)
	}
	defer func() { _ = os.Remove(file) }()
	start := time.Now()
	if _, err := b.Kubectl(ctx, "apply", "-f", file); err != nil {
		return err
	}
	ready := make(chan error, 1)
	go func() {
		if !kubebot {
			ready <- nil
			return
		}
		err := stack.Eventually(ctx, readyTimeout, readyInterval, b.kubebotReady)
		run.Ready = round(time.Since(start).Seconds())
		ready <- err
	}()
	if err := stack.Eventually(ctx, readyTimeout, readyInterval, b.podsReady); err != nil {
		return errors.Join(fmt.Errorf("%s: %w", by, err), <-ready)
	}
	run.PodsReady = round(time.Since(start).Seconds())
	err := stack.Eventually(ctx, readyTimeout, readyInterval, b.answers)
	run.Answers = round(time.Since(start).Seconds())
	if err := errors.Join(err, <-ready); err != nil {
		return fmt.Errorf("%s: %w", by, err)
	}
	fmt.Printf("   %-14s pods %.1f s, answers %.1f s", by, run.PodsReady, run.Answers)
	if kubebot {
		fmt.Printf(", Ready %.1f s", run.Ready)
	}
	fmt.Println()
	b.report.Ready.Runs = append(b.report.Ready.Runs, run)
	if len(b.report.Ready.Runs) > 1 {
		return nil
	}
	return b.rememberStack(ctx)
}

// rememberStack notes how large the stack of the first run is, for the others to wait for no less.
func (b *bench) rememberStack(ctx context.Context) error {
	pods, err := b.stackPods(ctx)
	if err != nil {
		return err
	}
	up, err := b.targetsUp(ctx)
	b.report.Ready.Pods, b.report.Ready.Targets = len(pods), up
	return err
}

// rulesLoaded is nil when Prometheus has loaded as many groups of rules as the PrometheusRules of the stack hold.
func (b *bench) rulesLoaded(ctx context.Context) error {
	var rules unstructured.UnstructuredList
	rules.SetGroupVersionKind(schema.GroupVersionKind{Group: "monitoring.coreos.com", Version: "v1", Kind: "PrometheusRuleList"})
	if err := b.Client.List(ctx, &rules, client.MatchingLabels{naming.LabelName: kubebotName}); err != nil {
		return fmt.Errorf("list the PrometheusRules: %w", err)
	}
	want := 0
	for _, r := range rules.Items {
		groups, _, err := unstructured.NestedSlice(r.Object, "spec", "groups")
		if err != nil {
			return fmt.Errorf("read the PrometheusRule %s: %w", r.GetName(), err)
		}
		want += len(groups)
	}
	data, err := b.ServiceGet(ctx, stack.Namespace, kubebotName+"-prometheus:9090", "api/v1/rules", map[string]string{"exclude_alerts": "true"})
	if err != nil {
		return fmt.Errorf("ask Prometheus for its rules: %w", err)
	}
	var answer struct {
		Data struct {
			Groups []json.RawMessage `json:"groups"`
		} `json:"data"`
	}
	if err := json.Unmarshal(data, &answer); err != nil {
		return fmt.Errorf("read Prometheus' rules: %w", err)
	}
	if len(answer.Data.Groups) < want || want == 0 {
		return fmt.Errorf("%d of %d groups of rules are loaded", len(answer.Data.Groups), want)
	}
	return nil
}

func (b *bench) kubebotReady(ctx context.Context) error {
	kb, err := b.KubeBot(ctx, kubebotName)
	if err != nil {
		return err
	}
	if c := meta.FindStatusCondition(kb.Status.Conditions, v1alpha1.ConditionReady); c == nil || c.Status != "True" ||
		kb.Status.ObservedGeneration != kb.Generation {
		return fmt.Errorf("the KubeBot is not Ready: %+v", c)
	}
	return nil
}

func (b *bench) stackPods(ctx context.Context) ([]corev1.Pod, error) {
	var pods corev1.PodList
	if err := b.Client.List(ctx, &pods, client.MatchingLabels{naming.LabelName: kubebotName}); err != nil {
		return nil, fmt.Errorf("list the pods of the stack: %w", err)
	}
	return pods.Items, nil
}

// podsReady is nil when as many pods as in the first run are ready; in the first run, when each component has one.
func (b *bench) podsReady(ctx context.Context) error {
	pods, err := b.stackPods(ctx)
	if err != nil {
		return err
	}
	ready, components := 0, map[string]bool{}
	for _, pod := range pods {
		for _, c := range pod.Status.Conditions {
			if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
				ready++
				components[pod.Labels["app.kubernetes.io/name"]] = true
			}
		}
	}
	// Prometheus, Alertmanager, kube-state-metrics, node-exporter, responder.
	if want := b.report.Ready.Pods; ready < len(pods) || ready < want || len(components) < 5 {
		return fmt.Errorf("%d of %d pods of %d components are ready, %d wanted", ready, len(pods), len(components), want)
	}
	return nil
}

// answers is nil when Prometheus has its targets and rules, Alertmanager is ready and the responder got an alert.
func (b *bench) answers(ctx context.Context) error {
	if _, err := b.ServiceGet(ctx, stack.Namespace, kubebotName+"-alertmanager:9093", "-/ready", nil); err != nil {
		return fmt.Errorf("ask Alertmanager: %w", err)
	}
	up, err := b.targetsUp(ctx)
	if err != nil {
		return err
	}
	if up == 0 || up < b.report.Ready.Targets {
		return fmt.Errorf("%d targets are up, %d wanted", up, b.report.Ready.Targets)
	}
	if err := b.rulesLoaded(ctx); err != nil {
		return err
	}
	return b.alertArrived(ctx)
}

// alertArrived is nil when a responder took an alert; the first is the watchdog, which always fires.
func (b *bench) alertArrived(ctx context.Context) error {
	pods, err := b.stackPods(ctx)
	if err != nil {
		return err
	}
	for _, pod := range pods {
		if pod.Labels["app.kubernetes.io/name"] != "responder" {
			continue
		}
		data, err := b.Kube.CoreV1().Pods(pod.Namespace).ProxyGet("http", pod.Name, "8080", "metrics", nil).DoRaw(ctx)
		if err != nil {
			return fmt.Errorf("ask %s for its metrics: %w", pod.Name, err)
		}
		if n, err := webhookCalls(data); err != nil || n > 0 {
			return err
		}
	}
	return errors.New("the responder got no alert yet")
}

// webhookCalls returns how many calls of its webhook a responder has taken.
func webhookCalls(metrics []byte) (float64, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(metrics))
	if err != nil {
		return 0, fmt.Errorf("read the responder's metrics: %w", err)
	}
	for _, m := range families["kubebot_responder_webhook_requests_total"].GetMetric() {
		for _, l := range m.GetLabel() {
			if l.GetName() == "code" && l.GetValue() == "200" {
				return m.GetCounter().GetValue(), nil
			}
		}
	}
	return 0, nil
}

// objects returns the objects of an inventory as a manifest that anybody could have written.
func (b *bench) objects(ctx context.Context, inventory []v1alpha1.ObjectRef) (string, error) {
	var out bytes.Buffer
	for _, ref := range inventory {
		obj := newObject(ref)
		if err := b.Client.Get(ctx, client.ObjectKeyFromObject(obj), obj); err != nil {
			return "", fmt.Errorf("get %s %s: %w", ref.Kind, ref.Name, err)
		}
		data, err := json.Marshal(strip(obj))
		if err != nil {
			return "", fmt.Errorf("encode %s %s: %w", ref.Kind, ref.Name, err)
		}
		if data, err = yaml.JSONToYAML(data); err != nil {
			return "", fmt.Errorf("encode %s %s: %w", ref.Kind, ref.Name, err)
		}
		out.WriteString("---\n")
		out.Write(data)
	}
	return out.String(), nil
}

func newObject(ref v1alpha1.ObjectRef) *unstructured.Unstructured {
	obj := &unstructured.Unstructured{}
	obj.SetGroupVersionKind(schema.GroupVersionKind{Group: ref.Group, Version: ref.Version, Kind: ref.Kind})
	obj.SetNamespace(ref.Namespace)
	obj.SetName(ref.Name)
	return obj
}

// strip takes away what the server and KubeBot's bookkeeping added.
func strip(obj *unstructured.Unstructured) map[string]any {
	metadata := map[string]any{"name": obj.GetName()}
	if obj.GetNamespace() != "" {
		metadata["namespace"] = obj.GetNamespace()
	}
	if labels := obj.GetLabels(); len(labels) > 0 {
		metadata["labels"] = labels
	}
	annotations := obj.GetAnnotations()
	delete(annotations, "deployment.kubernetes.io/revision")
	delete(annotations, "deprecated.daemonset.template.generation")
	if len(annotations) > 0 {
		metadata["annotations"] = annotations
	}
	out := obj.DeepCopy().Object
	delete(out, "status")
	out["metadata"] = metadata
	if obj.GetKind() == "Service" {
		unstructured.RemoveNestedField(out, "spec", "clusterIPs")
		if ip, _, _ := unstructured.NestedString(out, "spec", "clusterIP"); ip != corev1.ClusterIPNone {
			unstructured.RemoveNestedField(out, "spec", "clusterIP")
		}
	}
	return out
}

// gone deletes what a manifest holds and waits until every object and pod of the stack is gone.
func (b *bench) gone(ctx context.Context, manifest string, inventory []v1alpha1.ObjectRef) error {
	file := filepath.Join(b.Root, "bin", "bench-delete.yaml")
	if err := os.WriteFile(file, []byte(manifest), 0o600); err != nil {
		return fmt.Errorf("write the manifest: %w", err)
	}
	defer func() { _ = os.Remove(file) }()
	if _, err := b.Kubectl(ctx, "delete", "--wait", "--ignore-not-found", "-f", file); err != nil {
		return err
	}
	return stack.Eventually(ctx, readyTimeout, time.Second, func(ctx context.Context) error {
		pods, err := b.stackPods(ctx)
		if err != nil {
			return err
		}
		if len(pods) > 0 {
			return fmt.Errorf("%d pods of the stack are left", len(pods))
		}
		for _, ref := range inventory {
			obj := newObject(ref)
			switch err := b.Client.Get(ctx, client.ObjectKeyFromObject(obj), obj); {
			case err == nil:
				return fmt.Errorf("%s %s is left", ref.Kind, ref.Name)
			case !apierrors.IsNotFound(err):
				return fmt.Errorf("look for %s %s: %w", ref.Kind, ref.Name, err)
			}
		}
		return nil
	})
}
