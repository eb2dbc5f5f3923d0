package cluster

import (
	"encoding/json"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/kubebot/kubebot/test/cluster/internal/host"
	"github.com/kubebot/kubebot/test/cluster/internal/image"
)

// machine is what was detected and decides between settings.
type machine struct {
	cgroups host.Cgroups
	// mayRaiseOOM is the capability SYS_RESOURCE: without it no process may
	// make itself less likely to be killed than its parent.
	mayRaiseOOM bool
	overlay     bool
}

func detect(dir string) (machine, error) {
	cgroups, err := host.DetectCgroups()
	if err != nil {
		return machine{}, err
	}
	raise, err := host.HasCapability(unix.CAP_SYS_RESOURCE)
	if err != nil {
		return machine{}, err
	}
	return machine{cgroups: cgroups, mayRaiseOOM: raise, overlay: host.OverlayWorks(dir)}, nil
}

type object = map[string]any

// writeConfigs writes the configuration files of every program.
func writeConfigs(p Plan, o Options, m machine, bin map[string]string) error {
	for file, content := range map[string]object{
		"kubelet.json":               kubeletConfig(p, o, m),
		"kube-proxy.json":            proxyConfig(p, m),
		"audit-policy.json":          auditPolicy(),
		"cni/net.d/10-pods.conflist": cniConfig(p),
	} {
		data, err := json.MarshalIndent(content, "", "  ")
		if err != nil {
			return fmt.Errorf("encode %s: %w", file, err)
		}
		if err := writeFile(p.Path(file), data); err != nil {
			return err
		}
	}
	if err := writeFile(p.Path("resolv.conf"), nil); err != nil {
		return err
	}
	return writeFile(p.Path("containerd.toml"), []byte(containerdConfig(p, m, bin)))
}

func writeFile(file string, data []byte) error {
	if err := os.WriteFile(file, data, 0o600); err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	return nil
}

func kubeletConfig(p Plan, o Options, m machine) object {
	config := object{
		"apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
		"authentication": object{
			"anonymous": object{"enabled": false},
			"webhook":   object{"enabled": true},
			"x509":      object{"clientCAFile": p.Path("pki/ca.crt")},
		},
		"authorization":     object{"mode": "Webhook"},
		"tlsCertFile":       p.Path("pki/kubelet-server.crt"),
		"tlsPrivateKeyFile": p.Path("pki/kubelet-server.key"),
		"cgroupDriver":      "cgroupfs",
		"cgroupRoot":        p.Cgroup(),
		"failCgroupV1":      false,
		"failSwapOn":        false,
		"clusterDNS":        []string{p.DNSIP()},
		"clusterDomain":     "cluster.local",
		"resolvConf":        p.Path("resolv.conf"),
		// Without it cAdvisor collects no filesystem figures and eviction fails.
		"localStorageCapacityIsolation": true,
		"containerRuntimeEndpoint":      "unix://" + p.Containerd(),
		"imageServiceEndpoint":          "unix://" + p.Containerd(),
		// Loaded images can't be pulled again: never collect them.
		"imageGCHighThresholdPercent": 100,
		"serializeImagePulls":         false,
		// The disk is shared with whatever else this machine does.
		"evictionHard": object{
			"memory.available": "100Mi", "nodefs.available": "1Gi", "imagefs.available": "1Gi", "nodefs.inodesFree": "1%",
		},
		"volumePluginDir": p.Path("volume-plugins"),
	}
	if !m.mayRaiseOOM {
		config["oomScoreAdj"] = 0
	}
	if o.SyncFrequency > 0 {
		config["syncFrequency"] = o.SyncFrequency.String()
	}
	if o.RestartMax > 0 {
		config["crashLoopBackOff"] = object{"maxContainerRestartPeriod": o.RestartMax.String()}
	}
	return config
}

func proxyConfig(p Plan, m machine) object {
	config := object{
		"apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration",
		"clientConnection": object{"kubeconfig": p.Path("kube-proxy.kubeconfig")},
		"mode":             "iptables",
		"clusterCIDR":      p.PodCIDR(),
		// The machine's table is not ours to size, and can't be from here.
		"conntrack": object{"maxPerCore": 0, "min": 0},
	}
	if !m.mayRaiseOOM {
		config["oomScoreAdj"] = 0
	}
	return config
}

// auditPolicy records every request once, answered, without its content.
func auditPolicy() object {
	return object{
		"apiVersion": "audit.k8s.io/v1", "kind": "Policy",
		"omitStages": []string{"RequestReceived"},
		"rules":      []object{{"level": "Metadata"}},
	}
}

// cniConfig gives each pod a point-to-point link: traffic between pods is
// routed, so connection tracking sees all of it and Services work on kernels
// without br_netfilter too.
func cniConfig(p Plan) object {
	return object{
		"cniVersion": "1.0.0", "name": "pods",
		"plugins": []object{
			{
				"type": "ptp", "ipMasq": false,
				"ipam": object{
					"type": "host-local", "dataDir": p.Path("cni/addresses"),
					"ranges": [][]object{{{"subnet": p.NodePodCIDR()}}},
					"routes": []object{{"dst": "0.0.0.0/0"}},
				},
			},
			{"type": "portmap", "capabilities": object{"portMappings": true}, "backend": "iptables"},
		},
	}
}

func containerdConfig(p Plan, m machine, bin map[string]string) string {
	snapshotter := "native"
	if m.overlay {
		snapshotter = "overlayfs"
	}
	return fmt.Sprintf(`version = 3
root = %q
state = %q

[grpc]
  address = %q

[plugins."io.containerd.internal.v1.opt"]
  path = %q

[plugins."io.containerd.nri.v1.nri"]
  disable = true

[plugins."io.containerd.cri.v1.images"]
  snapshotter = %q
  [plugins."io.containerd.cri.v1.images".pinned_images]
    sandbox = %q

[plugins."io.containerd.cri.v1.runtime"]
  restrict_oom_score_adj = %t
  netns_mounts_under_state_dir = true
  tolerate_missing_hugetlb_controller = true
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = [%q]
    conf_dir = %q
  [plugins."io.containerd.cri.v1.runtime".containerd]
    default_runtime_name = "runc"
    [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
        BinaryName = %q
        SystemdCgroup = false
`, p.Path("containerd"), p.Path("run"), p.Containerd(), p.Path("opt"), snapshotter, image.PauseRef, !m.mayRaiseOOM,
		bin["ptp"], p.Path("cni/net.d"), bin["runc"]+"/runc")
}
