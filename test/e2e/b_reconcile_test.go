//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/test/stack"
)

func key(namespace, name string) types.NamespacedName {
	return types.NamespacedName{Namespace: namespace, Name: name}
}

func TestDriftIsUndoneAndForeignFieldsStay(t *testing.T) {
	ctx := contextOf(t, 12*time.Minute)
	name := key(stack.Namespace, "main-responder")
	patch := `{"metadata":{"annotations":{"example.com/mine":"stays"}},"spec":{"replicas":5,"template":{"spec":{"terminationGracePeriodSeconds":7}}}}`
	_, err := cluster.Kubectl(ctx, "-n", name.Namespace, "patch", "deployment", name.Name, "--type=strategic", "-p", patch)
	must(t, err)
	must(t, stack.Eventually(ctx, 3*time.Minute, time.Second, func(ctx context.Context) error {
		var d appsv1.Deployment
		if err := cluster.Client.Get(ctx, name, &d); err != nil {
			return err
		}
		if *d.Spec.Replicas != 2 || *d.Spec.Template.Spec.TerminationGracePeriodSeconds == 7 {
			return fmt.Errorf("drift is still there: %d replicas, grace %d s", *d.Spec.Replicas, *d.Spec.Template.Spec.TerminationGracePeriodSeconds)
		}
		if d.Annotations["example.com/mine"] != "stays" {
			return fmt.Errorf("the annotation of somebody else is gone")
		}
		return nil
	}))
	must(t, cluster.Client.Delete(ctx, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: stack.Namespace, Name: "main-alertmanager"}}))
	must(t, stack.Eventually(ctx, 3*time.Minute, time.Second, func(ctx context.Context) error {
		return cluster.Client.Get(ctx, key(stack.Namespace, "main-alertmanager"), &corev1.Service{})
	}))
	ready(t, ctx)
}

func componentSwitchedOffIsPrunedAndComesBack(t *testing.T) {
	ctx := contextOf(t, 20*time.Minute)
	exporter := func(ctx context.Context) error {
		var list appsv1.DaemonSetList
		if err := cluster.Client.List(ctx, &list, client.InNamespace("kubebot-nodes")); err != nil {
			return err
		}
		if len(list.Items) == 0 {
			return errGone
		}
		return nil
	}
	patchMain(t, ctx, `{"spec":{"metrics":{"nodeExporter":{"mode":"Disabled"}}}}`)
	must(t, stack.Eventually(ctx, 3*time.Minute, time.Second, func(ctx context.Context) error {
		err := exporter(ctx)
		if errors.Is(err, errGone) {
			return nil
		}
		return errors.Join(errors.New("the node-exporter is still there"), err)
	}))
	ready(t, ctx)
	kb, err := cluster.KubeBot(ctx, "main")
	must(t, err)
	if !omitted(kb, "node") {
		t.Errorf("no node rule is listed in status.omittedRules without node-exporter: %v", kb.Status.OmittedRules)
	}
	patchMain(t, ctx, `{"spec":{"metrics":{"nodeExporter":{"mode":"Managed"}}}}`)
	must(t, stack.Eventually(ctx, 3*time.Minute, time.Second, exporter))
	ready(t, ctx)
}

var errGone = fmt.Errorf("gone")

func omitted(kb *v1alpha1.KubeBot, part string) bool {
	for _, r := range kb.Status.OmittedRules {
		if strings.Contains(strings.ToLower(r.Reason), part) {
			return true
		}
	}
	return false
}

func patchMain(t *testing.T, ctx context.Context, patch string) {
	t.Helper()
	_, err := cluster.Kubectl(ctx, "-n", stack.Namespace, "patch", "kubebot", "main", "--type=merge", "-p", patch)
	must(t, err)
}

