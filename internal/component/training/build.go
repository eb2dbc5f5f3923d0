// Package training is the component that refits the root-cause analysis: a CronJob that learns from the Incidents whose
// cause people judged, and the ConfigMaps with what it knows of these and the versions of the weights, by which the
// responder ranks.
package training

import (
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/component/archive"
	"github.com/kubebot/kubebot/internal/component/netpol"
	"github.com/kubebot/kubebot/internal/component/pods"
	"github.com/kubebot/kubebot/internal/endpoints"
	"github.com/kubebot/kubebot/internal/naming"
	"github.com/kubebot/kubebot/internal/rca/weights"
)

const (
	name  = "training"
	field = "spec.analysis.training"
)

// Component is the training.
type Component struct{}

// Name implements component.Component.
func (Component) Name() string { return name }

// ConditionType implements component.Component.
func (Component) ConditionType() string { return v1alpha1.ConditionTrainingReady }

// Build implements component.Component. Switched off, the weights stay: only they are not refitted any more.
func (Component) Build(in component.Input) ([]client.Object, error) {
	kb := in.KubeBot
	if !analyses(kb) {
		return nil, nil
	}
	kept := configMap(kb, endpoints.WeightsConfigMap, map[string]string{weights.PinnedKey: kb.Spec.Analysis.Weights.Version})
	examples := configMap(kb, endpoints.ExamplesConfigMap, nil)
	if !managed(kb) {
		return []client.Object{kept, examples}, nil
	}
	job, err := cronJob(in)
	if err != nil {
		return nil, err
	}
	return []client.Object{kept, examples, job, networkPolicy(in)}, nil
}

// analyses tells whether there is an analysis at all.
func analyses(kb *v1alpha1.KubeBot) bool {
	return kb.Spec.Analysis.RootCause != v1alpha1.SwitchDisabled
}

func managed(kb *v1alpha1.KubeBot) bool {
	return analyses(kb) && kb.Spec.Analysis.Training.Mode.Managed()
}

// configMap holds what the spec asks for; the job adds what it learned.
func configMap(kb *v1alpha1.KubeBot, called string, data map[string]string) *corev1.ConfigMap {
	m := pods.ConfigMap(kb, name, data)
	m.Name = called
	return m
}

// jobName is bounded, because the controller adds to the name of a CronJob.
func jobName(kb *v1alpha1.KubeBot) string { return naming.Bounded(naming.Object(kb, name), 52) }

func cronJob(in component.Input) (*batchv1.CronJob, error) {
	kb, s := in.KubeBot, in.KubeBot.Spec.Analysis.Training
	pod, err := podSpec(in)
	if err != nil {
		return nil, err
	}
	when := schedule
	if s.Schedule != "" {
		when = s.Schedule
	}
	own := pods.Meta(kb, name)
	own.Name = jobName(kb)
	return &batchv1.CronJob{
		TypeMeta:   metav1.TypeMeta{APIVersion: batchv1.SchemeGroupVersion.String(), Kind: "CronJob"},
		ObjectMeta: own,
		Spec: batchv1.CronJobSpec{
			Schedule: when, TimeZone: new("Etc/UTC"), ConcurrencyPolicy: batchv1.ForbidConcurrent,
			StartingDeadlineSeconds:    new(int64(startWithinSeconds)),
			SuccessfulJobsHistoryLimit: new(int32(1)), FailedJobsHistoryLimit: new(int32(1)),
			JobTemplate: batchv1.JobTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: naming.Labels(kb, name)},
				Spec: batchv1.JobSpec{
					BackoffLimit: new(int32(1)), ActiveDeadlineSeconds: new(int64(endWithinSeconds)), TTLSecondsAfterFinished: new(int32(keptSeconds)),
					Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: naming.Labels(kb, name)}, Spec: *pod},
				},
			},
		},
	}, nil
}

func podSpec(in component.Input) (*corev1.PodSpec, error) {
	kb, s := in.KubeBot, in.KubeBot.Spec.Analysis.Training
	img, err := pods.OwnImage(in, field, s.PodSettings)
	if err != nil {
		return nil, err
	}
	c := corev1.Container{
		Name: name, Image: img, Args: arguments(kb),
		Resources: pods.Resources(s.PodSettings, cpu, memory, memoryLimit), SecurityContext: pods.ContainerSecurity(),
	}
	spec := &corev1.PodSpec{
		ServiceAccountName: pods.ServiceAccount(in, name), SecurityContext: pods.Security(), EnableServiceLinks: new(false),
		RestartPolicy: corev1.RestartPolicyNever,
	}
	if claim := archive.Claim(kb); claim != "" {
		// The claim may be mounted on one node at a time: the one of the archive's pod.
		spec.Volumes = []corev1.Volume{{Name: "archive", VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim, ReadOnly: true},
		}}}
		c.VolumeMounts = []corev1.VolumeMount{{Name: "archive", MountPath: archiveDir, ReadOnly: true}}
		c.Args = append(c.Args, "--archive="+archiveDir+"/"+archive.Folder)
		spec.Affinity = &corev1.Affinity{PodAffinity: &corev1.PodAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{
			TopologyKey: corev1.LabelHostname, LabelSelector: &metav1.LabelSelector{MatchLabels: naming.Selector(kb, "archive")},
		}}}}
	}
	spec.Containers = []corev1.Container{c}
	pods.Place(spec, in, s.PodSettings)
	return spec, nil
}

// arguments name the KubeBot, whose Incidents are read, and the stores that there are.
func arguments(kb *v1alpha1.KubeBot) []string {
	args := []string{"train", "--kubebot=" + kb.Name, "--namespace=" + kb.Namespace}
	for _, store := range []struct{ flag, url string }{
		{"prometheus", endpoints.Prometheus(kb)}, {"loki", endpoints.Loki(kb)}, {"jaeger", endpoints.Jaeger(kb)},
	} {
		if store.url != "" {
			args = append(args, "--"+store.flag+"="+store.url)
		}
	}
	if x := kb.Spec.Logs.Loki.External; x != nil && x.Tenant != "" {
		args = append(args, "--loki-tenant="+x.Tenant)
	}
	return args
}

// networkPolicy lets nobody in, and the job out to the API server and the stores.
func networkPolicy(in component.Input) *networkingv1.NetworkPolicy {
	kb := in.KubeBot
	out := []networkingv1.NetworkPolicyEgressRule{netpol.DNS(), netpol.APIServer(in)}
	outside := false
	for _, store := range []struct {
		component string
		port      int
		mode      v1alpha1.Mode
	}{
		{"prometheus", endpoints.PrometheusPort, kb.Spec.Metrics.Prometheus.Mode},
		{"loki", endpoints.LokiPort, kb.Spec.Logs.Loki.Mode},
		{"jaeger", endpoints.JaegerQueryPort, kb.Spec.Traces.Jaeger.Mode},
	} {
		switch store.mode {
		case v1alpha1.ModeDisabled:
		case v1alpha1.ModeExternal:
			outside = true
		default:
			out = append(out, netpol.To([]int{store.port}, netpol.Component(kb, store.component)))
		}
	}
	if outside {
		out = []networkingv1.NetworkPolicyEgressRule{netpol.DNS(), netpol.AnyTCP()}
	}
	return netpol.Policy(kb, name, nil, out)
}
