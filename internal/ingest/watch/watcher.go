package watch

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/alert"
	"github.com/kubebot/kubebot/internal/diagnosis"
	"github.com/kubebot/kubebot/internal/pipeline"
)

const (
	// settle is how long a change waits for those that follow it, with as much again at random so that replicas do not
	// write the same at the same time.
	settle = 150 * time.Millisecond
	// sweepPause is the time between two looks at everything that fires.
	sweepPause = time.Minute
	// storeTime is the deadline of storing what one look found.
	storeTime = 15 * time.Second
	// deletedPause is how long what an Incident was about is left alone after it was deleted: when the KubeBot itself is
	// deleted its Incidents go with it, and the responder that would tell of them again ends a moment later.
	deletedPause = 30 * time.Second
	// judges work at a time.
	judges = 4
)

// Store takes alerts and returns when all are stored.
type Store func(ctx context.Context, alerts []alert.Alert) error

// Options of a Watcher.
type Options struct {
	// Reader reads from the cache.
	Reader     client.Reader
	Topology   *Topology
	Store      Store
	Index      *pipeline.Index
	Severities []v1alpha1.SeverityMapping
	// Disabled names alerts that are not told; those that fire are ended.
	Disabled []string
	Now      func() time.Time
	Log      logr.Logger
}

// Watcher turns bad states into alerts. It keeps nothing of its own about alerts: what fires is compared with what the
// Incidents hold as firing, so that a restart neither repeats nor loses anything and replicas agree.
type Watcher struct {
	Options
	queue workqueue.TypedDelayingInterface[string]

	mu        sync.Mutex
	workloads map[string]*tracked
	homes     map[types.NamespacedName]string // of pods
	nodes     map[string]*corev1.Node
	jobHomes  map[types.NamespacedName]string
}

// tracked is what is known of a workload, under its group key.
type tracked struct {
	subject v1alpha1.Subject
	pods    map[types.NamespacedName]*corev1.Pod
	stuck   string
	since   time.Time
	events  map[string]EventSum
	jobs    map[types.NamespacedName]endedJob
	// evicted are pods that were evicted lately: those of StatefulSets and DaemonSets are deleted at once.
	evicted map[types.UID]*corev1.Pod
}

// endedJob is a Job that ended; why is empty if it was complete.
type endedJob struct {
	why string
	at  time.Time
}

// New returns a Watcher.
func New(o Options) *Watcher {
	return &Watcher{
		Options: o, queue: workqueue.NewTypedDelayingQueue[string](), workloads: map[string]*tracked{},
		homes: map[types.NamespacedName]string{}, nodes: map[string]*corev1.Node{}, jobHomes: map[types.NamespacedName]string{},
	}
}

// Watch registers what is watched. It must be called before the cache is waited for.
func (w *Watcher) Watch(ctx context.Context, c cache.Cache) error {
	for object := range Objects() {
		informer, err := c.GetInformer(ctx, object)
		if err != nil {
			return fmt.Errorf("watch %T: %w", object, err)
		}
		_, err = informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
			AddFunc:    w.changed,
			UpdateFunc: func(_, obj any) { w.changed(obj) },
			DeleteFunc: w.deleted,
		})
		if err != nil {
			return fmt.Errorf("watch %T: %w", object, err)
		}
	}
	return nil
}

// Run judges what changes until the context ends.
func (w *Watcher) Run(ctx context.Context) error {
	var working sync.WaitGroup
	for range judges {
		working.Go(func() { w.work(ctx) })
	}
	ticker := time.NewTicker(sweepPause)
	defer ticker.Stop()
	for w.sweep(); ; {
		select {
		case <-ticker.C:
			w.sweep()
		case <-ctx.Done():
			w.queue.ShutDown()
			working.Wait()
			return nil
		}
	}
}

// sweep looks at everything that the Incidents hold as firing: what was deleted while nobody watched must end too.
func (w *Watcher) sweep() {
	for _, f := range w.Index.Firing(v1alpha1.AlertSourceWatch) {
		w.later(f.GroupKey)
	}
}

func (w *Watcher) later(key string) { w.queue.AddAfter(key, settle+rand.N(settle)) }

// Deleted takes an Incident that was deleted: what it was about and still stands is told again.
func (w *Watcher) Deleted(inc *v1alpha1.Incident) { w.queue.AddAfter(inc.Spec.GroupKey, deletedPause) }

