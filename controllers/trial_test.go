package controllers_test

import (
	"fmt"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component/collector"
	"github.com/kubebot/kubebot/internal/component/fluentbit"
)

const (
	vendor    = "exporters: {otlp_http/vendor: {endpoint: 'https://vendor.example.com'}}\nservice: {pipelines: {traces/vendor: {receivers: [otlp], exporters: [otlp_http/vendor]}}}\n"
	badVendor = "exporters:\n  otlp_http/vendor:\n    endpointt: https://vendor.example.com\nservice: {pipelines: {traces/vendor: {receivers: [otlp], exporters: [otlp_http/vendor]}}}\n"
	said      = "Error: failed to get config: cannot unmarshal the configuration: decoding failed due to the following error(s):\n\n" +
		"'exporters' error reading configuration for \"otlp_http/vendor\": decoding failed due to the following error(s):\n\n" +
		"'otlphttpexporter.Config' has invalid keys: endpointt\n2026/01/02 03:04:05 collector server run finished with error: failed to get config\n"
)

// jobs are those of a component's trials.
func (b *bench) jobs(component string) []batchv1.Job {
	b.t.Helper()
	list := &batchv1.JobList{}
	if err := b.client.List(b.t.Context(), list, client.InNamespace(b.ns)); err != nil {
		b.t.Fatal(err)
	}
	var found []batchv1.Job
	for _, job := range list.Items {
		if strings.HasPrefix(job.Name, "main-"+component+"-trial-") && job.DeletionTimestamp == nil {
			found = append(found, job)
		}
	}
	return found
}

// trial waits for the one Job of a component. No Job controller runs here: the test makes its pod.
func (b *bench) trial(component string) (*batchv1.Job, *corev1.Pod) {
	b.t.Helper()
	var job batchv1.Job
	b.eventually("a trial of "+component, func() error {
		jobs := b.jobs(component)
		if len(jobs) != 1 {
			return fmt.Errorf("%d Jobs", len(jobs))
		}
		job = jobs[0]
		return nil
	})
	pod := &corev1.Pod{ObjectMeta: *job.Spec.Template.ObjectMeta.DeepCopy(), Spec: *job.Spec.Template.Spec.DeepCopy()}
	pod.Namespace, pod.GenerateName = b.ns, job.Name+"-"
	pod.Labels[batchv1.ControllerUidLabel] = string(job.UID)
	b.create(pod)
	return &job, pod
}

func (b *bench) refuse(pod *corev1.Pod, said string) {
	b.t.Helper()
	pod.Status.Phase = corev1.PodFailed
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: pod.Spec.Containers[0].Name, State: corev1.ContainerState{
		Terminated: &corev1.ContainerStateTerminated{ExitCode: 1, Reason: "Error", Message: said},
	}}}
	if err := b.client.Status().Update(b.t.Context(), pod); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) accept(job *batchv1.Job) {
	b.t.Helper()
	now := metav1.Now()
	job.Status = batchv1.JobStatus{
		StartTime: &now, CompletionTime: &now, Succeeded: 1, UncountedTerminatedPods: &batchv1.UncountedTerminatedPods{},
		Conditions: []batchv1.JobCondition{
			{Type: batchv1.JobSuccessCriteriaMet, Status: corev1.ConditionTrue, LastTransitionTime: now, LastProbeTime: now},
			{Type: batchv1.JobComplete, Status: corev1.ConditionTrue, LastTransitionTime: now, LastProbeTime: now},
		},
	}
	if err := b.client.Status().Update(b.t.Context(), job); err != nil {
		b.t.Fatal(err)
	}
}

// samplers returns the samplers' configuration.
func (b *bench) samplers() string {
	b.t.Helper()
	set := &appsv1.StatefulSet{}
	return b.configuration(set, &set.Spec.Template, b.ns, "main-collector-sampler")["config.yaml"]
}

