package otelcol

import (
	"fmt"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/component/pods"
	"github.com/kubebot/kubebot/internal/endpoints"
	"github.com/kubebot/kubebot/internal/naming"
)

// Names of the ports of a collector's pod.
const (
	PortGRPC        = "otlp-grpc"
	PortHTTP        = "otlp-http"
	PortRemoteWrite = "remote-write"
	PortMetrics     = "metrics"
	PortHealth      = "health"
)

// Variables of a collector's environment that configurations name.
const (
	VariablePodIP   = "POD_IP"
	VariablePodName = "POD_NAME"
)

const (
	// ConfigDir is where the ConfigMap is mounted.
	ConfigDir  = "/etc/otelcol"
	configFile = "config.yaml"
	// DataDir is where the volume pods.DataVolume is mounted, if there is one.
	DataDir = "/var/lib/otelcol"
	// startPeriod in seconds of a startup probe is short, because nobody is let in before it succeeds.
	startPeriod = 2
)

// Process is one kind of collector process.
type Process struct {
	// Name of its objects' suffix, container and Selector, such as collector-sampler.
	Name string
	// Account is the component whose ServiceAccount it runs as. Token mounts that account's token.
	Account string
	Token   bool
	// Field is the path of Settings in the KubeBot.
	Field    string
	Settings v1alpha1.PodSettings
	// CPU, Memory and MemoryLimit where the settings give none.
	CPU, Memory, MemoryLimit string
	// Start is how many seconds it may take to start, where that is longer than the liveness probe bears.
	Start int64
	// Drain is how many seconds a pod that is to end goes on working, because callers take a while to hear of it, and
	// Grace in how many more it must have ended.
	Drain, Grace int64
	// Env are further variables.
	Env []corev1.EnvVar
	// Data mounts the volume pods.DataVolume.
	Data bool
}

// ConfigData is the data of the ConfigMap that the process reads.
func ConfigData(text string) map[string]string { return map[string]string{configFile: text} }

// Text is the configuration in the data of such a ConfigMap.
func Text(data map[string]string) string { return data[configFile] }

// Validate are the arguments by which the collector tries the configuration that is in ConfigDir.
func Validate() []string { return []string{"validate", "--config=" + ConfigDir + "/" + configFile} }

// Pod returns the pod of a process with a configuration; its ports and probes are those of the configuration. ConfigMap
// is the name of the ConfigMap that holds the configuration's text. The error is an InvalidError.
func (p Process) Pod(in component.Input, c Config, configMap string) (corev1.PodSpec, error) {
	img, err := pods.Image(in, p.Field, Image, p.Settings)
	if err != nil {
		return corev1.PodSpec{}, err
	}
	container := corev1.Container{
		Name:            p.Name,
		Image:           img,
		Args:            []string{"--config=" + ConfigDir + "/" + configFile},
		Ports:           Ports(c),
		LivenessProbe:   probe(20, 6),
		ReadinessProbe:  probe(5, 2),
		Resources:       pods.Resources(p.Settings, p.CPU, p.Memory, p.MemoryLimit),
		SecurityContext: pods.ContainerSecurity(),
		VolumeMounts:    []corev1.VolumeMount{{Name: "config", MountPath: ConfigDir, ReadOnly: true}},
	}
	if p.Start > 0 {
		container.StartupProbe = probe(startPeriod, int32(p.Start/startPeriod))
	}
	if p.Drain > 0 {
		container.Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: p.Drain}}}
	}
	if p.Data {
		container.VolumeMounts = append(container.VolumeMounts, corev1.VolumeMount{Name: pods.DataVolume, MountPath: DataDir})
	}
	container.Env = append(environment(container.Resources), p.Env...)
	pod := corev1.PodSpec{
		ServiceAccountName:            pods.ServiceAccount(in, p.Account),
		AutomountServiceAccountToken:  new(p.Token),
		SecurityContext:               pods.Security(),
		EnableServiceLinks:            new(false),
		TerminationGracePeriodSeconds: new(p.Drain + p.Grace),
		Affinity:                      pods.Spread(naming.Selector(in.KubeBot, p.Name)),
		Containers:                    []corev1.Container{container},
		Volumes: []corev1.Volume{{Name: "config", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
			LocalObjectReference: corev1.LocalObjectReference{Name: configMap},
		}}}},
	}
	pods.Place(&pod, in, p.Settings)
	return pod, nil
}

// environment names the pod, and keeps Go's memory below the limit where there is one.
func environment(r corev1.ResourceRequirements) []corev1.EnvVar {
	field := func(name, path string) corev1.EnvVar {
		return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{
			FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: path},
		}}
	}
	return append([]corev1.EnvVar{field(VariablePodIP, "status.podIP"), field(VariablePodName, "metadata.name")}, pods.GoMemory(r)...)
}

func probe(period, failures int32) *corev1.Probe {
	return &corev1.Probe{
		ProbeHandler:     corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/", Port: intstr.FromString(PortHealth)}},
		PeriodSeconds:    period,
		TimeoutSeconds:   5,
		FailureThreshold: failures,
	}
}

// Ports returns the ports on which a configuration listens, in a fixed order.
func Ports(c Config) []corev1.ContainerPort {
	var ports []corev1.ContainerPort
	add := func(name, endpoint string) {
		number, err := strconv.ParseInt(endpoint[strings.LastIndexByte(endpoint, ':')+1:], 10, 32)
		if err != nil {
			panic(fmt.Sprintf("a receiver listens on %q, which has no port", endpoint))
		}
		ports = append(ports, corev1.ContainerPort{Name: name, ContainerPort: int32(number), Protocol: corev1.ProtocolTCP})
	}
	if otlp, ok := c.Receivers[OTLPID].(OTLPReceiver); ok {
		if otlp.Protocols.GRPC != nil {
			add(PortGRPC, otlp.Protocols.GRPC.Endpoint)
		}
		if otlp.Protocols.HTTP != nil {
			add(PortHTTP, otlp.Protocols.HTTP.Endpoint)
		}
	}
	if write, ok := c.Receivers[RemoteWriteID].(RemoteWriteReceiver); ok {
		add(PortRemoteWrite, write.Endpoint)
	}
	add(PortMetrics, listen(endpoints.CollectorMetricsPort))
	if check, ok := c.Extensions[HealthCheckID].(HealthCheck); ok {
		add(PortHealth, check.Endpoint)
	}
	return ports
}

// ServicePorts returns those of a configuration's ports on which it takes data.
func ServicePorts(c Config) []corev1.ServicePort {
	var ports []corev1.ServicePort
	for _, p := range Ports(c) {
		if p.Name == PortMetrics || p.Name == PortHealth {
			continue
		}
		ports = append(ports, corev1.ServicePort{Name: p.Name, Port: p.ContainerPort, TargetPort: intstr.FromString(p.Name), Protocol: p.Protocol})
	}
	return ports
}
