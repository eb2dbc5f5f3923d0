package grafana

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/component/pods"
	"github.com/kubebot/kubebot/internal/dashboards/config"
	"github.com/kubebot/kubebot/internal/endpoints"
	"github.com/kubebot/kubebot/internal/naming"
)

// workload is a Deployment, or with a volume claim a StatefulSet: its claim may outlive it. Either has one pod, because
// Grafana's database is one file, and the old pod ends before the new one begins.
func workload(in component.Input, c config.Config) (client.Object, error) {
	kb := in.KubeBot
	template, volume, err := podTemplate(in, c)
	if err != nil {
		return nil, err
	}
	if persistent(kb) {
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
				Template:                             template,
				VolumeClaimTemplates:                 volume.Templates,
				PersistentVolumeClaimRetentionPolicy: volume.Claims,
			},
		}, nil
	}
	return &appsv1.Deployment{
		TypeMeta:   metav1.TypeMeta{APIVersion: appsv1.SchemeGroupVersion.String(), Kind: "Deployment"},
		ObjectMeta: pods.Meta(kb, name),
		Spec: appsv1.DeploymentSpec{
			Replicas: new(int32(1)),
			Strategy: appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType},
			Selector: &metav1.LabelSelector{MatchLabels: naming.Selector(kb, name)},
			Template: template,
		},
	}, nil
}

func persistent(kb *v1alpha1.KubeBot) bool {
	return managed(kb) && kb.Spec.Dashboards.Grafana.Storage.Size != nil
}

// setName is bounded, because the name of a StatefulSet becomes part of a label.
func setName(kb *v1alpha1.KubeBot) string { return naming.Bounded(naming.Object(kb, name), 52) }

func podTemplate(in component.Input, c config.Config) (corev1.PodTemplateSpec, pods.Volume, error) {
	kb, s := in.KubeBot, in.KubeBot.Spec.Dashboards.Grafana
	security := pods.Security()
	security.RunAsUser, security.RunAsGroup, security.FSGroup = new(uid), new(uid), new(uid)
	pod := corev1.PodSpec{
		ServiceAccountName:           pods.ServiceAccount(in, name),
		AutomountServiceAccountToken: new(false),
		SecurityContext:              security,
		EnableServiceLinks:           new(false),
	}
	var volume pods.Volume
	if managed(kb) {
		img, err := pods.Image(in, field, image, s.PodSettings)
		if err != nil {
			return corev1.PodTemplateSpec{}, volume, err
		}
		if volume, err = pods.NewVolume(kb, name, field+".storage", s.Storage, emptyDirLimit); err != nil {
			return corev1.PodTemplateSpec{}, volume, err
		}
		pod.Containers = append(pod.Containers, grafana(kb, img))
		pod.Volumes = append(pod.Volumes, volume.Volumes...)
		pod.Volumes = append(pod.Volumes, corev1.Volume{Name: volumeTmp, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}})
	}
	img, err := keeperImage(in)
	if err != nil {
		return corev1.PodTemplateSpec{}, volume, err
	}
	pod.Containers = append(pod.Containers, keeperContainer(in, img))
	pod.Volumes = append(pod.Volumes, keeperVolumes(kb, c)...)
	pods.Place(&pod, in, s.PodSettings)
	return corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: naming.Labels(kb, name)}, Spec: pod}, volume, nil
}

// keeperImage is KubeBot's own. The setting image is Grafana's, and of an outside Grafana the keeper's, which is all
// that runs then.
func keeperImage(in component.Input) (string, error) {
	s := in.KubeBot.Spec.Dashboards.Grafana.PodSettings
	if managed(in.KubeBot) {
		s = v1alpha1.PodSettings{}
	}
	return pods.OwnImage(in, field, s)
}

// grafana is the container of Grafana. Its settings are its environment: another setting makes another pod.
func grafana(kb *v1alpha1.KubeBot, img string) corev1.Container {
	resources := pods.Resources(kb.Spec.Dashboards.Grafana.PodSettings, cpuRequest, memoryRequest, memoryLimit)
	return corev1.Container{
		Name:  name,
		Image: img,
		Env:   append(environment(settings(kb)), pods.GoMemory(resources)...),
		Ports: []corev1.ContainerPort{{Name: portHTTP, ContainerPort: endpoints.GrafanaPort, Protocol: corev1.ProtocolTCP}},
		// The first start makes the database, which takes some ten seconds on a busy node.
		StartupProbe:    probe(publicPath(kb)+"/api/health", portHTTP, 2, 90),
		LivenessProbe:   probe(publicPath(kb)+"/api/health", portHTTP, 20, 5),
		ReadinessProbe:  probe(publicPath(kb)+"/api/health", portHTTP, 5, 2),
		Resources:       resources,
		SecurityContext: pods.ContainerSecurity(),
		VolumeMounts: []corev1.VolumeMount{
			{Name: pods.DataVolume, MountPath: dataDir},
			{Name: volumeTmp, MountPath: tmpDir},
			{Name: volumeCredentials, MountPath: secretDir, ReadOnly: true},
		},
	}
}

