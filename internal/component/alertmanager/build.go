// Package alertmanager is the component that deduplicates alerts, holds silences and hands alerts to the responder: an
// Alertmanager of the Prometheus Operator.
package alertmanager

import (
	"time"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/component/netpol"
	"github.com/kubebot/kubebot/internal/component/pods"
	"github.com/kubebot/kubebot/internal/component/receivers"
	"github.com/kubebot/kubebot/internal/credentials"
	"github.com/kubebot/kubebot/internal/endpoints"
	"github.com/kubebot/kubebot/internal/naming"
)

const (
	name  = "alertmanager"
	field = "spec.metrics.alertmanager"

	// keyConfig is the key that the operator reads.
	keyConfig = "alertmanager.yaml"
	// volumeCredentials is the volume with the token for the responder.
	volumeCredentials = "responder-credentials"
)

// Component is Alertmanager.
type Component struct{}

// Name implements component.Component.
func (Component) Name() string { return name }

// ConditionType implements component.Component.
func (Component) ConditionType() string { return v1alpha1.ConditionAlertmanagerReady }

// Build implements component.Component.
func (Component) Build(in component.Input) ([]client.Object, error) {
	kb := in.KubeBot
	if !managed(kb) {
		if e := kb.Spec.Metrics.Alertmanager.External; e != nil {
			return nil, component.CheckURL(field+".external.url", e.URL, "give an address that needs none")
		}
		return nil, nil
	}
	am, err := alertmanager(in)
	if err != nil {
		return nil, err
	}
	data, err := marshal(newConfig(in))
	if err != nil {
		return nil, err
	}
	objects := []client.Object{
		am, configSecret(kb, data), pods.Service(kb, name, pods.Port{Name: portWeb, Number: endpoints.AlertmanagerPort}), networkPolicy(in),
	}
	if *am.Spec.Replicas > 1 {
		objects = append(objects, pods.DisruptionBudget(kb, name))
	}
	return objects, nil
}

func managed(kb *v1alpha1.KubeBot) bool { return kb.Spec.Metrics.Alertmanager.Mode.Managed() }

// resourceName is the name of the Alertmanager resource. The operator's StatefulSet is called alertmanager-<name>.
func resourceName(kb *v1alpha1.KubeBot) string {
	return naming.Bounded(naming.Object(kb, name), 52-len("alertmanager-"))
}

func credentialsDir(kb *v1alpha1.KubeBot) string {
	return "/etc/alertmanager/secrets/" + naming.Object(kb, credentials.SecretSuffix)
}

func alertmanager(in component.Input) (*monitoringv1.Alertmanager, error) {
	kb, s := in.KubeBot, in.KubeBot.Spec.Metrics.Alertmanager
	img, err := pods.Image(in, field, image, s.PodSettings)
	if err != nil {
		return nil, err
	}
	storage, err := pods.NewStorage(kb, name, field+".storage", s.Storage, emptyDirLimit)
	if err != nil {
		return nil, err
	}
	keep, err := component.Duration(field+".retention", s.Retention, retention)
	if err != nil {
		return nil, err
	}
	var place corev1.PodSpec
	pods.Place(&place, in, s.PodSettings)
	volumes, mounts := receivers.Mounts(fallbackRefs(kb), receiversDir)

	return &monitoringv1.Alertmanager{
		TypeMeta: metav1.TypeMeta{APIVersion: monitoringv1.SchemeGroupVersion.String(), Kind: monitoringv1.AlertmanagersKind},
		ObjectMeta: metav1.ObjectMeta{
			Name: resourceName(kb), Namespace: kb.Namespace, Labels: naming.Labels(kb, name), Annotations: pods.OperatorAnnotations(in),
		},
		Spec: monitoringv1.AlertmanagerSpec{
			PodMetadata:                          &monitoringv1.EmbeddedObjectMetadata{Labels: pods.OperatedLabels(kb, name)},
			Image:                                &img,
			Version:                              pods.Version(img, version),
			ImagePullSecrets:                     place.ImagePullSecrets,
			ConfigSecret:                         configSecretName(kb),
			Replicas:                             new(ptr.Deref(s.Replicas, 1)),
			Retention:                            monitoringv1.GoDuration(time.Duration(keep).String()),
			Storage:                              storage.Spec,
			PersistentVolumeClaimRetentionPolicy: storage.Claims,
			ExternalURL:                          endpoints.Alertmanager(kb),
			RoutePrefix:                          "/",
			Resources:                            pods.Resources(s.PodSettings, cpuRequest, memoryRequest, memoryLimit),
			NodeSelector:                         place.NodeSelector,
			Tolerations:                          place.Tolerations,
			PriorityClassName:                    place.PriorityClassName,
			Affinity:                             pods.Spread(naming.Selector(kb, name)),
			ServiceAccountName:                   pods.ServiceAccount(in, name),
			AutomountServiceAccountToken:         new(false),
			SecurityContext:                      pods.Security(),
			EnableServiceLinks:                   new(false),
			TerminationGracePeriodSeconds:        new(int64(graceSeconds)),
			Volumes:                              append([]corev1.Volume{credentialsVolume(kb)}, volumes...),
			VolumeMounts: append([]corev1.VolumeMount{
				{Name: volumeCredentials, MountPath: credentialsDir(kb), ReadOnly: true},
			}, mounts...),
		},
	}, nil
}

