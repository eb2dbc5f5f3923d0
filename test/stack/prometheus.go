package stack

import (
	"context"
	"encoding/json"
	"fmt"
	"path"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Sample is one value of an instant query.
type Sample struct {
	Metric map[string]string `json:"metric"`
	Value  [2]any            `json:"value"`
}

// Query asks the Prometheus of a KubeBot.
func (c *Cluster) Query(ctx context.Context, kubebot, query string) ([]Sample, error) {
	var answer struct {
		Data struct {
			Result []Sample `json:"result"`
		} `json:"data"`
	}
	err := c.prometheus(ctx, kubebot, "api/v1/query", map[string]string{"query": query}, &answer)
	return answer.Data.Result, err
}

// Target is a scrape target.
type Target struct {
	Labels    map[string]string `json:"labels"`
	ScrapeURL string            `json:"scrapeUrl"`
	LastError string            `json:"lastError"`
	Health    string            `json:"health"`
}

// TargetList returns the active targets of the Prometheus of a KubeBot.
func (c *Cluster) TargetList(ctx context.Context, kubebot string) ([]Target, error) {
	var answer struct {
		Data struct {
			ActiveTargets []Target `json:"activeTargets"`
		} `json:"data"`
	}
	err := c.prometheus(ctx, kubebot, "api/v1/targets", map[string]string{"state": "active"}, &answer)
	return answer.Data.ActiveTargets, err
}

// Targets counts the targets that are up and those that are not.
func (c *Cluster) Targets(ctx context.Context, kubebot string) (up, down int, err error) {
	targets, err := c.TargetList(ctx, kubebot)
	for _, t := range targets {
		if t.Health == "up" {
			up++
		} else {
			down++
		}
	}
	return up, down, err
}

func (c *Cluster) prometheus(ctx context.Context, kubebot, path string, query map[string]string, into any) error {
	data, err := c.ServiceGet(ctx, Namespace, kubebot+"-prometheus:9090", path, query)
	if err != nil {
		return fmt.Errorf("ask Prometheus for %s: %w", path, err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("read Prometheus' %s: %w", path, err)
	}
	return nil
}

// Versions returns the version of Kubernetes and of every image that runs, by the image's last name.
func (c *Cluster) Versions(ctx context.Context) (map[string]string, error) {
	version, err := c.Kube.Discovery().ServerVersion()
	if err != nil {
		return nil, fmt.Errorf("ask for the version of Kubernetes: %w", err)
	}
	versions := map[string]string{"kubernetes": version.GitVersion}
	var pods corev1.PodList
	if err := c.Client.List(ctx, &pods); err != nil {
		return nil, fmt.Errorf("list pods: %w", err)
	}
	for _, pod := range pods.Items {
		for _, container := range pod.Spec.Containers {
			name, tag, _ := strings.Cut(path.Base(container.Image), ":")
			versions[name] = tag
		}
	}
	return versions, nil
}
