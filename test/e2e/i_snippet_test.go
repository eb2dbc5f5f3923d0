//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/test/stack"
)

// snippet is a further pipeline of a user's, with an option of its processor.
func snippet(option string) string {
	return "processors:\n  batch/mine:\n    " + option + "\nservice:\n  pipelines:\n    traces/mine:\n" +
		"      receivers: [otlp]\n      processors: [batch/mine]\n      exporters: [nop]\nexporters:\n  nop:\n"
}

func setSnippet(t *testing.T, ctx context.Context, text string) {
	t.Helper()
	spec, err := json.Marshal(text)
	must(t, err)
	patchMain(t, ctx, `{"spec":{"traces":{"collector":{"extraConfig":`+string(spec)+`}}}}`)
}

// TestChangesBesideEachOther changes parts of the spec that have nothing to do with each other, and all of them wait.
func TestChangesBesideEachOther(t *testing.T) {
	var muted time.Time
	if !stack.Existing() {
		muted = muteWatcherOfEvents(t)
	}
	t.Run("a mute watcher of events is restarted", func(t *testing.T) {
		t.Parallel()
		muteWatcherOfEventsIsRestarted(t, muted)
	})
	t.Run("a refused rule of a user's is named", func(t *testing.T) {
		t.Parallel()
		refusedRuleIsNamed(t)
	})
	t.Run("snippet", func(t *testing.T) {
		t.Parallel()
		t.Run("is tried before it runs", snippetIsTriedBeforeItRuns)
		t.Run("waits for its Secret", snippetWaitsForItsSecret)
	})
	t.Run("a component that is switched off is pruned and comes back", func(t *testing.T) {
		t.Parallel()
		componentSwitchedOffIsPrunedAndComesBack(t)
	})
}

// What the real collector refuses stays out, and is named with its line; spans go on flowing through the pods that ran
// before. Mended it gets in, and while both tiers are replaced nothing is lost.
func snippetIsTriedBeforeItRuns(t *testing.T) {
	ctx := contextOf(t, 24*time.Minute)
	t.Cleanup(func() {
		setSnippet(t, contextOf(t, time.Minute), "")
		ready(t, contextOf(t, 8*time.Minute))
	})
	before := samplerPods(t, ctx)
	sending := startSender(t, ctx)
	setSnippet(t, ctx, snippet("timeoutt: 1s"))
	must(t, stack.Eventually(ctx, 4*time.Minute, 500*time.Millisecond, func(ctx context.Context) error {
		kb, err := cluster.KubeBot(ctx, "main")
		if err != nil {
			return err
		}
		c := meta.FindStatusCondition(kb.Status.Conditions, v1alpha1.ConditionCollectorReady)
		if c == nil || c.Reason != v1alpha1.ReasonConfigRefused {
			return fmt.Errorf("CollectorReady does not say that it is refused: %+v", c)
		}
		for _, part := range []string{"spec.traces.collector.extraConfig", "line 3: ", "batch/mine", "timeoutt"} {
			if !strings.Contains(c.Message, part) {
				t.Errorf("the condition has no %q: %s", part, c.Message)
			}
		}
		return nil
	}))
	must(t, cluster.WaitCondition(ctx, "main", v1alpha1.ConditionTracesFlowing, metav1.ConditionTrue, 4*time.Minute))
	time.Sleep(2 * time.Second) // of sending while it is refused
	sending.stop()
	must(t, stack.Eventually(ctx, 4*time.Minute, time.Second, func(ctx context.Context) error {
		return sending.spansArrived(ctx, time.Time{}, time.Time{})
	}))
	if after := samplerPods(t, ctx); after != before {
		t.Errorf("the samplers were replaced: %s, then %s", before, after)
	}

	rolling := startSenderEvery(t, ctx, 3*time.Second) // for as long as the trial and two rollouts take
	setSnippet(t, ctx, snippet("timeout: 1s"))
	must(t, stack.Eventually(ctx, 4*time.Minute, 500*time.Millisecond, samplersHaveTheSnippet))
	_, err := cluster.Kubectl(ctx, "-n", stack.Namespace, "rollout", "restart", "deployment/main-collector")
	must(t, err)
	must(t, stack.Eventually(ctx, 6*time.Minute, time.Second, rolledOut))
	time.Sleep(2 * time.Second) // of sending to what is new
	rolling.stop()
	must(t, stack.Eventually(ctx, 4*time.Minute, 2*time.Second, func(ctx context.Context) error {
		return errors.Join(rolling.linesArrived(ctx), rolling.spansArrived(ctx, time.Time{}, time.Time{}), rolling.samplesArrived(ctx))
	}))
	var jobs batchv1.JobList
	must(t, stack.Eventually(ctx, 2*time.Minute, 500*time.Millisecond, func(ctx context.Context) error {
		if err := cluster.Client.List(ctx, &jobs, client.InNamespace(stack.Namespace)); err != nil {
			return err
		}
		for _, job := range jobs.Items {
			if strings.Contains(job.Name, "-trial-") {
				return fmt.Errorf("the Job %s is still there", job.Name)
			}
		}
		return nil
	}))
}

