// Package cluster starts and ends a one-node Kubernetes cluster on this
// machine: real programs in a network namespace that has no way out.
package cluster

import (
	"fmt"
	"path/filepath"
	"regexp"
)

// maxClusters bounds the clusters side by side: one index each, from which
// their address ranges are made.
const maxClusters = 50

// apiPort is where the API server listens inside the namespace.
const apiPort = 6443

// hostPortBase plus the index is the first port that the forwarder tries on
// the machine's loopback.
const hostPortBase = 16443

var validName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,18}[a-z0-9])?$`)

// Plan is what follows from a cluster's name and index alone.
type Plan struct {
	Name  string
	Index int
	// Base is the folder of all clusters' states.
	Base string
}

// CheckName refuses names that cannot be part of a socket path, a cgroup and a
// node's name.
func CheckName(name string) error {
	if !validName.MatchString(name) {
		return fmt.Errorf("cluster name %q: use at most 20 small letters, digits and dashes, with no dash at either end", name)
	}
	return nil
}

// Dir is the folder that holds everything of the cluster.
func (p Plan) Dir() string { return filepath.Join(p.Base, p.Name) }

// Path is a file or folder in the cluster's folder.
func (p Plan) Path(parts ...string) string {
	return filepath.Join(append([]string{p.Dir()}, parts...)...)
}

// NetnsName is the network namespace as ip netns knows it.
func (p Plan) NetnsName() string { return "kubebot-" + p.Name }

// Netns is the file of the network namespace.
func (p Plan) Netns() string { return filepath.Join("/run/netns", p.NetnsName()) }

// Cgroup is the group of all processes of the cluster, pods included.
func (p Plan) Cgroup() string { return "/kubebot-" + p.Name }

// SystemCgroup is the group of what is not a pod.
func (p Plan) SystemCgroup() string { return p.Cgroup() + "/system" }

// NodeName is the name of the one node.
func (p Plan) NodeName() string { return "kubebot-" + p.Name }

// NodeIP is the node's address.
func (p Plan) NodeIP() string { return fmt.Sprintf("10.90.%d.1", p.Index) }

// PodCIDR is the range of pod addresses.
func (p Plan) PodCIDR() string { return fmt.Sprintf("10.%d.0.0/16", 100+p.Index) }

// NodePodCIDR is the part of PodCIDR on the one node.
func (p Plan) NodePodCIDR() string { return fmt.Sprintf("10.%d.0.0/24", 100+p.Index) }

// ServiceCIDR is the range of Service addresses.
func (p Plan) ServiceCIDR() string { return fmt.Sprintf("10.%d.0.0/16", 150+p.Index) }

// ServiceIP is the address of the Service kubernetes.
func (p Plan) ServiceIP() string { return fmt.Sprintf("10.%d.0.1", 150+p.Index) }

// DNSIP is the address of the Service kube-dns.
func (p Plan) DNSIP() string { return fmt.Sprintf("10.%d.0.10", 150+p.Index) }

// InsideURL is the API server's address inside the namespace.
func (p Plan) InsideURL() string { return fmt.Sprintf("https://%s:%d", p.NodeIP(), apiPort) }

// Containerd is containerd's socket. The cluster sees its folder as
// /run/containerd, where cAdvisor looks for it: without it the figures of
// containers have no names.
func (p Plan) Containerd() string { return p.Path("run-containerd", "containerd.sock") }

// Kubeconfig is the administrator's kubeconfig for use on the machine.
func (p Plan) Kubeconfig() string { return p.Path("kubeconfig") }

// InsideKubeconfig is the same for use inside the namespace.
func (p Plan) InsideKubeconfig() string { return p.Path("kubeconfig-inside") }