func (w *Watcher) work(ctx context.Context) {
	for {
		key, shutdown := w.queue.Get()
		if shutdown {
			return
		}
		if err := w.judge(ctx, key); err != nil && ctx.Err() == nil {
			w.Log.Error(err, "What the watch found was not stored and is looked at again", "groupKey", key)
			w.queue.AddAfter(key, time.Second+rand.N(2*time.Second))
		}
		w.queue.Done(key)
	}
}

// judge brings the Incidents in line with the state of one workload or node.
func (w *Watcher) judge(ctx context.Context, key string) error {
	findings, about, next := w.look(key)
	findings = slices.DeleteFunc(findings, func(f Finding) bool { return slices.Contains(w.Disabled, f.Name) })
	now := w.Now()
	if !next.IsZero() {
		w.queue.AddAfter(key, next.Sub(now)+10*time.Millisecond)
	}
	have := w.Index.FiringOf(key, v1alpha1.AlertSourceWatch)
	want := map[string]alert.Alert{}
	for _, f := range findings {
		if f.Severity != v1alpha1.SeverityCritical && critical(have, f.Name) {
			f.Severity = v1alpha1.SeverityCritical // it stays what it was until it ends: readiness flaps in a crash loop
		}
		a := alertOf(f, about, w.Severities)
		want[a.Fingerprint] = a
	}
	var news []alert.Alert
	for fingerprint, a := range want {
		if _, ok := have[fingerprint]; !ok {
			news = append(news, a)
		}
	}
	for fingerprint, f := range have {
		if _, ok := want[fingerprint]; !ok {
			news = append(news, f.End(now))
		}
	}
	if len(news) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	return w.Store(ctx, news)
}

func critical(have map[string]pipeline.FiringAlert, name string) bool {
	for _, f := range have {
		if f.Record.Name == name && f.Record.Severity == v1alpha1.SeverityCritical {
			return true
		}
	}
	return false
}

// look judges the state behind a group key and returns the labels that name it.
func (w *Watcher) look(key string) ([]Finding, map[string]string, time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.Now()
	if node, ok := w.nodes[key]; ok {
		findings, next := JudgeNode(node, now)
		return findings, map[string]string{alert.LabelNode: node.Name}, next
	}
	t, ok := w.workloads[key]
	if !ok {
		return nil, nil, time.Time{}
	}
	load := Workload{Subject: t.subject, Stuck: t.stuck, StuckSince: t.since, Events: map[string]EventSum{}}
	for _, pod := range t.pods {
		load.Pods = append(load.Pods, pod)
	}
	for uid, pod := range t.evicted {
		if now.Sub(diagnosis.EvictedAt(pod)) >= evictedHold {
			delete(t.evicted, uid)
			continue
		}
		if !slices.ContainsFunc(load.Pods, func(p *corev1.Pod) bool { return p.UID == uid }) {
			load.Pods = append(load.Pods, pod)
		}
	}
	for name, e := range t.events {
		if now.Sub(e.Last) >= eventHold {
			delete(t.events, name)
			continue
		}
		load.Events[name] = e
	}
	for _, job := range t.jobs {
		if job.at.After(load.FailedSince) {
			load.Failed, load.FailedSince = job.why, job.at
		}
	}
	w.drop(key)
	findings, next := Judge(load, now)
	about := map[string]string{
		alert.LabelNamespace: t.subject.Namespace, alert.LabelWorkloadKind: t.subject.Kind, alert.LabelWorkload: t.subject.Name,
	}
	return findings, about, next
}

// changed takes a new version of an object.
func (w *Watcher) changed(obj any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch o := obj.(type) {
	case *corev1.Pod:
		w.pod(o)
	case *corev1.Node:
		key := pipeline.NodeGroup(o.Name).Key
		w.nodes[key] = o
		w.later(key)
	case *corev1.Event:
		w.event(o)
	case *appsv1.Deployment:
		w.deployment(o)
	case *batchv1.Job:
		w.job(o)
	}
}