// credentialsVolume holds of the generated Secret only what a client of the responder needs, not the responder's key.
func credentialsVolume(kb *v1alpha1.KubeBot) corev1.Volume {
	return corev1.Volume{Name: volumeCredentials, VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{
		SecretName: naming.Object(kb, credentials.SecretSuffix),
		Items: []corev1.KeyToPath{
			{Key: credentials.KeyToken, Path: credentials.KeyToken},
			{Key: credentials.KeyCA, Path: credentials.KeyCA},
		},
	}}}
}

func configSecretName(kb *v1alpha1.KubeBot) string { return naming.Object(kb, "alertmanager-config") }

// configSecret holds the configuration, which the operator takes from a Secret only. Nothing in it is secret but what the
// address of the manager's proxy may hold.
func configSecret(kb *v1alpha1.KubeBot, data []byte) *corev1.Secret {
	return &corev1.Secret{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: metav1.ObjectMeta{Name: configSecretName(kb), Namespace: kb.Namespace, Labels: naming.Labels(kb, name)},
		Type:       corev1.SecretTypeOpaque,
		Data:       map[string][]byte{keyConfig: data},
	}
}

// networkPolicy lets in Prometheus with alerts and scrapes, the responder and the manager with questions, and lets out
// webhooks to the responder, and to receivers wherever they are. Replicas gossip among themselves.
func networkPolicy(in component.Input) *networkingv1.NetworkPolicy {
	kb := in.KubeBot
	mesh := append(netpol.TCP(meshPort), netpol.UDP(meshPort))
	ingress := []networkingv1.NetworkPolicyIngressRule{
		netpol.From([]int{endpoints.AlertmanagerPort}, netpol.Prometheus(kb), netpol.Component(kb, "responder"), netpol.Grafana(kb), netpol.Manager(in)),
		netpol.From([]int{reloaderPort}, netpol.Prometheus(kb)),
	}
	egress := []networkingv1.NetworkPolicyEgressRule{
		netpol.DNS(),
		netpol.To([]int{endpoints.ResponderPort}, netpol.Component(kb, "responder")),
	}
	if len(fallbackCapable(kb.Spec.Alerting.Receivers)) > 0 {
		egress = append(egress, netpol.AnyTCP())
	}
	if ptr.Deref(kb.Spec.Metrics.Alertmanager.Replicas, 1) > 1 {
		self := []networkingv1.NetworkPolicyPeer{netpol.Component(kb, name)}
		ingress = append(ingress, networkingv1.NetworkPolicyIngressRule{From: self, Ports: mesh})
		egress = append(egress, networkingv1.NetworkPolicyEgressRule{To: self, Ports: mesh})
	}
	return netpol.Policy(kb, name, ingress, egress)
}
