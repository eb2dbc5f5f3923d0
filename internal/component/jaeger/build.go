// Package jaeger is the component that stores traces: Jaeger 2 with its embedded store.
package jaeger

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/component/netpol"
	"github.com/kubebot/kubebot/internal/component/pods"
	"github.com/kubebot/kubebot/internal/endpoints"
	"github.com/kubebot/kubebot/internal/naming"
)

const (
	name  = "jaeger"
	field = "spec.traces.jaeger"
)

// Component is Jaeger.
type Component struct{}

// Name implements component.Component.
func (Component) Name() string { return name }

// ConditionType implements component.Component.
func (Component) ConditionType() string { return v1alpha1.ConditionJaegerReady }

// Build implements component.Component.
func (Component) Build(in component.Input) ([]client.Object, error) {
	s := in.KubeBot.Spec.Traces.Jaeger
	if !managed(in.KubeBot) {
		return nil, checkExternal(s)
	}
	c, err := newConfig(s)
	if err != nil {
		return nil, err
	}
	data, err := marshal(c)
	if err != nil {
		return nil, err
	}
	set, err := statefulSet(in)
	if err != nil {
		return nil, err
	}
	return pods.Pinned([]client.Object{pods.ConfigMap(in.KubeBot, name, map[string]string{configFile: data}), newService(in.KubeBot), set, networkPolicy(in)})
}

func managed(kb *v1alpha1.KubeBot) bool { return kb.Spec.Traces.Jaeger.Mode.Managed() }

func checkExternal(s v1alpha1.JaegerSpec) error {
	if s.Mode == v1alpha1.ModeExternal && s.External != nil {
		return component.CheckURL(field+".external.url", s.External.URL, "give an address that needs none")
	}
	return nil
}

// setName is bounded, because the name of a StatefulSet becomes part of a label.
func setName(kb *v1alpha1.KubeBot) string { return naming.Bounded(naming.Object(kb, name), 52) }

// ports of the pod; those of the Service are the same.
var ports = []corev1.ContainerPort{
	{Name: portQuery, ContainerPort: endpoints.JaegerQueryPort, Protocol: corev1.ProtocolTCP},
	{Name: portOTLP, ContainerPort: endpoints.OTLPGRPCPort, Protocol: corev1.ProtocolTCP},
	{Name: portHTTP, ContainerPort: endpoints.OTLPHTTPPort, Protocol: corev1.ProtocolTCP},
	{Name: portMetrics, ContainerPort: endpoints.JaegerMetricsPort, Protocol: corev1.ProtocolTCP},
}

func newService(kb *v1alpha1.KubeBot) *corev1.Service {
	served := make([]pods.Port, 0, len(ports))
	for _, p := range ports {
		served = append(served, pods.Port{Name: p.Name, Number: p.ContainerPort})
	}
	return pods.Service(kb, name, served...)
}

// replicas are one with the embedded store, whose files have one writer.
func replicas(s v1alpha1.JaegerSpec) int32 {
	if s.Elasticsearch == nil {
		return 1
	}
	return ptr.Deref(s.Replicas, 1)
}

