package trial

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/kubebot/kubebot/internal/component"
)

// podless is how long a Job may be without a pod until that is told: its controller makes one within a second.
const podless = 15 * time.Second

// Judge tells how a Job fares that tries a configuration, from the Job and its pods.
func Judge(job *batchv1.Job, pods []corev1.Pod, now time.Time) component.Run {
	hindered := func(why string) component.Run {
		return component.Run{State: component.RunHindered, Message: why}
	}
	failed := ""
	for _, c := range job.Status.Conditions {
		if c.Status != corev1.ConditionTrue {
			continue
		}
		switch c.Type {
		case batchv1.JobComplete, batchv1.JobSuccessCriteriaMet:
			return component.Run{State: component.RunAccepted}
		case batchv1.JobFailed:
			failed = c.Reason
		}
	}
	pods = slices.Clone(pods)
	slices.SortFunc(pods, func(a, b corev1.Pod) int {
		return cmp.Or(b.CreationTimestamp.Compare(a.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	if len(pods) > 0 {
		if run := judgePod(&pods[0]); run.State != "" {
			return run
		}
	}
	switch {
	case failed == batchv1.JobReasonDeadlineExceeded:
		return hindered("the Job " + job.Name + " did not end in time, and is made anew in some minutes")
	case failed != "" && len(pods) == 0:
		return hindered("the pod of the Job " + job.Name + " is gone before it was heard, and is made anew in some minutes")
	case len(pods) == 0 && now.Sub(job.CreationTimestamp.Time) > podless:
		return hindered("no pod is made for the Job " + job.Name + ": a quota or a policy of the namespace may forbid it; kubectl -n " +
			job.Namespace + " describe job " + job.Name + " says why")
	}
	return component.Run{}
}

// judgePod returns the program's refusal, or what keeps it from running.
func judgePod(pod *corev1.Pod) component.Run {
	for _, s := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		if t := s.State.Terminated; t != nil && t.ExitCode != 0 {
			return ended(t)
		}
		if w := s.State.Waiting; w != nil {
			if missing := missingSecret(w); missing != "" {
				return component.Run{State: component.RunMissing, Message: missing}
			}
			if why := waiting(w.Reason, s.Image, pod, s.Name); why != "" {
				return component.Run{State: component.RunHindered, Message: why}
			}
		}
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse && c.Reason == corev1.PodReasonUnschedulable {
			return component.Run{State: component.RunHindered, Message: "no node can take the pod that tries it (Unschedulable)"}
		}
	}
	if pod.Status.Phase == corev1.PodFailed && pod.Status.Reason != "" {
		return component.Run{State: component.RunHindered, Message: "the pod that tries it was ended: " + pod.Status.Reason}
	}
	return component.Run{}
}

// ended tells whether a container's end is an answer of the program's.
func ended(t *corev1.ContainerStateTerminated) component.Run {
	const unrunnable, missing, signalled, killed, stopped, statuses = 126, 127, 128, 137, 143, 255
	switch {
	case t.Reason != "Error" || t.ExitCode == killed || t.ExitCode == stopped:
		return component.Run{State: component.RunHindered, Message: "the program was ended before it answered: " + cmp.Or(t.Reason, "Killed")}
	case t.ExitCode == unrunnable || t.ExitCode == missing:
		return component.Run{State: component.RunHindered,
			Message: fmt.Sprintf("the program, or a library that it needs, is missing in its image (exit code %d)", t.ExitCode)}
	case t.ExitCode > signalled && t.ExitCode < statuses: // its words are those of its start
		return component.Run{State: component.RunRefused,
			Message: fmt.Sprintf("the program crashes with it (exit code %d, signal %d)", t.ExitCode, t.ExitCode-signalled)}
	}
	return component.Run{State: component.RunRefused, Message: t.Message}
}

// How the kubelet says that a variable has no Secret (pkg/kubelet/kubelet_pods.go, makeEnvironmentVariables, and client-go's
// error of an object that is not found).
var (
	noSecret = regexp.MustCompile(`^secrets? "([-.a-z0-9]+)" not found$`)
	noKey    = regexp.MustCompile(`^couldn't find key ([-._a-zA-Z0-9]+) in Secret [-a-z0-9]+/([-.a-z0-9]+)$`)
)

// missingSecret says which Secret or key a container waits for, if it is that.
func missingSecret(w *corev1.ContainerStateWaiting) string {
	if w.Reason != "CreateContainerConfigError" {
		return ""
	}
	if m := noSecret.FindStringSubmatch(w.Message); m != nil {
		return "there is no Secret " + m[1] + ": make it with the keys that are named here"
	}
	if m := noKey.FindStringSubmatch(w.Message); m != nil {
		return "the Secret " + m[2] + " has no key " + m[1] + ": add it"
	}
	return ""
}

// waiting says why a container waits, if it is not just about to start.
func waiting(reason, image string, pod *corev1.Pod, container string) string {
	switch reason {
	case "", "PodInitializing", "ContainerCreating":
		return ""
	case "ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "RegistryUnavailable", "ImageInspectError":
		for _, c := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
			if c.Name == container {
				image = c.Image
			}
		}
		return "its image " + image + " can't be pulled"
	}
	return "its container can't start: " + reason
}
