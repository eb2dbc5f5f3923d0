package rca

// Kind is a kind of cause.
type Kind string

// Kinds of cause.
const (
	KindCPU         Kind = "cpu"
	KindMemory      Kind = "memory"
	KindDisk        Kind = "disk"
	KindNetwork     Kind = "network"
	KindDependency  Kind = "dependency"
	KindCode        Kind = "code"
	KindConfig      Kind = "config"
	KindImage       Kind = "image"
	KindScheduling  Kind = "scheduling"
	KindQuota       Kind = "quota"
	KindCertificate Kind = "certificate"
	KindDNS         Kind = "dns"
	KindNode        Kind = "node"
	KindUnknown     Kind = "unknown"
)

// Kinds lists every kind of cause.
func Kinds() []Kind {
	return []Kind{
		KindCPU, KindMemory, KindDisk, KindNetwork, KindDependency, KindCode, KindConfig, KindImage, KindScheduling,
		KindQuota, KindCertificate, KindDNS, KindNode, KindUnknown,
	}
}

var fixes = map[Kind]string{
	KindCPU:         "Look for what burns CPU (a profile, a sidecar, a neighbour on the node); raise the CPU limit or add replicas until it is gone.",
	KindMemory:      "Look for what holds memory (a heap profile, a cache without bound); raise the memory limit or restart the pods until it is gone.",
	KindDisk:        "Free space or grow the volume; check log rotation and temporary files.",
	KindNetwork:     "Check the node's interfaces, network policies and any traffic shaping on the paths named; move the pods to another node to compare.",
	KindDependency:  "Check the dependency named: is it up, reachable and within its limits?",
	KindCode:        "Look at the code region named and at what was last deployed there; roll back if the trouble began with a rollout.",
	KindConfig:      "Compare the configuration with the last version that worked, and revert the change named.",
	KindImage:       "Check the image's name, tag, registry and pull credentials.",
	KindScheduling:  "Compare the pod's requests, selectors, affinities and tolerations with the nodes.",
	KindQuota:       "Raise the quota, or lower the requests of what runs in the namespace.",
	KindCertificate: "Renew the certificate and check what should have renewed it.",
	KindDNS:         "Check the cluster's DNS pods and the name that does not resolve.",
	KindNode:        "Check the node's conditions; cordon and drain it if they do not clear.",
	KindUnknown:     "Compare this workload's logs, traces and recent changes before and during the incident.",
}

// Fix gives what generally helps against a kind of cause.
func (k Kind) Fix() string {
	if f, ok := fixes[k]; ok {
		return f
	}
	return fixes[KindUnknown]
}