// A variable whose Secret is not there keeps what a user adds out, and nothing else; once it is there, both get in.
func snippetWaitsForItsSecret(t *testing.T) {
	ctx := contextOf(t, 12*time.Minute)
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: stack.Namespace, Name: "vendor-of-the-test"}, StringData: map[string]string{"token": "hunter22"}}
	t.Cleanup(func() {
		ctx := contextOf(t, 9*time.Minute)
		patchMain(t, ctx, `{"spec":{"traces":{"collector":{"extraConfig":null,"extraEnv":null}}}}`)
		must(t, client.IgnoreNotFound(cluster.Client.Delete(ctx, secret)))
		ready(t, ctx)
	})
	before := samplerPods(t, ctx)
	text, err := json.Marshal("processors:\n  transform/mine:\n    trace_statements: ['set(resource.attributes[\"mine\"], \"${env:MY_TOKEN}\")']\nservice:\n  pipelines:\n    traces/mine:\n" +
		"      receivers: [otlp]\n      processors: [transform/mine]\n      exporters: [nop]\nexporters:\n  nop:\n")
	must(t, err)
	patchMain(t, ctx, `{"spec":{"traces":{"collector":{"extraEnv":[{"name":"MY_TOKEN","valueSecret":{"name":"vendor-of-the-test","key":"token"}}],"extraConfig":`+string(text)+`}}}}`)
	must(t, stack.Eventually(ctx, 2*time.Minute, time.Second, func(ctx context.Context) error {
		kb, err := cluster.KubeBot(ctx, "main")
		if err != nil {
			return err
		}
		c := meta.FindStatusCondition(kb.Status.Conditions, v1alpha1.ConditionCollectorReady)
		if c == nil || c.Reason != v1alpha1.ReasonSecretMissing || !strings.Contains(c.Message, "no Secret vendor-of-the-test") {
			return fmt.Errorf("CollectorReady does not name the missing Secret: %+v", c)
		}
		return nil
	}))
	if after := samplerPods(t, ctx); after != before {
		t.Errorf("the samplers were replaced: %s, then %s", before, after)
	}
	must(t, cluster.Client.Create(ctx, secret))
	must(t, stack.Eventually(ctx, 4*time.Minute, time.Second, func(ctx context.Context) error {
		var set appsv1.StatefulSet
		if err := cluster.Client.Get(ctx, key(stack.Namespace, "main-collector-sampler"), &set); err != nil {
			return err
		}
		for _, v := range set.Spec.Template.Spec.Containers[0].Env {
			if v.Name == "MY_TOKEN" && v.ValueFrom != nil && v.ValueFrom.SecretKeyRef != nil && v.ValueFrom.SecretKeyRef.Name == secret.Name {
				return nil
			}
		}
		return fmt.Errorf("the samplers have no variable from the Secret")
	}))
}

// A rule that Prometheus could not load is left out by the Prometheus Operator, and the KubeBot says whose it is. All others
// go on.
func refusedRuleIsNamed(t *testing.T) {
	ctx := contextOf(t, 12*time.Minute)
	const rule = "apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata: {namespace: shop, name: refused-of-the-test}\n" +
		"spec: {groups: [{name: mine, rules: [{alert: Mine, expr: 'sum(up'}]}]}\n"
	must(t, cluster.Apply(ctx, rule))
	t.Cleanup(func() {
		_, err := cluster.Kubectl(context.WithoutCancel(ctx), "-n", stack.ShopNamespace, "delete", "prometheusrule", "refused-of-the-test", "--ignore-not-found")
		must(t, err)
	})
	named := func(ctx context.Context) (bool, error) {
		kb, err := cluster.KubeBot(ctx, "main")
		if err != nil {
			return false, err
		}
		c := meta.FindStatusCondition(kb.Status.Conditions, v1alpha1.ConditionUserRulesRefused)
		return c != nil && c.Status == metav1.ConditionTrue && strings.Contains(c.Message, "shop/refused-of-the-test: invalid rule"), nil
	}
	until := func(want bool) error {
		return stack.Eventually(ctx, 5*time.Minute, time.Second, func(ctx context.Context) error {
			if is, err := named(ctx); err != nil || is == want {
				return err
			}
			return fmt.Errorf("that UserRulesRefused names the rule should be %v", want)
		})
	}
	must(t, until(true))
	must(t, cluster.WaitCondition(ctx, "main", v1alpha1.ConditionRulesReady, metav1.ConditionTrue, readyTime))
	_, err := cluster.Kubectl(ctx, "-n", stack.ShopNamespace, "delete", "prometheusrule", "refused-of-the-test")
	must(t, err)
	must(t, until(false))
}

func samplersHaveTheSnippet(ctx context.Context) error {
	var set appsv1.StatefulSet
	if err := cluster.Client.Get(ctx, key(stack.Namespace, "main-collector-sampler"), &set); err != nil {
		return err
	}
	volumes := set.Spec.Template.Spec.Volumes
	at := slices.IndexFunc(volumes, func(v corev1.Volume) bool { return v.ConfigMap != nil })
	if at < 0 {
		return errors.New("the samplers mount no configuration")
	}
	var m corev1.ConfigMap
	if err := cluster.Client.Get(ctx, key(stack.Namespace, volumes[at].ConfigMap.Name), &m); err != nil {
		return err
	}
	if !strings.Contains(m.Data["config.yaml"], "batch/mine") || strings.Contains(m.Data["config.yaml"], "timeoutt") {
		return fmt.Errorf("the mended part does not run")
	}
	return nil
}

func samplerPods(t *testing.T, ctx context.Context) string {
	t.Helper()
	out, err := cluster.Kubectl(ctx, "-n", stack.Namespace, "get", "pods", "-l", "app.kubernetes.io/name=collector-sampler",
		"-o", "jsonpath={range .items[*]}{.metadata.uid}:{.status.containerStatuses[0].restartCount} {end}")
	must(t, err)
	return out
}
