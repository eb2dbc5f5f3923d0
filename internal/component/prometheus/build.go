// Package prometheus is the component that stores metrics and evaluates rules: a Prometheus of the Prometheus Operator.
package prometheus

import (
	"fmt"
	"maps"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"go.yaml.in/yaml/v3"
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
	name  = "prometheus"
	field = "spec.metrics.prometheus"

	keyScrape        = "scrape.yaml"
	keyAlertmanagers = "alertmanagers.yaml"
)

// Component is Prometheus.
type Component struct{}

// Name implements component.Component.
func (Component) Name() string { return name }

// ConditionType implements component.Component.
func (Component) ConditionType() string { return v1alpha1.ConditionPrometheusReady }

// Build implements component.Component.
func (Component) Build(in component.Input) ([]client.Object, error) {
	if !managed(in.KubeBot) {
		return nil, checkExternal(in.KubeBot)
	}
	p, err := prometheus(in)
	if err != nil {
		return nil, err
	}
	configs, err := configSecret(in)
	if err != nil {
		return nil, err
	}
	objects := []client.Object{p, configs, pods.Service(in.KubeBot, name, pods.Port{Name: portWeb, Number: endpoints.PrometheusPort}), networkPolicy(in)}
	if ptr.Deref(p.Spec.Replicas, 1) > 1 {
		objects = append(objects, pods.DisruptionBudget(in.KubeBot, name))
	}
	return objects, nil
}

func managed(kb *v1alpha1.KubeBot) bool { return kb.Spec.Metrics.Prometheus.Mode.Managed() }

func checkExternal(kb *v1alpha1.KubeBot) error {
	if e := kb.Spec.Metrics.Prometheus.External; e != nil && kb.Spec.Metrics.Prometheus.Mode == v1alpha1.ModeExternal {
		return component.CheckURL(field+".external.url", e.URL, "give an address that needs none")
	}
	return nil
}

func prometheus(in component.Input) (*monitoringv1.Prometheus, error) {
	kb, s := in.KubeBot, in.KubeBot.Spec.Metrics.Prometheus
	img, err := pods.Image(in, field, image, s.PodSettings)
	if err != nil {
		return nil, err
	}
	storage, err := pods.NewStorage(kb, name, field+".storage", s.Storage, emptyDirLimit)
	if err != nil {
		return nil, err
	}
	limits, err := newLimits(s, storage.Bytes, in.Room(name, storage.Bytes))
	if err != nil {
		return nil, err
	}
	if _, err := endpoints.RuleLabels(kb, "rules"); err != nil {
		return nil, &component.InvalidError{Field: field + ".userMonitors.selector", Message: err.Error()}
	}
	writes, err := remoteWrites(s.RemoteWrite)
	if err != nil {
		return nil, err
	}
	var place corev1.PodSpec
	pods.Place(&place, in, s.PodSettings)

	p := &monitoringv1.Prometheus{
		TypeMeta: metav1.TypeMeta{APIVersion: monitoringv1.SchemeGroupVersion.String(), Kind: monitoringv1.PrometheusesKind},
		ObjectMeta: metav1.ObjectMeta{
			Name: endpoints.PrometheusResource(kb), Namespace: kb.Namespace,
			Labels: naming.Labels(kb, name), Annotations: pods.OperatorAnnotations(in),
		},
		Spec: monitoringv1.PrometheusSpec{
			CommonPrometheusFields: monitoringv1.CommonPrometheusFields{
				PodMetadata:                   &monitoringv1.EmbeddedObjectMetadata{Labels: pods.OperatedLabels(kb, name)},
				Image:                         &img,
				Version:                       pods.Version(img, version),
				ImagePullSecrets:              place.ImagePullSecrets,
				Replicas:                      new(ptr.Deref(s.Replicas, 1)),
				ScrapeInterval:                monitoringv1.Duration(limits.scrape.String()),
				ExternalLabels:                externalLabels(in),
				PrometheusExternalLabelName:   new(""),
				EnableFeatures:                features(kb),
				ExternalURL:                   endpoints.Prometheus(kb),
				RoutePrefix:                   "/",
				Storage:                       storage.Spec,
				Resources:                     pods.Resources(s.PodSettings, cpuRequest, memoryRequest, ""),
				NodeSelector:                  place.NodeSelector,
				Tolerations:                   place.Tolerations,
				PriorityClassName:             place.PriorityClassName,
				Affinity:                      pods.Spread(naming.Selector(kb, name)),
				ServiceAccountName:            pods.ServiceAccount(in, name),
				SecurityContext:               pods.Security(),
				EnableServiceLinks:            new(false),
				TerminationGracePeriodSeconds: new(graceSeconds(s.RemoteWrite)),
				RemoteWrite:                   append(writes, writeArchive(kb)...),
				AdditionalScrapeConfigs:       secretKey(configSecretName(kb), keyScrape),
				// A monitor of a user must not read files of Prometheus' pod, such as its token.
				ArbitraryFSAccessThroughSMs:          monitoringv1.ArbitraryFSAccessThroughSMsConfig{Deny: true},
				ServiceDiscoveryRole:                 new(monitoringv1.EndpointSliceRole),
				PersistentVolumeClaimRetentionPolicy: storage.Claims,
			},
			Retention:             monitoringv1.Duration(limits.retention.String()),
			RetentionSize:         limits.retentionSize,
			EvaluationInterval:    monitoringv1.Duration(limits.evaluation.String()),
			RuleSelector:          orAll(s.UserMonitors.Selector),
			RuleNamespaceSelector: endpoints.RuleNamespaces(kb),
		},
	}
	p.Spec.ServiceMonitorSelector, p.Spec.ServiceMonitorNamespaceSelector = orAll(s.UserMonitors.Selector), orAll(s.UserMonitors.NamespaceSelector)
	p.Spec.PodMonitorSelector, p.Spec.PodMonitorNamespaceSelector = orAll(s.UserMonitors.Selector), orAll(s.UserMonitors.NamespaceSelector)
	takeOTLP(&p.Spec, kb)
	sendAlerts(&p.Spec, kb)
	return p, nil
}