// configuration waits for a workload and for the configuration that its template mounts, and returns that.
func (b *bench) configuration(workload client.Object, pod *corev1.PodTemplateSpec, namespace, name string) map[string]string {
	b.t.Helper()
	m := &corev1.ConfigMap{}
	b.eventually("the configuration of "+name, func() error {
		if err := b.client.Get(b.t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, workload); err != nil {
			return err
		}
		for _, v := range pod.Spec.Volumes {
			if v.Name == "config" {
				return b.client.Get(b.t.Context(), client.ObjectKey{Namespace: namespace, Name: v.ConfigMap.Name}, m)
			}
		}
		return fmt.Errorf("its pods mount none: %v", pod.Spec.Volumes)
	})
	return m.Data
}

// untried waits until no trial is left: neither Job nor what it reads.
func (b *bench) untried() {
	b.t.Helper()
	b.eventually("the trials to be removed", func() error {
		list := &corev1.ConfigMapList{}
		if err := b.client.List(b.t.Context(), list, client.InNamespace(b.ns)); err != nil {
			return err
		}
		for _, m := range list.Items {
			if strings.Contains(m.Name, "-trial-") {
				return fmt.Errorf("%s is there", m.Name)
			}
		}
		if n := len(b.jobs("collector")) + len(b.jobs("fluent-bit")); n > 0 {
			return fmt.Errorf("%d Jobs are there", n)
		}
		return nil
	})
}

func TestUsersConfigurationRunsOnlyOnceTheProgramHasTakenIt(t *testing.T) {
	b := newBench(t, collector.Component{}, fluentbit.Component{}).start()
	kb := b.kubebot(b.ns, "main", func(kb *v1alpha1.KubeBot) {
		kb.Spec.Traces.Collector.ExtraConfig = badVendor
		kb.Spec.Logs.FluentBit.ExtraFilters = "- name: grep\n  match: kube.*\n  exclude: log healthz\n"
	})
	_, pod := b.trial("collector")
	live := b.condition(kb, v1alpha1.ConditionCollectorReady, metav1.ConditionFalse, v1alpha1.ReasonProgressing)
	if text := b.samplers(); contains(text, "vendor") {
		t.Fatalf("what was not tried runs:\n%s", text)
	}
	b.get(&appsv1.StatefulSet{}, b.ns, "main-collector-sampler")
	b.refuse(pod, said)
	live = b.condition(live, v1alpha1.ConditionCollectorReady, metav1.ConditionFalse, v1alpha1.ReasonConfigRefused)
	const want = `spec.traces.collector.extraConfig: the collector refuses it: line 3: 'exporters' error reading configuration for "otlp_http/vendor": 'otlphttpexporter.Config' has invalid keys: endpointt; until it is mended, the collector runs without it`
	for _, c := range live.Status.Conditions {
		if c.Type == v1alpha1.ConditionCollectorReady && !strings.HasPrefix(c.Message, want) {
			t.Errorf("the condition says %s", c.Message)
		}
	}
	b.condition(kb, v1alpha1.ConditionStalled, metav1.ConditionTrue, v1alpha1.ReasonConfigRefused)

	// The other component is tried by itself, and what else the spec says applies.
	job, _ := b.trial("fluent-bit")
	b.accept(job)
	b.eventually("the filters to run", func() error {
		set := &appsv1.DaemonSet{}
		if !contains(b.configuration(set, &set.Spec.Template, b.nodes, b.ns+"-main-fluent-bit")["fluent-bit.yaml"], "healthz") {
			return fmt.Errorf("they don't")
		}
		return nil
	})
	b.untried()
	b.update(kb, func(kb *v1alpha1.KubeBot) { kb.Spec.Traces.Collector.Samplers = new(int32(3)) })
	b.eventually("3 samplers", func() error {
		set := &appsv1.StatefulSet{}
		b.get(set, b.ns, "main-collector-sampler")
		if *set.Spec.Replicas != 3 {
			return fmt.Errorf("%d", *set.Spec.Replicas)
		}
		return nil
	})

	b.update(kb, func(kb *v1alpha1.KubeBot) { kb.Spec.Traces.Collector.ExtraConfig = vendor })
	job, _ = b.trial("collector")
	b.accept(job)
	b.eventually("the user's exporter to run", func() error {
		if !contains(b.samplers(), "vendor.example.com") {
			return fmt.Errorf("it does not")
		}
		return nil
	})
	b.condition(kb, v1alpha1.ConditionCollectorReady, metav1.ConditionFalse, v1alpha1.ReasonProgressing) // no pods here
	b.untried()
	b.restartsKeepWhatWasAccepted(kb)
	b.nothingStays(kb)
}