// statefulSet never has two pods on the same files. While its pod is replaced, the collector keeps what comes. Its pods
// are managed in parallel, so that a new template also replaces a pod that never got ready.
func statefulSet(in component.Input) (*appsv1.StatefulSet, error) {
	kb, s := in.KubeBot, in.KubeBot.Spec.Traces.Jaeger
	img, err := pods.Image(in, field, image, s.PodSettings)
	if err != nil {
		return nil, err
	}
	var volume pods.Volume
	if s.Elasticsearch == nil {
		if volume, err = pods.NewVolume(kb, name, field+".storage", s.Storage, emptyDirLimit); err != nil {
			return nil, err
		}
	}
	pod := corev1.PodSpec{
		ServiceAccountName:            pods.ServiceAccount(in, name),
		AutomountServiceAccountToken:  new(false),
		SecurityContext:               pods.Security(),
		EnableServiceLinks:            new(false),
		TerminationGracePeriodSeconds: new(graceSeconds),
		Affinity:                      pods.Spread(naming.Selector(kb, name)),
		Containers:                    []corev1.Container{container(s, img)},
		Volumes:                       volumes(kb, s.Elasticsearch, volume.Volumes),
	}
	pods.Place(&pod, in, s.PodSettings)
	own := pods.Meta(kb, name)
	own.Name = setName(kb)
	return &appsv1.StatefulSet{
		TypeMeta:   metav1.TypeMeta{APIVersion: appsv1.SchemeGroupVersion.String(), Kind: "StatefulSet"},
		ObjectMeta: own,
		Spec: appsv1.StatefulSetSpec{
			Replicas:                             new(replicas(s)),
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

func container(s v1alpha1.JaegerSpec, img string) corev1.Container {
	c := corev1.Container{
		Name:            name,
		Image:           img,
		Args:            []string{"--config=" + configDir + "/" + configFile},
		Env:             environment(s.Elasticsearch),
		Ports:           append(ports[:len(ports):len(ports)], corev1.ContainerPort{Name: portHealth, ContainerPort: healthPort, Protocol: corev1.ProtocolTCP}),
		StartupProbe:    probe(startPeriod, startSeconds/startPeriod),
		LivenessProbe:   probe(20, 6),
		ReadinessProbe:  probe(5, 3),
		Resources:       pods.Resources(s.PodSettings, cpuRequest, memoryRequest, memoryLimit),
		SecurityContext: pods.ContainerSecurity(),
		VolumeMounts:    []corev1.VolumeMount{{Name: "config", MountPath: configDir, ReadOnly: true}},
	}
	switch {
	case s.Elasticsearch == nil:
		c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: pods.DataVolume, MountPath: dataDir})
	case s.Elasticsearch.BasicAuth != nil:
		c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: "secret", MountPath: secretDir, ReadOnly: true})
	}
	return c
}

func probe(period, failures int32) *corev1.Probe {
	return &corev1.Probe{
		ProbeHandler:     corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: healthPath, Port: intstr.FromString(portHealth)}},
		PeriodSeconds:    period,
		TimeoutSeconds:   5,
		FailureThreshold: failures,
	}
}

// environment keeps Jaeger from tracing itself into itself, and holds the user name of Elasticsearch, which the
// configuration only names.
func environment(e *v1alpha1.Elasticsearch) []corev1.EnvVar {
	env := []corev1.EnvVar{{Name: "OTEL_TRACES_SAMPLER", Value: "always_off"}}
	if e != nil && e.BasicAuth != nil {
		env = append(env, pods.SecretVariable(variableUser, e.BasicAuth.UsernameSecret))
	}
	return env
}

// volumes are the configuration, the data or the password.
func volumes(kb *v1alpha1.KubeBot, e *v1alpha1.Elasticsearch, data []corev1.Volume) []corev1.Volume {
	all := append([]corev1.Volume{{Name: "config", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
		LocalObjectReference: corev1.LocalObjectReference{Name: naming.Object(kb, name)},
	}}}}, data...)
	if e == nil || e.BasicAuth == nil {
		return all
	}
	// Optional, so that a missing Secret shows as that of the user name does, in the state of the container.
	ref := e.BasicAuth.PasswordSecret
	return append(all, corev1.Volume{Name: "secret", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{
		SecretName: ref.Name, Items: []corev1.KeyToPath{{Key: ref.Key, Path: passwordFile}}, Optional: new(true),
	}}})
}

// networkPolicy lets in the collector's spans and who asks for traces. Jaeger calls nobody but Elasticsearch, which may be
// anywhere; names it looks up all the same.
func networkPolicy(in component.Input) *networkingv1.NetworkPolicy {
	kb := in.KubeBot
	out := []networkingv1.NetworkPolicyEgressRule{netpol.DNS()}
	if kb.Spec.Traces.Jaeger.Elasticsearch != nil {
		out = append(out, netpol.AnyTCP())
	}
	return netpol.Policy(kb, name, []networkingv1.NetworkPolicyIngressRule{
		netpol.From([]int{endpoints.OTLPGRPCPort}, netpol.Part(kb, "collector")),
		netpol.From([]int{endpoints.JaegerQueryPort},
			netpol.Grafana(kb), netpol.Component(kb, "responder"), netpol.Component(kb, "training"), netpol.Manager(in)),
		netpol.From([]int{endpoints.JaegerMetricsPort}, netpol.Prometheus(kb)),
	}, out)
}
