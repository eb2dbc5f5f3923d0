// Package collector is the component that takes traces, metrics and logs in by OTLP and hands them to the stores: the
// OpenTelemetry collector as a gateway of two tiers. Receivers say which pod data came from and send all spans of a
// trace to the same sampler; samplers measure, sample and export.
package collector

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
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
	// name of the component, of its ServiceAccount and of the receivers; samplerName of the second tier; balancedName of
	// the Service that has an address for those of the samplers that are ready; eventsName of what watches events.
	name         = "collector"
	eventsName   = endpoints.EventsWatcher
	samplerName  = "collector-sampler"
	balancedName = "collector-balanced"

	field = "spec.traces.collector"
)

// Component is the collector.
type Component struct{}

// Name implements component.Component.
func (Component) Name() string { return name }

// ConditionType implements component.Component.
func (Component) ConditionType() string { return v1alpha1.ConditionCollectorReady }

// Build implements component.Component.
func (Component) Build(in component.Input) ([]client.Object, error) {
	if !managed(in.KubeBot) {
		return nil, nil
	}
	receivers, err := receiverObjects(in)
	if err != nil {
		return nil, err
	}
	samplers, err := samplerObjects(in)
	if err != nil {
		return nil, err
	}
	objects := append(append(samplers, receivers...), instrumentation(in)...)
	if watchesEvents(in.KubeBot) {
		events, err := eventObjects(in)
		if err != nil {
			return nil, err
		}
		objects = append(objects, events...)
	}
	return pods.Pinned(objects)
}

func managed(kb *v1alpha1.KubeBot) bool { return endpoints.CollectorHost(kb) != "" }

// meta of an object of a tier; the label of the component is the same for both.
func meta(kb *v1alpha1.KubeBot, tier string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: naming.Object(kb, tier), Namespace: kb.Namespace, Labels: labels(kb, tier)}
}

func labels(kb *v1alpha1.KubeBot, tier string) map[string]string {
	all := naming.Labels(kb, tier)
	all[naming.LabelComponent] = name
	return all
}

func receiverObjects(in component.Input) ([]client.Object, error) {
	kb, s := in.KubeBot, in.KubeBot.Spec.Traces.Collector
	c := receiverConfig(in)
	text, err := c.YAML()
	if err != nil {
		return nil, err
	}
	process := otelcol.Process{
		Name: name, Account: name, Token: true, Field: field, Settings: s.PodSettings,
		CPU: receiverCPU, Memory: receiverMemory, MemoryLimit: receiverMemoryLimit, Start: receiverStart, Drain: receiverDrain, Grace: graceSeconds,
	}
	pod, err := process.Pod(in, c, naming.Object(kb, name))
	if err != nil {
		return nil, err
	}
	replicas := ptr.Deref(s.Receivers, receivers)
	objects := []client.Object{
		configMap(kb, name, text),
		service(kb, name, name, corev1.ServiceSpec{Ports: otelcol.ServicePorts(c)}),
		&appsv1.Deployment{
			TypeMeta:   metav1.TypeMeta{APIVersion: appsv1.SchemeGroupVersion.String(), Kind: "Deployment"},
			ObjectMeta: meta(kb, name),
			Spec: appsv1.DeploymentSpec{
				Replicas: &replicas,
				Selector: &metav1.LabelSelector{MatchLabels: naming.Selector(kb, name)},
				Strategy: appsv1.DeploymentStrategy{
					Type:          appsv1.RollingUpdateDeploymentStrategyType,
					RollingUpdate: &appsv1.RollingUpdateDeployment{MaxUnavailable: new(intstr.FromInt(0)), MaxSurge: new(intstr.FromInt(1))},
				},
				Template: podTemplate(kb, name, pod),
			},
		},
		receiverPolicy(in),
	}
	return withBudget(objects, kb, name, replicas), nil
}