// restartsKeepWhatWasAccepted: another manager knows what was accepted and refused, and tries neither again.
func (b *bench) restartsKeepWhatWasAccepted(kb *v1alpha1.KubeBot) {
	b.t.Helper()
	b.update(kb, func(kb *v1alpha1.KubeBot) { kb.Spec.Traces.Collector.ExtraConfig = badVendor })
	_, pod := b.trial("collector")
	b.refuse(pod, said)
	b.condition(kb, v1alpha1.ConditionCollectorReady, metav1.ConditionFalse, v1alpha1.ReasonConfigRefused)
	b.untried()
	b.stop()
	b.start()
	b.update(kb, func(kb *v1alpha1.KubeBot) { kb.Spec.Traces.Collector.Samplers = new(int32(4)) })
	b.condition(kb, v1alpha1.ConditionCollectorReady, metav1.ConditionFalse, v1alpha1.ReasonConfigRefused)
	b.quiet()
	if text := b.samplers(); !contains(text, "vendor.example.com") || contains(text, "endpointt") {
		b.t.Errorf("what was accepted does not run:\n%s", text)
	}
	if n := len(b.jobs("collector")); n != 0 {
		b.t.Errorf("what was refused is tried again by %d Jobs", n)
	}
}

// nothingStays of a trial when the user takes his part out.
func (b *bench) nothingStays(kb *v1alpha1.KubeBot) {
	b.t.Helper()
	b.update(kb, func(kb *v1alpha1.KubeBot) {
		kb.Spec.Traces.Collector.ExtraConfig, kb.Spec.Logs.FluentBit.ExtraFilters = "", ""
	})
	for _, component := range []string{"collector", "fluent-bit"} {
		b.gone(&corev1.ConfigMap{}, b.ns, "main-"+component+"-trials")
		b.gone(&networkingv1.NetworkPolicy{}, b.ns, "main-"+component+"-trial")
	}
	if text := b.samplers(); contains(text, "vendor") {
		b.t.Errorf("what the user took out still runs:\n%s", text)
	}
}

func TestATrialThatCantRunHoldsUpNothing(t *testing.T) {
	b := newBench(t, collector.Component{}, web()).start()
	kb := b.kubebot(b.ns, "main", func(kb *v1alpha1.KubeBot) { kb.Spec.Traces.Collector.ExtraConfig = vendor })
	job, pod := b.trial("collector")
	pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable}}
	if err := b.client.Status().Update(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	live := b.condition(kb, v1alpha1.ConditionCollectorReady, metav1.ConditionFalse, v1alpha1.ReasonConfigUntried)
	b.condition(live, "WebReady", metav1.ConditionTrue, v1alpha1.ReasonReady)
	if text := b.samplers(); contains(text, "vendor") {
		t.Errorf("what was not tried runs:\n%s", text)
	}
	if job.Namespace != b.ns {
		t.Errorf("the trial runs in %s", job.Namespace)
	}
	if err := b.client.Delete(t.Context(), kb); err != nil {
		t.Fatal(err)
	}
	b.gone(&v1alpha1.KubeBot{}, b.ns, "main")
}
