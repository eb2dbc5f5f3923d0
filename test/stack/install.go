package stack

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubebot/kubebot/api/v1alpha1"
)

// labelMadeBy with madeByTests is on every namespace that the demo and the tests make, and delete at the end.
const (
	labelMadeBy = "app.kubernetes.io/managed-by"
	madeByTests = "kubebot-tests"
)

// CreateNamespace makes a namespace with Pod Security "restricted".
func (c *Cluster) CreateNamespace(ctx context.Context, name string) error {
	if err := c.MayTake(ctx, name); err != nil {
		return err
	}
	return c.Apply(ctx, fmt.Sprintf(`apiVersion: v1
kind: Namespace
metadata: {name: %s, labels: {pod-security.kubernetes.io/enforce: restricted, %s: %s}}
`, name, labelMadeBy, madeByTests))
}

// MayTake refuses namespaces that are there and somebody else's.
func (c *Cluster) MayTake(ctx context.Context, names ...string) error {
	for _, name := range names {
		var ns corev1.Namespace
		switch err := c.Client.Get(ctx, types.NamespacedName{Name: name}, &ns); {
		case apierrors.IsNotFound(err):
		case err != nil:
			return fmt.Errorf("get namespace %s: %w", name, err)
		case ns.Labels[labelMadeBy] != madeByTests:
			return fmt.Errorf("namespace %s is there already and has no label %s=%s: use another cluster, or delete that namespace if nobody needs it",
				name, labelMadeBy, madeByTests)
		}
	}
	return nil
}

// InstallChart installs or upgrades a chart folder as a user would.
func (c *Cluster) InstallChart(ctx context.Context, chart string, args ...string) error {
	_, err := c.Helm(ctx, append([]string{"upgrade", "--install", Release, chart, "-n", Namespace, "--reset-values", "--wait", "--timeout", "8m"}, args...)...)
	return err
}

// Remove takes KubeBot, the shop and the Slack server out of the cluster, in the order in which nothing hangs. The
// custom resource definitions stay.
func (c *Cluster) Remove(ctx context.Context) error {
	_, uninstall := c.Helm(ctx, "uninstall", Release, "-n", Namespace, "--ignore-not-found", "--wait", "--timeout", "5m")
	_, namespaces := c.Kubectl(ctx, "delete", "namespace", "-l", labelMadeBy+"="+madeByTests)
	return errors.Join(uninstall, namespaces)
}

// Chart is the folder of KubeBot's chart.
func (c *Cluster) Chart() string { return filepath.Join(c.Root, "charts", "kubebot") }

// Sample is the path of a sample.
func (c *Cluster) Sample(name string) string { return filepath.Join(c.Root, "config", "samples", name) }

// KubeBot gets a KubeBot.
func (c *Cluster) KubeBot(ctx context.Context, name string) (*v1alpha1.KubeBot, error) {
	kb := &v1alpha1.KubeBot{}
	if err := c.Client.Get(ctx, types.NamespacedName{Namespace: Namespace, Name: name}, kb); err != nil {
		return nil, fmt.Errorf("get KubeBot %s: %w", name, err)
	}
	return kb, nil
}

// WaitCondition is WaitConditionOf for a KubeBot in KubeBot's own namespace.
func (c *Cluster) WaitCondition(ctx context.Context, name, condition string, status metav1.ConditionStatus, timeout time.Duration) error {
	return c.WaitConditionOf(ctx, types.NamespacedName{Namespace: Namespace, Name: name}, condition, status, timeout)
}

// WaitConditionOf waits until a condition of the KubeBot has the status, for the present generation.
func (c *Cluster) WaitConditionOf(
	ctx context.Context, name types.NamespacedName, condition string, status metav1.ConditionStatus, timeout time.Duration,
) error {
	return Eventually(ctx, timeout, time.Second, func(ctx context.Context) error {
		kb := &v1alpha1.KubeBot{}
		if err := c.Client.Get(ctx, name, kb); err != nil {
			return fmt.Errorf("get KubeBot %s: %w", name, err)
		}
		cond := meta.FindStatusCondition(kb.Status.Conditions, condition)
		switch {
		case cond == nil:
			return fmt.Errorf("KubeBot %s has no condition %s yet: %s", name, condition, conditions(kb))
		case cond.Status != status, kb.Status.ObservedGeneration != kb.Generation:
			return fmt.Errorf("KubeBot %s: %s", name, conditions(kb))
		}
		return nil
	})
}

func conditions(kb *v1alpha1.KubeBot) string {
	text := ""
	for _, c := range kb.Status.Conditions {
		text += fmt.Sprintf("\n  %s=%s %s: %s", c.Type, c.Status, c.Reason, c.Message)
	}
	return text
}

// Incidents lists the Incidents of the namespace.
func (c *Cluster) Incidents(ctx context.Context) ([]v1alpha1.Incident, error) {
	var list v1alpha1.IncidentList
	if err := c.Client.List(ctx, &list); err != nil {
		return nil, fmt.Errorf("list Incidents: %w", err)
	}
	return list.Items, nil
}