func probe(path, port string, period, failures int32) *corev1.Probe {
	return &corev1.Probe{
		ProbeHandler:     corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: path, Port: intstr.FromString(port)}},
		PeriodSeconds:    period,
		TimeoutSeconds:   5,
		FailureThreshold: failures,
	}
}

// keeperContainer keeps data sources and dashboards. It reads its configuration and credentials anew, so that a change
// needs no new pod. It is ready while it runs: what it finds in Grafana is in its report, and must not take a managed
// Grafana away from people.
func keeperContainer(in component.Input, img string) corev1.Container {
	return corev1.Container{
		Name:  keeper,
		Image: img,
		Args: []string{
			"dashboards", "--config=" + config.Path, "--credentials=" + config.CredentialsDir, "--extra=" + config.ExtraDir,
			fmt.Sprintf("--listen=:%d", metricsPort),
		},
		Env:             proxies(in),
		Ports:           []corev1.ContainerPort{{Name: portMetrics, ContainerPort: metricsPort, Protocol: corev1.ProtocolTCP}},
		LivenessProbe:   probe("/healthz", portMetrics, 20, 5),
		ReadinessProbe:  probe("/healthz", portMetrics, 5, 2),
		Resources:       keeperResources(in.KubeBot),
		SecurityContext: pods.ContainerSecurity(),
		VolumeMounts: []corev1.VolumeMount{
			{Name: volumeConfig, MountPath: "/etc/kubebot/dashboards", ReadOnly: true},
			{Name: volumeCredentials, MountPath: config.CredentialsDir, ReadOnly: true},
			{Name: volumeExtra, MountPath: config.ExtraDir, ReadOnly: true},
		},
	}
}

// keeperResources are the user's only where the keeper is all that runs.
func keeperResources(kb *v1alpha1.KubeBot) corev1.ResourceRequirements {
	s := kb.Spec.Dashboards.Grafana.PodSettings
	if managed(kb) {
		s = v1alpha1.PodSettings{}
	}
	return pods.Resources(s, keeperCPU, keeperMemory, keeperMemoryLimit)
}

// proxies hands on the manager's proxy for an outside Grafana, past which goes everything inside the cluster.
func proxies(in component.Input) []corev1.EnvVar {
	if managed(in.KubeBot) {
		return nil
	}
	var env []corev1.EnvVar
	for _, key := range []string{"HTTPS_PROXY", "HTTP_PROXY"} {
		if value := in.Install.Proxy[key]; value != "" {
			env = append(env, corev1.EnvVar{Name: key, Value: value})
		}
	}
	if len(env) > 0 {
		env = append(env, corev1.EnvVar{Name: "NO_PROXY", Value: in.Install.Direct()})
	}
	return env
}

// keeperVolumes are the configuration, the credentials and the user's dashboards. The latter two are optional: a missing
// Secret or ConfigMap keeps no pod from starting, and a new one appears in the running pod.
func keeperVolumes(kb *v1alpha1.KubeBot, c config.Config) []corev1.Volume {
	var secrets, extra []corev1.VolumeProjection
	for _, s := range []struct {
		ref  *config.Ref
		file string
	}{{c.Secrets.Token, config.TokenFile}, {c.Secrets.User, config.UserFile}, {c.Secrets.Password, config.PasswordFile}} {
		if s.ref != nil {
			secrets = append(secrets, corev1.VolumeProjection{Secret: &corev1.SecretProjection{
				LocalObjectReference: corev1.LocalObjectReference{Name: s.ref.Name}, Optional: new(true),
				Items: []corev1.KeyToPath{{Key: s.ref.Key, Path: s.file}},
			}})
		}
	}
	for _, e := range c.Extra {
		extra = append(extra, corev1.VolumeProjection{ConfigMap: &corev1.ConfigMapProjection{
			LocalObjectReference: corev1.LocalObjectReference{Name: e.ConfigMap.Name}, Optional: new(true),
			Items: []corev1.KeyToPath{{Key: e.ConfigMap.Key, Path: e.Name + ".json"}},
		}})
	}
	projected := func(name string, sources []corev1.VolumeProjection) corev1.Volume {
		return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: sources}}}
	}
	return []corev1.Volume{
		{Name: volumeConfig, VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
			LocalObjectReference: corev1.LocalObjectReference{Name: naming.Object(kb, name)},
		}}},
		projected(volumeCredentials, secrets),
		projected(volumeExtra, extra),
	}
}
