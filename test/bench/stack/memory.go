package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubebot/kubebot/test/stack"
)

// memoryNames are what is looked at.
var memoryNames = []string{"manager", "responder"}

// Memory is what KubeBot's own pods hold, from the kubelet.
type Memory struct {
	AtRest      []PodMemory `json:"atRest"`
	AfterAlerts []PodMemory `json:"afterAlerts"`
}

// PodMemory is of one pod. Sizes are in bytes.
type PodMemory struct {
	// Name is manager or responder.
	Name string `json:"name"`
	Pod  string `json:"pod"`
	// WorkingSet is what the kubelet counts against a limit: resident memory and page cache in use.
	WorkingSet uint64 `json:"workingSetBytes"`
	// Resident is resident memory alone.
	Resident uint64 `json:"residentBytes"`
}

// summary is the part of the kubelet's /stats/summary that is used.
type summary struct {
	Pods []struct {
		PodRef     struct{ Name, Namespace string } `json:"podRef"`
		Containers []struct {
			Name string `json:"name"`
			CPU  struct {
				Time                 time.Time `json:"time"`
				UsageCoreNanoSeconds uint64    `json:"usageCoreNanoSeconds"`
			} `json:"cpu"`
			Memory struct {
				WorkingSetBytes uint64 `json:"workingSetBytes"`
				RSSBytes        uint64 `json:"rssBytes"`
			} `json:"memory"`
		} `json:"containers"`
	} `json:"pods"`
}

// summaries asks every node's kubelet through the API server.
func (b *bench) summaries(ctx context.Context) ([]summary, error) {
	var nodes corev1.NodeList
	if err := b.Client.List(ctx, &nodes); err != nil {
		return nil, fmt.Errorf("list nodes: %w", err)
	}
	var all []summary
	for _, node := range nodes.Items {
		data, err := b.Kube.CoreV1().RESTClient().Get().Resource("nodes").Name(node.Name).SubResource("proxy").Suffix("stats/summary").DoRaw(ctx)
		if err != nil {
			return nil, fmt.Errorf("ask the kubelet of %s for its summary: %w", node.Name, err)
		}
		var s summary
		if err := json.Unmarshal(data, &s); err != nil {
			return nil, fmt.Errorf("read the summary of %s: %w", node.Name, err)
		}
		all = append(all, s)
	}
	return all, nil
}

// memory of the manager's and the responder's pods. Of a pod that has just begun the kubelet knows nothing yet.
func (b *bench) memory(ctx context.Context) (all []PodMemory, err error) {
	err = stack.Eventually(ctx, 2*time.Minute, 2*time.Second, func(ctx context.Context) error {
		all, err = b.memoryNow(ctx)
		return err
	})
	return all, err
}

func (b *bench) memoryNow(ctx context.Context) ([]PodMemory, error) {
	summaries, err := b.summaries(ctx)
	if err != nil {
		return nil, err
	}
	var all []PodMemory
	for _, s := range summaries {
		all = append(all, ownPods(s)...)
	}
	for _, name := range memoryNames {
		if !slices.ContainsFunc(all, func(p PodMemory) bool { return p.Name == name && p.WorkingSet > 0 }) {
			return nil, fmt.Errorf("no kubelet tells the memory of the %s", name)
		}
	}
	return all, nil
}

func ownPods(s summary) []PodMemory {
	var list []PodMemory
	for _, pod := range s.Pods {
		for _, c := range pod.Containers {
			if pod.PodRef.Namespace == stack.Namespace && slices.Contains(memoryNames, c.Name) {
				list = append(list, PodMemory{Name: c.Name, Pod: pod.PodRef.Name, WorkingSet: c.Memory.WorkingSetBytes, Resident: c.Memory.RSSBytes})
			}
		}
	}
	slices.SortFunc(list, func(a, b PodMemory) int { return strings.Compare(a.Pod, b.Pod) })
	return list
}
