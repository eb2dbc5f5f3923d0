package alert

// Names of the alerts of the responder's own watch, those of the default rules wherever there is one for the same trouble.
const (
	// PodCrashed: a container ended with an error once; it may heal itself.
	PodCrashed = "PodCrashed"
	// PodCrashLooping: a container ends with errors again and again.
	PodCrashLooping = "PodCrashLooping"
	// ImagePullFailed: an image can't be pulled.
	ImagePullFailed = "ImagePullFailed"
	// ContainerConfigError: a container can't be created or started.
	ContainerConfigError = "ContainerConfigError"
	// OOMKilled: a container was killed for its memory.
	OOMKilled = "OOMKilled"
	// PodUnschedulable: no node takes a pod.
	PodUnschedulable = "PodUnschedulable"
	// JobFailed: a Job failed for good.
	JobFailed = "JobFailed"
	// RolloutStuck: a Deployment's rollout exceeded its deadline.
	RolloutStuck = "RolloutStuck"
	// VolumeMountFailed: a volume can't be mounted or attached.
	VolumeMountFailed = "VolumeMountFailed"
	// PodCreateFailed: pods can't be created, for example for a quota.
	PodCreateFailed = "PodCreateFailed"
	// PodSandboxFailed: the pod's sandbox or network can't be made.
	PodSandboxFailed = "PodSandboxFailed"
	// PodEvicted: the kubelet ended pods that took more than their limit of disk, or for which the node had no room.
	PodEvicted = "PodEvicted"
	// NodeNotReady: a node that is not cordoned is not ready.
	NodeNotReady = "NodeNotReady"
	// NodePressure: a node lacks memory, disk or process IDs.
	NodePressure = "NodePressure"
)

// Watched returns the names of all alerts of the responder's own watch.
func Watched() []string {
	return []string{
		PodCrashed, PodCrashLooping, ImagePullFailed, ContainerConfigError, OOMKilled,
		PodUnschedulable, JobFailed, RolloutStuck, VolumeMountFailed, PodCreateFailed,
		PodSandboxFailed, PodEvicted, NodeNotReady, NodePressure,
	}
}
