package trial

import (
	"maps"
	"slices"
	"strconv"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/component/netpol"
	"github.com/kubebot/kubebot/internal/component/pods"
	"github.com/kubebot/kubebot/internal/naming"
)

const (
	// podComponent is what the pods of all trials are labelled with, so that none counts as one of the component's.
	podComponent = naming.ComponentTrial
	// account is the ServiceAccount that the chart ships for them.
	account = "trial"

	// deadline is how many seconds a trial may take, the pull of its image included, and again how long after its end one
	// without an answer is removed, so that it is made anew.
	deadline = 300
	again    = 300
	// patience is the deadline of a trial that may wait for a Secret: it goes on as soon as the Secret is there.
	patience = 24 * 3600

	cpu, memory, memoryLimit = "10m", "64Mi", "512Mi"
)

func (s Subject) meta(kb *v1alpha1.KubeBot, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: name, Namespace: kb.Namespace, Labels: naming.Labels(kb, s.Component)}
}

// podLabels are those of the pods of a trial.
func (s Subject) podLabels(kb *v1alpha1.KubeBot) map[string]string {
	return naming.Labels(kb, podComponent)
}

// policy closes the network to the pods of trials: they need none.
func (s Subject) policy(kb *v1alpha1.KubeBot) *networkingv1.NetworkPolicy {
	p := netpol.Policy(kb, podComponent, nil, nil)
	p.ObjectMeta = s.meta(kb, naming.Object(kb, s.Component+"-trial"))
	return p
}

// job returns the Job that tries a candidate, whose name holds the hash of all that it does, and the ConfigMap that it
// reads, of the same name.
func (s Subject) job(in component.Input, c Candidate, hash string) (string, []client.Object, error) {
	kb := in.KubeBot
	pod := s.pod(in, c)
	sum, err := naming.Hash([]any{hash, pod})
	if err != nil {
		return "", nil, err
	}
	name := naming.Bounded(naming.Object(kb, s.Component+"-trial"), 63-1-len(sum)) + "-" + sum
	pod.Volumes[0].ConfigMap.Name = name
	files := &corev1.ConfigMap{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
		ObjectMeta: s.meta(kb, name),
		Immutable:  new(true),
		Data:       map[string]string{},
	}
	maps.Copy(files.Data, c.Files)
	maps.Copy(files.Data, c.TrialFiles)
	most := int64(deadline)
	if len(c.Secrets) > 0 {
		most = patience
	}
	job := &batchv1.Job{
		TypeMeta:   metav1.TypeMeta{APIVersion: batchv1.SchemeGroupVersion.String(), Kind: "Job"},
		ObjectMeta: s.meta(kb, name),
		Spec: batchv1.JobSpec{
			BackoffLimit:            new(int32(0)),
			ActiveDeadlineSeconds:   &most,
			TTLSecondsAfterFinished: new(int32(again)),
			// A node that goes says nothing of the configuration.
			PodFailurePolicy: &batchv1.PodFailurePolicy{Rules: []batchv1.PodFailurePolicyRule{{
				Action: batchv1.PodFailurePolicyActionIgnore,
				OnPodConditions: []batchv1.PodFailurePolicyOnPodConditionsPattern{{
					Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue,
				}},
			}}},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: s.podLabels(kb)}, Spec: pod},
		},
	}
	return name, []client.Object{files, job}, nil
}

// pod runs the program with the candidate's files and with nothing else that it has where it runs: no token, no value of a
// Secret, no volume of its own. The ConfigMap of the first volume has no name yet.
func (s Subject) pod(in component.Input, c Candidate) corev1.PodSpec {
	mounts := []corev1.VolumeMount{{Name: "config", MountPath: s.Dir, ReadOnly: true}}
	volumes := []corev1.Volume{{Name: "config", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{}}}}
	for i, folder := range s.Folders {
		name := "folder-" + strconv.Itoa(i)
		mounts = append(mounts, corev1.VolumeMount{Name: name, MountPath: folder})
		volumes = append(volumes, corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{
			EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: new(resource.MustParse("64Mi"))},
		}})
	}
	var env []corev1.EnvVar
	for _, variable := range slices.Sorted(maps.Keys(s.Variables)) {
		env = append(env, corev1.EnvVar{Name: variable, Value: s.Variables[variable]})
	}
	container := func(step Step, env []corev1.EnvVar) corev1.Container {
		return corev1.Container{
			Name:                     step.Name,
			Image:                    c.Image,
			Command:                  step.Command,
			Args:                     step.Args,
			Env:                      env,
			Resources:                pods.Resources(v1alpha1.PodSettings{}, cpu, memory, memoryLimit),
			SecurityContext:          pods.ContainerSecurity(),
			VolumeMounts:             mounts,
			TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
		}
	}
	var containers []corev1.Container
	var needed []corev1.EnvVar
	for _, secret := range c.Secrets {
		needed = append(needed, pods.SecretVariable(secret.Name, secret.ValueSecret))
		env = append(env, corev1.EnvVar{Name: secret.Name, Value: StandIn})
	}
	if len(needed) > 0 { // the kubelet starts it once each Secret is there, and says which is missing
		wait := container(Step{Name: "secrets", Args: s.Idle}, needed)
		wait.VolumeMounts, wait.TerminationMessagePolicy = nil, corev1.TerminationMessageReadFile
		containers = append(containers, wait)
	}
	for _, step := range s.Steps {
		containers = append(containers, container(step, env))
	}
	last := len(containers) - 1
	pod := corev1.PodSpec{
		RestartPolicy:                 corev1.RestartPolicyNever,
		ServiceAccountName:            pods.ServiceAccount(in, account),
		AutomountServiceAccountToken:  new(false),
		SecurityContext:               pods.Security(),
		EnableServiceLinks:            new(false),
		TerminationGracePeriodSeconds: new(int64(1)),
		InitContainers:                containers[:last:last],
		Containers:                    containers[last:],
		Volumes:                       volumes,
	}
	pods.Place(&pod, in, s.Settings)
	return pod
}