// deleted takes the end of an object.
func (w *Watcher) deleted(obj any) {
	if gone, ok := obj.(toolscache.DeletedFinalStateUnknown); ok {
		obj = gone.Obj
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch o := obj.(type) {
	case *corev1.Pod:
		w.Topology.Gone(o)
		w.removePod(types.NamespacedName{Namespace: o.Namespace, Name: o.Name})
	case *corev1.Node:
		key := pipeline.NodeGroup(o.Name).Key
		delete(w.nodes, key)
		w.later(key)
	case *appsv1.Deployment:
		gone := o.DeepCopy()
		gone.Status.Conditions = nil
		w.deployment(gone)
		w.forget("Deployment", o.Namespace, o.Name)
	case *appsv1.StatefulSet:
		w.forget("StatefulSet", o.Namespace, o.Name)
	case *appsv1.DaemonSet:
		w.forget("DaemonSet", o.Namespace, o.Name)
	case *batchv1.Job:
		name := types.NamespacedName{Namespace: o.Namespace, Name: o.Name}
		key := w.jobHomes[name]
		delete(w.jobHomes, name)
		if t, ok := w.workloads[key]; ok {
			delete(t.jobs, name)
			w.drop(key)
			w.later(key)
		}
	}
}

// forget drops the events of a workload that was deleted: nothing of it can fail any more. The lock is held.
func (w *Watcher) forget(kind, namespace, name string) {
	subject := v1alpha1.Subject{APIVersion: appsv1.SchemeGroupVersion.String(), Kind: kind, Namespace: namespace, Name: name}
	key := pipeline.WorkloadGroup(subject).Key
	if t, ok := w.workloads[key]; ok {
		clear(t.events)
		clear(t.evicted)
		w.drop(key)
	}
	w.later(key)
}

// track returns what is known of a workload; the lock is held.
func (w *Watcher) track(subject v1alpha1.Subject) (string, *tracked) {
	key := pipeline.WorkloadGroup(subject).Key
	t, ok := w.workloads[key]
	if !ok {
		t = &tracked{subject: subject, pods: map[types.NamespacedName]*corev1.Pod{}, events: map[string]EventSum{}, jobs: map[types.NamespacedName]endedJob{},
			evicted: map[types.UID]*corev1.Pod{}}
		w.workloads[key] = t
	}
	return key, t
}

// drop forgets a workload of which nothing is left; the lock is held.
func (w *Watcher) drop(key string) {
	if t, ok := w.workloads[key]; ok && len(t.pods) == 0 && t.stuck == "" && len(t.events) == 0 && len(t.jobs) == 0 && len(t.evicted) == 0 {
		delete(w.workloads, key)
	}
}

func (w *Watcher) pod(pod *corev1.Pod) {
	name := types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}
	key, t := w.track(w.Topology.OfPod(pod))
	if old, ok := w.homes[name]; ok && old != key {
		if was := w.workloads[old]; was != nil {
			delete(was.evicted, pod.UID) // it is the other workload's, whose ReplicaSet was not known before
		}
		w.removePod(name)
	}
	w.homes[name] = key
	t.pods[name] = pod
	if wasEvicted(pod) {
		t.evicted[pod.UID] = pod
	}
	w.later(key)
}

func (w *Watcher) removePod(name types.NamespacedName) {
	key, ok := w.homes[name]
	if !ok {
		return
	}
	delete(w.homes, name)
	if t, ok := w.workloads[key]; ok {
		delete(t.pods, name)
	}
	w.drop(key)
	w.later(key)
}

func (w *Watcher) deployment(d *appsv1.Deployment) {
	why, since := "", time.Time{}
	for _, c := range d.Status.Conditions {
		if c.Type == appsv1.DeploymentProgressing && c.Status == corev1.ConditionFalse {
			why, since = c.Message, c.LastTransitionTime.Time
			if why == "" {
				why = c.Reason
			}
		}
	}
	key, t := w.track(v1alpha1.Subject{APIVersion: "apps/v1", Kind: "Deployment", Namespace: d.Namespace, Name: d.Name})
	if t.stuck != why {
		t.stuck, t.since = why, since
		w.later(key)
	}
	w.drop(key)
}

func (w *Watcher) job(j *batchv1.Job) {
	name := types.NamespacedName{Namespace: j.Namespace, Name: j.Name}
	for _, c := range j.Status.Conditions {
		if c.Status != corev1.ConditionTrue {
			continue
		}
		subject, _ := w.Topology.Workload("Job", j.Namespace, j.Name)
		key, t := w.track(subject)
		ended := endedJob{at: c.LastTransitionTime.Time}
		if c.Type == batchv1.JobFailed {
			ended.why = fmt.Sprintf("Job %s failed: %s: %s", j.Name, c.Reason, c.Message)
		}
		w.jobHomes[name], t.jobs[name] = key, ended
		w.later(key)
	}
}