// eventObjects watch the cluster's events in one process, and never two at a time. Several that elect a leader are no
// better: the collector's own election leaves the watch mute when one process loses the lease twice
// (k8sobjectsreceiver 0.145 closes its channels again), while a lost pod is replaced within seconds and reads what
// happened in between.
func eventObjects(in component.Input) ([]client.Object, error) {
	kb := in.KubeBot
	c := eventConfig(in)
	text, err := c.YAML()
	if err != nil {
		return nil, err
	}
	settings := kb.Spec.Traces.Collector.PodSettings
	settings.Resources = kb.Spec.Events.Resources // the collector's are for what applications send
	process := otelcol.Process{
		Name: eventsName, Account: name, Token: true, Field: field, Settings: settings,
		CPU: eventsCPU, Memory: eventsMemory, MemoryLimit: eventsMemoryLimit, Grace: graceSeconds,
	}
	pod, err := process.Pod(in, c, naming.Object(kb, eventsName))
	if err != nil {
		return nil, err
	}
	return []client.Object{
		configMap(kb, eventsName, text),
		&appsv1.Deployment{
			TypeMeta:   metav1.TypeMeta{APIVersion: appsv1.SchemeGroupVersion.String(), Kind: "Deployment"},
			ObjectMeta: meta(kb, eventsName),
			Spec: appsv1.DeploymentSpec{
				Replicas: new(int32(1)),
				Selector: &metav1.LabelSelector{MatchLabels: naming.Selector(kb, eventsName)},
				Strategy: appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType},
				Template: podTemplate(kb, eventsName, pod),
			},
		},
		eventPolicy(in),
	}, nil
}

func samplerObjects(in component.Input) ([]client.Object, error) {
	kb, s := in.KubeBot, in.KubeBot.Spec.Traces.Collector
	volume, err := pods.NewVolume(kb, name, field+".storage", s.Storage, emptyDirLimit)
	if err != nil {
		return nil, err
	}
	c, err := samplerConfig(kb, in.Room(name, volume.Bytes))
	if err != nil {
		return nil, err
	}
	decision, err := decide(in)
	if err != nil {
		return nil, err
	}
	text := otelcol.Text(decision.Files)
	process := otelcol.Process{
		Name: samplerName, Account: name, Field: field, Settings: s.PodSettings,
		CPU: samplerCPU, Memory: samplerMemory, MemoryLimit: samplerMemoryLimit,
		Start: samplerStart, Drain: samplerDrain, Grace: graceSeconds, Data: true,
	}
	pod, err := process.Pod(in, c, naming.Object(kb, samplerName))
	if err != nil {
		return nil, err
	}
	pod.Containers[0].Image = decision.Image
	pod.Containers[0].Env = append(pod.Containers[0].Env, decision.Env()...)
	pod.Volumes = append(pod.Volumes, volume.Volumes...)
	own := meta(kb, samplerName)
	own.Name = setName(kb)
	replicas := ptr.Deref(s.Samplers, v1alpha1.DefaultSamplers)
	objects := append(decision.Objects,
		configMap(kb, samplerName, text),
		service(kb, samplerName, samplerName, corev1.ServiceSpec{ClusterIP: corev1.ClusterIPNone, Ports: otelcol.ServicePorts(c)}),
		service(kb, balancedName, samplerName, corev1.ServiceSpec{Ports: otelcol.ServicePorts(c)}),
		&appsv1.StatefulSet{
			TypeMeta:   metav1.TypeMeta{APIVersion: appsv1.SchemeGroupVersion.String(), Kind: "StatefulSet"},
			ObjectMeta: own,
			Spec: appsv1.StatefulSetSpec{
				Replicas:                             &replicas,
				ServiceName:                          naming.Object(kb, samplerName),
				PodManagementPolicy:                  appsv1.ParallelPodManagement,
				Selector:                             &metav1.LabelSelector{MatchLabels: naming.Selector(kb, samplerName)},
				VolumeClaimTemplates:                 volume.Templates,
				PersistentVolumeClaimRetentionPolicy: volume.Claims,
				Template:                             podTemplate(kb, samplerName, pod),
			},
		},
		samplerPolicy(kb),
	)
	return withBudget(objects, kb, samplerName, replicas), nil
}

// setName is bounded, because the name of a StatefulSet becomes part of a label.
func setName(kb *v1alpha1.KubeBot) string { return naming.Bounded(naming.Object(kb, samplerName), 52) }

func podTemplate(kb *v1alpha1.KubeBot, tier string, pod corev1.PodSpec) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels(kb, tier)}, Spec: pod}
}