// sendAlerts points Prometheus to every replica of the managed Alertmanager, or to the one outside.
func sendAlerts(spec *monitoringv1.PrometheusSpec, kb *v1alpha1.KubeBot) {
	switch kb.Spec.Metrics.Alertmanager.Mode {
	case v1alpha1.ModeDisabled:
	case v1alpha1.ModeExternal:
		spec.AdditionalAlertManagerConfigs = secretKey(configSecretName(kb), keyAlertmanagers)
	default:
		spec.Alerting = &monitoringv1.AlertingSpec{Alertmanagers: []monitoringv1.AlertmanagerEndpoints{{
			Namespace: new(kb.Namespace), Name: naming.Object(kb, "alertmanager"), Port: intstr.FromString(portWeb),
			APIVersion: new(monitoringv1.AlertmanagerAPIVersion2),
		}}}
	}
}

func externalLabels(in component.Input) map[string]string {
	labels := maps.Clone(in.KubeBot.Spec.Metrics.Prometheus.ExternalLabels)
	if labels == nil {
		labels = map[string]string{}
	}
	labels["cluster"] = in.ClusterName
	return labels
}

func orAll(s *metav1.LabelSelector) *metav1.LabelSelector {
	if s == nil {
		return &metav1.LabelSelector{}
	}
	return s.DeepCopy()
}

func secretKey(secret, key string) *corev1.SecretKeySelector {
	return &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: secret}, Key: key}
}

func configSecretName(kb *v1alpha1.KubeBot) string { return naming.Object(kb, "prometheus-config") }

// configSecret holds configuration that the operator takes from a Secret only. Nothing in it is secret.
func configSecret(in component.Input) (*corev1.Secret, error) {
	kb := in.KubeBot
	scrape, err := yaml.Marshal(scrapeConfigs(in))
	if err != nil {
		return nil, fmt.Errorf("marshal the scrape configuration: %w", err)
	}
	data := map[string][]byte{keyScrape: scrape}
	if am := kb.Spec.Metrics.Alertmanager; am.Mode == v1alpha1.ModeExternal {
		if data[keyAlertmanagers], err = externalAlertmanager(am.External.URL); err != nil {
			return nil, err
		}
	}
	return &corev1.Secret{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: metav1.ObjectMeta{Name: configSecretName(kb), Namespace: kb.Namespace, Labels: naming.Labels(kb, name)},
		Type:       corev1.SecretTypeOpaque,
		Data:       data,
	}, nil
}

// networkPolicy lets in who asks Prometheus, and itself for its own metrics. Prometheus may call every TCP port:
// monitors and annotations of users name any, and kubelets and the API server are no pods.
func networkPolicy(in component.Input) *networkingv1.NetworkPolicy {
	kb := in.KubeBot
	return netpol.Policy(kb, name,
		[]networkingv1.NetworkPolicyIngressRule{
			netpol.From([]int{endpoints.PrometheusPort},
				netpol.Manager(in), netpol.Component(kb, "responder"), netpol.Component(kb, "training"), netpol.Component(kb, name),
				netpol.Part(kb, "collector"), netpol.Grafana(kb)),
			netpol.From([]int{reloaderPort}, netpol.Component(kb, name)),
		},
		[]networkingv1.NetworkPolicyEgressRule{netpol.DNS(), netpol.AnyTCP()})
}
