// Package archive is the component that keeps all four signals as OTLP, to learn from: one OpenTelemetry collector that
// writes files, or objects of a bucket.
package archive

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/component/netpol"
	"github.com/kubebot/kubebot/internal/component/otelcol"
	"github.com/kubebot/kubebot/internal/component/pods"
	"github.com/kubebot/kubebot/internal/endpoints"
	"github.com/kubebot/kubebot/internal/naming"
)

const (
	name  = "archive"
	field = "spec.analysis.archive"
)

// Component is the archive.
type Component struct{}

// Name implements component.Component.
func (Component) Name() string { return name }

// ConditionType implements component.Component.
func (Component) ConditionType() string { return v1alpha1.ConditionArchiveReady }

// Build implements component.Component.
func (Component) Build(in component.Input) ([]client.Object, error) {
	kb, s := in.KubeBot, in.KubeBot.Spec.Analysis.Archive
	if !managed(kb) {
		return nil, nil
	}
	if err := checkSecrets(s.ObjectStorage); err != nil {
		return nil, err
	}
	volume, err := pods.NewVolume(kb, name, field+".storage", s.Storage, emptyDirLimit)
	if err != nil {
		return nil, err
	}
	c := newConfig(in, in.Room(name, volume.Bytes))
	text, err := c.YAML()
	if err != nil {
		return nil, err
	}
	set, err := statefulSet(in, c, volume)
	if err != nil {
		return nil, err
	}
	return pods.Pinned([]client.Object{
		pods.ConfigMap(kb, name, otelcol.ConfigData(text)),
		&corev1.Service{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Service"}, ObjectMeta: pods.Meta(kb, name),
			Spec: corev1.ServiceSpec{Selector: naming.Selector(kb, name), Ports: otelcol.ServicePorts(c)},
		},
		set,
		networkPolicy(kb),
	})
}

func managed(kb *v1alpha1.KubeBot) bool { return endpoints.ArchiveHost(kb) != "" }

func checkSecrets(s *v1alpha1.ObjectStorage) error {
	if s == nil || s.AccessKeySecret == nil || s.SecretKeySecret == nil {
		return nil
	}
	if err := component.CheckSecret(field+".objectStorage.accessKeySecret", *s.AccessKeySecret); err != nil {
		return err
	}
	return component.CheckSecret(field+".objectStorage.secretKeySecret", *s.SecretKeySecret)
}

// Folder of the archive's files in its volume.
const Folder = "archive"

// Claim returns the name of the volume claim that holds the archive's files; empty while there is none, because they are
// in an emptyDir or a bucket, or there is no archive.
func Claim(kb *v1alpha1.KubeBot) string {
	s := kb.Spec.Analysis.Archive
	if !managed(kb) || s.ObjectStorage != nil || s.Storage.Size == nil {
		return ""
	}
	return pods.DataVolume + "-" + setName(kb) + "-0" // as the StatefulSet controller names it
}

// setName is bounded, because the name of a StatefulSet becomes part of a label.
func setName(kb *v1alpha1.KubeBot) string { return naming.Bounded(naming.Object(kb, name), 52) }

// statefulSet never has two writers on the same files.
func statefulSet(in component.Input, c otelcol.Config, volume pods.Volume) (*appsv1.StatefulSet, error) {
	kb, s := in.KubeBot, in.KubeBot.Spec.Analysis.Archive
	process := otelcol.Process{
		Name: name, Account: name, Field: field, Settings: s.PodSettings,
		CPU: cpu, Memory: memory, MemoryLimit: memoryLimit, Start: startSeconds, Drain: drainSeconds, Grace: graceSeconds,
		Env: environment(s.ObjectStorage), Data: true,
	}
	pod, err := process.Pod(in, c, naming.Object(kb, name))
	if err != nil {
		return nil, err
	}
	// The identity of a pod that reaches a bucket without keys is its ServiceAccount's, as the cloud mounts it itself.
	pod.Volumes = append(pod.Volumes, volume.Volumes...)
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

// networkPolicy lets in the samplers' telemetry and Prometheus's samples. Only a bucket is called, wherever it is.
func networkPolicy(kb *v1alpha1.KubeBot) *networkingv1.NetworkPolicy {
	var out []networkingv1.NetworkPolicyEgressRule
	if kb.Spec.Analysis.Archive.ObjectStorage != nil {
		out = []networkingv1.NetworkPolicyEgressRule{netpol.DNS(), netpol.AnyTCP()}
	}
	in := []networkingv1.NetworkPolicyIngressRule{
		netpol.From([]int{endpoints.OTLPGRPCPort}, netpol.Part(kb, "collector")),
		netpol.From([]int{endpoints.CollectorMetricsPort}, netpol.Prometheus(kb)),
	}
	if kb.Spec.Metrics.Prometheus.Mode != v1alpha1.ModeDisabled {
		in = append(in, netpol.From([]int{endpoints.RemoteWritePort}, netpol.Prometheus(kb)))
	}
	return netpol.Policy(kb, name, in, out)
}