func configMap(kb *v1alpha1.KubeBot, tier, text string) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
		ObjectMeta: meta(kb, tier),
		Data:       otelcol.ConfigData(text),
	}
}

func service(kb *v1alpha1.KubeBot, suffix, tier string, spec corev1.ServiceSpec) *corev1.Service {
	spec.Selector = naming.Selector(kb, tier)
	own := meta(kb, tier)
	own.Name = naming.Object(kb, suffix)
	return &corev1.Service{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Service"}, ObjectMeta: own, Spec: spec}
}

func withBudget(objects []client.Object, kb *v1alpha1.KubeBot, tier string, replicas int32) []client.Object {
	if replicas < 2 {
		return objects
	}
	return append(objects, &policyv1.PodDisruptionBudget{
		TypeMeta:   metav1.TypeMeta{APIVersion: policyv1.SchemeGroupVersion.String(), Kind: "PodDisruptionBudget"},
		ObjectMeta: meta(kb, tier),
		Spec: policyv1.PodDisruptionBudgetSpec{
			MaxUnavailable: new(intstr.FromInt(1)),
			Selector:       &metav1.LabelSelector{MatchLabels: naming.Selector(kb, tier)},
		},
	})
}

// receiverPolicy lets every pod send, also those of the node's network, which no selector names.
func receiverPolicy(in component.Input) *networkingv1.NetworkPolicy {
	kb := in.KubeBot
	p := netpol.Policy(kb, name,
		[]networkingv1.NetworkPolicyIngressRule{
			{Ports: netpol.TCP(endpoints.OTLPGRPCPort, endpoints.OTLPHTTPPort)},
			netpol.From([]int{endpoints.CollectorMetricsPort}, netpol.Prometheus(kb)),
		},
		[]networkingv1.NetworkPolicyEgressRule{
			netpol.DNS(), netpol.APIServer(in), netpol.To([]int{endpoints.OTLPGRPCPort}, netpol.Component(kb, samplerName)),
		})
	p.Labels = labels(kb, name)
	return p
}

func eventPolicy(in component.Input) *networkingv1.NetworkPolicy {
	kb := in.KubeBot
	p := netpol.Policy(kb, eventsName,
		[]networkingv1.NetworkPolicyIngressRule{netpol.From([]int{endpoints.CollectorMetricsPort}, netpol.Prometheus(kb))},
		[]networkingv1.NetworkPolicyEgressRule{
			netpol.DNS(), netpol.APIServer(in), netpol.To([]int{endpoints.OTLPGRPCPort}, netpol.Component(kb, samplerName)),
		})
	p.Labels = labels(kb, eventsName)
	return p
}

// samplerPolicy lets the receivers and the watcher of events send. Stores outside, and the user's own exporters, may be anywhere.
func samplerPolicy(kb *v1alpha1.KubeBot) *networkingv1.NetworkPolicy {
	out := []networkingv1.NetworkPolicyEgressRule{netpol.DNS()}
	if anywhere(kb) {
		out = append(out, netpol.AnyTCP())
	} else {
		out = append(out,
			netpol.To([]int{endpoints.OTLPGRPCPort}, netpol.Component(kb, "jaeger"), netpol.Component(kb, "archive")),
			netpol.To([]int{endpoints.LokiPort}, netpol.Component(kb, "loki")),
			netpol.To([]int{endpoints.PrometheusPort}, netpol.Component(kb, "prometheus")))
	}
	p := netpol.Policy(kb, samplerName,
		[]networkingv1.NetworkPolicyIngressRule{
			netpol.From([]int{endpoints.OTLPGRPCPort}, netpol.Component(kb, name), netpol.Component(kb, eventsName)),
			netpol.From([]int{endpoints.CollectorMetricsPort}, netpol.Prometheus(kb)),
		}, out)
	p.Labels = labels(kb, samplerName)
	return p
}

func anywhere(kb *v1alpha1.KubeBot) bool {
	s := kb.Spec
	return s.Traces.Collector.ExtraConfig != "" || s.Traces.Jaeger.Mode == v1alpha1.ModeExternal ||
		s.Logs.Loki.Mode == v1alpha1.ModeExternal || s.Metrics.Prometheus.Mode == v1alpha1.ModeExternal
}
