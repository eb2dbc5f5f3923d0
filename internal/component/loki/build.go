// Package loki is the component that stores logs and cluster events: Loki as a single binary.
package loki

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/component/netpol"
	"github.com/kubebot/kubebot/internal/component/pods"
	"github.com/kubebot/kubebot/internal/endpoints"
	"github.com/kubebot/kubebot/internal/naming"
)

const (
	name  = "loki"
	field = "spec.logs.loki"
)

// Component is Loki.
type Component struct{}

// Name implements component.Component.
func (Component) Name() string { return name }

// ConditionType implements component.Component.
func (Component) ConditionType() string { return v1alpha1.ConditionLokiReady }

// Build implements component.Component.
func (Component) Build(in component.Input) ([]client.Object, error) {
	if !managed(in.KubeBot) {
		return nil, checkExternal(in.KubeBot.Spec.Logs.Loki)
	}
	s := in.KubeBot.Spec.Logs.Loki
	c, err := newConfig(s)
	if err != nil {
		return nil, err
	}
	data, err := marshal(c)
	if err != nil {
		return nil, err
	}
	if err := checkSecrets(s.ObjectStorage); err != nil {
		return nil, err
	}
	set, err := statefulSet(in)
	if err != nil {
		return nil, err
	}
	return pods.Pinned([]client.Object{
		pods.ConfigMap(in.KubeBot, name, map[string]string{configFile: data}),
		pods.Service(in.KubeBot, name, pods.Port{Name: portHTTP, Number: endpoints.LokiPort}), set, networkPolicy(in),
	})
}

func managed(kb *v1alpha1.KubeBot) bool { return kb.Spec.Logs.Loki.Mode.Managed() }

func checkExternal(s v1alpha1.LokiSpec) error {
	if s.Mode == v1alpha1.ModeExternal && s.External != nil {
		return component.CheckURL(field+".external.url", s.External.URL, "give an address that needs none")
	}
	return nil
}

func checkSecrets(o *v1alpha1.ObjectStorage) error {
	if o == nil || o.AccessKeySecret == nil || o.SecretKeySecret == nil {
		return nil
	}
	if err := component.CheckSecret(field+".objectStorage.accessKeySecret", *o.AccessKeySecret); err != nil {
		return err
	}
	return component.CheckSecret(field+".objectStorage.secretKeySecret", *o.SecretKeySecret)
}

// setName is bounded, because the name of a StatefulSet becomes part of a label.
func setName(kb *v1alpha1.KubeBot) string { return naming.Bounded(naming.Object(kb, name), 52) }

// statefulSet has one replica: the write-ahead log and the files have one writer. While it is replaced, the collector
// keeps what comes. Its pods are managed in parallel, so that a new template also replaces a pod that never got ready.
func statefulSet(in component.Input) (*appsv1.StatefulSet, error) {
	kb, s := in.KubeBot, in.KubeBot.Spec.Logs.Loki
	img, err := pods.Image(in, field, image, s.PodSettings)
	if err != nil {
		return nil, err
	}
	volume, err := pods.NewVolume(kb, name, field+".storage", s.Storage, emptyDirLimit)
	if err != nil {
		return nil, err
	}
	grace := graceSeconds
	if s.ObjectStorage != nil {
		grace = graceSecondsBucket
	}
	pod := corev1.PodSpec{
		ServiceAccountName:            pods.ServiceAccount(in, name),
		AutomountServiceAccountToken:  new(false),
		SecurityContext:               pods.Security(),
		EnableServiceLinks:            new(false),
		TerminationGracePeriodSeconds: &grace,
		Containers:                    []corev1.Container{container(s, img)},
		Volumes: append([]corev1.Volume{
			{Name: "config", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
				LocalObjectReference: corev1.LocalObjectReference{Name: naming.Object(kb, name)},
			}}},
			{Name: "tmp", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
		}, volume.Volumes...),
	}
	pods.Place(&pod, in, s.PodSettings)
	own := pods.Meta(kb, name)
	own.Name = setName(kb)
	return &appsv1.StatefulSet{
		TypeMeta:   metav1.TypeMeta{APIVersion: appsv1.SchemeGroupVersion.String(), Kind: "StatefulSet"},
		ObjectMeta: own,
		Spec: appsv1.StatefulSetSpec{
			Replicas:                             new(int32(1)),
			ServiceName:                          naming.Object(kb, name),
			PodManagementPolicy:                  appsv1.ParallelPodManagement,
			Selector:                             &metav1.LabelSelector{MatchLabels: naming.Selector(kb, name)},
			VolumeClaimTemplates:                 volume.Templates,
			PersistentVolumeClaimRetentionPolicy: volume.Claims,
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: naming.Labels(kb, name)},
				Spec:       pod,
			},
		},
	}, nil
}

func container(s v1alpha1.LokiSpec, img string) corev1.Container {
	return corev1.Container{
		Name:  name,
		Image: img,
		Args:  []string{"-config.file=" + configDir + "/" + configFile},
		Env:   environment(s.ObjectStorage),
		Ports: []corev1.ContainerPort{{Name: portHTTP, ContainerPort: endpoints.LokiPort, Protocol: corev1.ProtocolTCP}},
		// Loki is not ready while it reads its write-ahead log, but it answers what it was built of.
		LivenessProbe:   probe("/loki/api/v1/status/buildinfo", 20, 6),
		ReadinessProbe:  probe("/ready", 5, 3),
		Resources:       pods.Resources(s.PodSettings, cpuRequest, memoryRequest, memoryLimit),
		SecurityContext: pods.ContainerSecurity(),
		VolumeMounts: []corev1.VolumeMount{
			{Name: "config", MountPath: configDir, ReadOnly: true},
			{Name: "tmp", MountPath: tmpDir},
			{Name: pods.DataVolume, MountPath: dataDir},
		},
	}
}

func probe(path string, period, failures int32) *corev1.Probe {
	return &corev1.Probe{
		ProbeHandler:     corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: path, Port: intstr.FromString(portHTTP)}},
		PeriodSeconds:    period,
		TimeoutSeconds:   5,
		FailureThreshold: failures,
	}
}

// environment holds the keys of the bucket, where the AWS client looks for them; no file and no ConfigMap has them.
func environment(o *v1alpha1.ObjectStorage) []corev1.EnvVar {
	if o == nil || o.AccessKeySecret == nil || o.SecretKeySecret == nil {
		return nil
	}
	return []corev1.EnvVar{
		pods.SecretVariable("AWS_ACCESS_KEY_ID", *o.AccessKeySecret),
		pods.SecretVariable("AWS_SECRET_ACCESS_KEY", *o.SecretKeySecret),
	}
}

// networkPolicy lets in who writes and who asks. Loki calls nobody but its bucket, which may be anywhere.
func networkPolicy(in component.Input) *networkingv1.NetworkPolicy {
	kb := in.KubeBot
	var out []networkingv1.NetworkPolicyEgressRule
	if kb.Spec.Logs.Loki.ObjectStorage != nil {
		out = []networkingv1.NetworkPolicyEgressRule{netpol.DNS(), netpol.AnyTCP()}
	}
	return netpol.Policy(kb, name, []networkingv1.NetworkPolicyIngressRule{netpol.From([]int{endpoints.LokiPort},
		netpol.Part(kb, "collector"), netpol.Grafana(kb), netpol.Component(kb, "responder"), netpol.Component(kb, "training"),
		netpol.Manager(in), netpol.Prometheus(kb))}, out)
}
