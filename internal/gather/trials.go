package gather

import (
	"context"
	"fmt"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/component/trial"
	"github.com/kubebot/kubebot/internal/naming"
)

// withTrials are the components to whose configuration the KubeBot's user adds something.
func withTrials(kb *v1alpha1.KubeBot) []string {
	var names []string
	if kb.Spec.Traces.Collector.ExtraConfig != "" {
		names = append(names, "collector")
	}
	if kb.Spec.Logs.FluentBit.ExtraFilters != "" {
		names = append(names, "fluent-bit")
	}
	return names
}

// Trials reads what is known of the configuration that a user adds: the records, past the cache, because a record that
// lags would have what was tried be tried again, and how the Jobs fare. Without such configuration nothing is read.
func (c *Caches) Trials(ctx context.Context, kb *v1alpha1.KubeBot, now time.Time) (map[string]component.Trial, error) {
	names := withTrials(kb)
	if len(names) == 0 {
		return nil, nil
	}
	runs, err := c.runs(ctx, kb, now)
	if err != nil {
		return nil, err
	}
	trials := map[string]component.Trial{}
	for _, name := range names {
		record := &corev1.ConfigMap{}
		key := client.ObjectKey{Namespace: kb.Namespace, Name: trial.RecordName(kb, name)}
		if err := c.direct.Get(ctx, key, record); client.IgnoreNotFound(err) != nil {
			return nil, fmt.Errorf("read ConfigMap %s: %w", key.Name, err)
		} else if apierrors.IsNotFound(err) || record.Labels[naming.LabelName] != kb.Name || record.DeletionTimestamp != nil {
			record.Data = nil
		}
		trials[name] = component.Trial{Record: record.Data, Runs: runs}
	}
	return trials, nil
}

// runs tells how the Jobs of a KubeBot fare, by name.
func (c *Caches) runs(ctx context.Context, kb *v1alpha1.KubeBot, now time.Time) (map[string]component.Run, error) {
	owned := client.MatchingLabels{naming.LabelName: kb.Name, naming.LabelNamespace: kb.Namespace}
	jobs := &unstructured.UnstructuredList{}
	jobs.SetGroupVersionKind(batchv1.SchemeGroupVersion.WithKind("JobList"))
	if err := c.list(ctx, jobs, kb.Namespace, owned); err != nil {
		return nil, fmt.Errorf("list Jobs in %s: %w", kb.Namespace, err)
	}
	if len(jobs.Items) == 0 {
		return nil, nil
	}
	pods := &corev1.PodList{}
	if err := c.list(ctx, pods, kb.Namespace, owned); err != nil {
		return nil, fmt.Errorf("list pods in %s: %w", kb.Namespace, err)
	}
	byJob := map[string][]corev1.Pod{} // by UID, for an earlier Job may have had the same name
	for _, pod := range pods.Items {
		byJob[pod.Labels[batchv1.ControllerUidLabel]] = append(byJob[pod.Labels[batchv1.ControllerUidLabel]], pod)
	}
	runs := map[string]component.Run{}
	for _, item := range jobs.Items {
		job := &batchv1.Job{}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(item.Object, job); err != nil {
			return nil, fmt.Errorf("read Job %s: %w", item.GetName(), err)
		}
		if job.DeletionTimestamp == nil {
			runs[job.Name] = trial.Judge(job, byJob[string(job.UID)], now)
		}
	}
	return runs, nil
}
