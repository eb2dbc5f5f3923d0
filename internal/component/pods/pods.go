// Package pods gives the pods of every component their common shape: image, security, size, place. Everything here is
// pure.
package pods

import (
	"fmt"
	"maps"
	"regexp"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/naming"
)

// UID of every process of the stack: nobody.
const UID int64 = 65534

// imageReference is the grammar of an image reference: registry, path, tag, digest
// (https://github.com/distribution/reference/blob/main/reference.go).
var imageReference = regexp.MustCompile(`^([a-zA-Z0-9]([-.a-zA-Z0-9]*[a-zA-Z0-9])?(:[0-9]+)?/)?` +
	`[a-z0-9]+(([._]|__|-+)[a-z0-9]+)*(/[a-z0-9]+(([._]|__|-+)[a-z0-9]+)*)*` +
	`(:[A-Za-z0-9_][-.A-Za-z0-9_]{0,127})?(@[a-z0-9]+:[0-9a-f]{32,})?$`)

// Image returns the image of a component: the user's as it is, else ref under the user's registry. Field is the path of
// the component's settings in the KubeBot. The error is an InvalidError.
func Image(in component.Input, field, ref string, s v1alpha1.PodSettings) (string, error) {
	return imageOr(field, naming.Image(ref, in.KubeBot.Spec.Images.Registry), s)
}

// OwnImage is Image for KubeBot's own programs: they run from where the manager was pulled from, which is a mirror already
// where there is one.
func OwnImage(in component.Input, field string, s v1alpha1.PodSettings) (string, error) {
	return imageOr(field, in.Install.Image, s)
}

func imageOr(field, ref string, s v1alpha1.PodSettings) (string, error) {
	if s.Image == "" {
		return ref, nil
	}
	if !imageReference.MatchString(s.Image) {
		return "", &component.InvalidError{
			Field:   field + ".image",
			Message: fmt.Sprintf("%q is not an image reference: write it as registry/path:tag, such as %s", s.Image, ref),
		}
	}
	return s.Image, nil
}

// ServiceAccount returns the name of the ServiceAccount that the chart ships for a component.
func ServiceAccount(in component.Input, name string) string {
	return in.Install.ServiceAccountPrefix + "-" + name
}

// Security returns what Pod Security "restricted" asks of a pod. Volumes belong to the process's group.
func Security() *corev1.PodSecurityContext {
	return &corev1.PodSecurityContext{
		RunAsNonRoot:   new(true),
		RunAsUser:      new(UID),
		RunAsGroup:     new(UID),
		FSGroup:        new(UID),
		SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}
}

// ContainerSecurity returns what Pod Security "restricted" asks of a container, with a read-only root file system.
func ContainerSecurity() *corev1.SecurityContext {
	return &corev1.SecurityContext{
		AllowPrivilegeEscalation: new(false),
		ReadOnlyRootFilesystem:   new(true),
		Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
	}
}

// Resources returns the user's resources, else requests of cpu and memory and, unless it is empty, a limit of memory.
func Resources(s v1alpha1.PodSettings, cpu, memory, memoryLimit string) corev1.ResourceRequirements {
	if s.Resources != nil {
		return *s.Resources.DeepCopy()
	}
	r := corev1.ResourceRequirements{Requests: corev1.ResourceList{
		corev1.ResourceCPU:    resource.MustParse(cpu),
		corev1.ResourceMemory: resource.MustParse(memory),
	}}
	if memoryLimit != "" {
		r.Limits = corev1.ResourceList{corev1.ResourceMemory: resource.MustParse(memoryLimit)}
	}
	return r
}

// goShare is the part of the memory limit in percent that Go's collector aims at: below the hard limit of the collector's
// memory limiter, and with room for what is not Go's own, such as Grafana's plugins.
const goShare = 75

// GoMemory keeps the memory of a Go program below the limit, where there is one.
func GoMemory(r corev1.ResourceRequirements) []corev1.EnvVar {
	limit, ok := r.Limits[corev1.ResourceMemory]
	if !ok {
		return nil
	}
	return []corev1.EnvVar{{Name: "GOMEMLIMIT", Value: strconv.FormatInt(limit.Value()/100*goShare, 10)}}
}

// SecretVariable is an environment variable that holds a key of a Secret. A pod that needs it starts once the Secret is
// there.
func SecretVariable(name string, ref v1alpha1.SecretKeyRef) corev1.EnvVar {
	return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
		LocalObjectReference: corev1.LocalObjectReference{Name: ref.Name}, Key: ref.Key,
	}}}
}

// Place puts the user's settings of place and the pull secrets into a pod. No image of the stack is for Windows, so a pod that
// does not choose its nodes itself (RealNodes) runs on Linux.
func Place(spec *corev1.PodSpec, in component.Input, s v1alpha1.PodSettings) {
	spec.NodeSelector = s.NodeSelector
	if spec.Affinity == nil || spec.Affinity.NodeAffinity == nil {
		spec.NodeSelector = map[string]string{corev1.LabelOSStable: "linux"}
		maps.Copy(spec.NodeSelector, s.NodeSelector)
	}
	spec.Tolerations = append(spec.Tolerations, s.Tolerations...)
	spec.PriorityClassName = s.PriorityClassName
	spec.ImagePullSecrets = in.KubeBot.Spec.Images.PullSecrets
}

// RealNodes are those on which a DaemonSet can run: Linux, and no Fargate or virtual-kubelet, where its pods would wait
// for ever and hold up those of all other nodes. The labels are those of the default of
// https://github.com/prometheus-community/helm-charts/blob/main/charts/prometheus-node-exporter/values.yaml.
func RealNodes() *corev1.Affinity {
	return &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
		RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
			MatchExpressions: []corev1.NodeSelectorRequirement{
				{Key: corev1.LabelOSStable, Operator: corev1.NodeSelectorOpIn, Values: []string{"linux"}},
				{Key: LabelComputeType, Operator: corev1.NodeSelectorOpNotIn, Values: []string{ComputeFargate}},
				{Key: LabelNodeType, Operator: corev1.NodeSelectorOpNotIn, Values: []string{TypeVirtualKubelet}},
			},
		}}},
	}}
}

// Labels of nodes that are none, and their values.
const (
	LabelComputeType   = "eks.amazonaws.com/compute-type"
	ComputeFargate     = "fargate"
	LabelNodeType      = "type"
	TypeVirtualKubelet = "virtual-kubelet"
)

// Spread prefers a node that runs no other pod of the selector; it never keeps a pod from being scheduled.
func Spread(selector map[string]string) *corev1.Affinity {
	return &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{
		PreferredDuringSchedulingIgnoredDuringExecution: []corev1.WeightedPodAffinityTerm{{
			Weight: 100,
			PodAffinityTerm: corev1.PodAffinityTerm{
				TopologyKey:   corev1.LabelHostname,
				LabelSelector: &metav1.LabelSelector{MatchLabels: selector},
			},
		}},
	}}
}