func TestBadInputMarksItsComponentAlone(t *testing.T) {
	ctx := contextOf(t, 20*time.Minute)
	_, err := cluster.Kubectl(ctx, "-n", stack.Namespace, "patch", "kubebot", "main", "--type=merge", "-p",
		`{"spec":{"metrics":{"prometheus":{"externalLabels":{"cluster":"x"}}}}}`)
	if err == nil || !strings.Contains(err.Error(), "use spec.clusterName") {
		t.Fatalf("a label that KubeBot sets itself was not refused with what to do: %v", err)
	}
	patchMain(t, ctx, `{"spec":{"alerting":{"muteTimes":[{"name":"night","timeZone":"Mars/Phobos"}]}}}`)
	must(t, stack.Eventually(ctx, 3*time.Minute, time.Second, func(ctx context.Context) error {
		kb, err := cluster.KubeBot(ctx, "main")
		if err != nil {
			return err
		}
		c := meta.FindStatusCondition(kb.Status.Conditions, v1alpha1.ConditionResponderReady)
		if c == nil || c.Reason != v1alpha1.ReasonInvalidSpec || !strings.Contains(c.Message, "Mars/Phobos") {
			return fmt.Errorf("ResponderReady does not name the bad time zone: %+v", c)
		}
		if p := meta.FindStatusCondition(kb.Status.Conditions, v1alpha1.ConditionPrometheusReady); p == nil || p.Status != metav1.ConditionTrue {
			return fmt.Errorf("PrometheusReady suffers too: %+v", p)
		}
		return nil
	}))
	patchMain(t, ctx, `{"spec":{"alerting":{"muteTimes":null}}}`)
	ready(t, ctx)
}

func TestMissingTokenSecretIsNamedAndHealsWithoutRestart(t *testing.T) {
	ctx := contextOf(t, 10*time.Minute)
	must(t, cluster.Client.Delete(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: stack.Namespace, Name: "slack"}}))
	// The kubelet takes up to its sync period to empty the mounted folder.
	must(t, stack.Eventually(ctx, 150*time.Second, 2*time.Second, func(ctx context.Context) error {
		kb, err := cluster.KubeBot(ctx, "main")
		if err != nil {
			return err
		}
		c := meta.FindStatusCondition(kb.Status.Conditions, v1alpha1.ConditionReceiversReady)
		if c == nil || c.Status != metav1.ConditionFalse || !strings.Contains(c.Message, "oncall") || !strings.Contains(c.Message, "slack") {
			return fmt.Errorf("ReceiversReady does not name receiver and Secret: %+v", c)
		}
		return nil
	}))
	before := responderPods(t, ctx)
	must(t, cluster.CreateReceiverSecrets(ctx))
	must(t, cluster.WaitCondition(ctx, "main", v1alpha1.ConditionReceiversReady, metav1.ConditionTrue, 5*time.Minute))
	if after := responderPods(t, ctx); before != after {
		t.Errorf("the responder was restarted: pods %s, then %s", before, after)
	}
	ready(t, ctx)
}

func responderPods(t *testing.T, ctx context.Context) string {
	t.Helper()
	var list corev1.PodList
	must(t, cluster.Client.List(ctx, &list, client.InNamespace(stack.Namespace), client.MatchingLabels{"app.kubernetes.io/name": "responder"}))
	out := ""
	for _, p := range list.Items {
		if p.DeletionTimestamp == nil && len(p.Status.ContainerStatuses) > 0 { // those of earlier tests may still be ending
			out += fmt.Sprintf("%s:%d ", p.UID, p.Status.ContainerStatuses[0].RestartCount)
		}
	}
	return out
}

func TestNamespaceThatIsNotServedIsSaid(t *testing.T) {
	ctx := contextOf(t, 12*time.Minute)
	must(t, cluster.CreateNamespace(ctx, "elsewhere"))
	must(t, cluster.Apply(ctx, "apiVersion: kubebot.io/v1alpha1\nkind: KubeBot\nmetadata: {name: lost, namespace: elsewhere}\n"))
	must(t, stack.Eventually(ctx, 3*time.Minute, time.Second, func(ctx context.Context) error {
		var kb v1alpha1.KubeBot
		if err := cluster.Client.Get(ctx, key("elsewhere", "lost"), &kb); err != nil {
			return err
		}
		c := meta.FindStatusCondition(kb.Status.Conditions, v1alpha1.ConditionStalled)
		if c == nil || c.Reason != v1alpha1.ReasonNamespaceNotServed || !strings.Contains(c.Message, "namespaces") {
			return fmt.Errorf("the fix is not said: %+v", c)
		}
		return nil
	}))
	_, err := cluster.Kubectl(ctx, "delete", "namespace", "elsewhere", "--timeout=4m")
	must(t, err)
}
