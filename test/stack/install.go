package stack

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubebot/kubebot/api/v1alpha1"
)

// CreateNamespace makes a namespace with Pod Security "restricted".
func (c *Cluster) CreateNamespace(ctx context.Context, name string) error {
	return c.Apply(ctx, fmt.Sprintf(`apiVersion: v1
kind: Namespace
metadata: {name: %s, labels: {pod-security.kubernetes.io/enforce: restricted}}
`, name))
}

// InstallChart installs or upgrades a chart folder as a user would.
func (c *Cluster) InstallChart(ctx context.Context, chart string, args ...string) error {
	_, err := c.Helm(ctx, append([]string{"upgrade", "--install", Release, chart, "-n", Namespace, "--reset-values", "--wait", "--timeout", "3m"}, args...)...)
	return err
}

// Remove takes KubeBot, the shop and the Slack server out of the cluster, in the order in which nothing hangs. The
// custom resource definitions stay.
func (c *Cluster) Remove(ctx context.Context) error {
	_, uninstall := c.Helm(ctx, "uninstall", Release, "-n", Namespace, "--ignore-not-found", "--wait", "--timeout", "5m")
	_, namespaces := c.Kubectl(ctx, "delete", "namespace", Namespace, SlackNamespace, ShopNamespace, "--ignore-not-found")
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
func (c *Cluster) WaitConditionOf(ctx context.Context, name types.NamespacedName, condition string, status metav1.ConditionStatus, timeout time.Duration) error {
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
