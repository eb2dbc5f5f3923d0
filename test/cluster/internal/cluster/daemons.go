package cluster

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// programs are what a cluster runs, with the component that builds each.
var programs = map[string]string{
	"etcd":                    "etcd",
	"kube-apiserver":          "kubernetes",
	"kube-controller-manager": "kubernetes",
	"kube-scheduler":          "kubernetes",
	"kube-proxy":              "kubernetes",
	"kubelet":                 "kubernetes",
	"containerd":              "containerd",
	"containerd-shim-runc-v2": "containerd",
	"ctr":                     "containerd",
	"runc":                    "runc",
	"ptp":                     "cni-plugins",
	"loopback":                "cni-plugins",
	"host-local":              "cni-plugins",
	"portmap":                 "cni-plugins",
	"pause":                   "pause",
	"coredns":                 "coredns",
}

// tools are programs of the machine, with the Debian package of each.
var tools = map[string]string{
	"ip": "iproute2", "iptables": "iptables", "conntrack": "conntrack", "losetup": "mount", "mount": "mount",
}

// CacheDir is where test/components/build puts programs.
func CacheDir() (string, error) {
	if dir := os.Getenv("KUBEBOT_CACHE"); dir != "" {
		return dir, nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache of programs: %w", err)
	}
	return filepath.Join(dir, "kubebot"), nil
}

// FindProgram gives the folder that holds a program. Links are resolved, so
// that a running cluster keeps its programs when newer ones are built.
func FindProgram(name, component string) (string, error) {
	cache, err := CacheDir()
	if err != nil {
		return "", err
	}
	file, err := filepath.EvalSymlinks(filepath.Join(cache, "bin", name))
	if err != nil {
		return "", fmt.Errorf("%s is not built: run test/components/build %s (%w)", name, component, err)
	}
	return filepath.Dir(file), nil
}

func findPrograms() (map[string]string, error) {
	bin := map[string]string{}
	for name, component := range programs {
		dir, err := FindProgram(name, component)
		if err != nil {
			return nil, err
		}
		bin[name] = dir
	}
	// The CNI programs are looked for in one folder.
	for _, name := range []string{"loopback", "host-local", "portmap"} {
		if bin[name] != bin["ptp"] {
			return nil, fmt.Errorf("%s and ptp are of different builds: run test/components/build cni-plugins", name)
		}
	}
	return bin, nil
}

// daemonArgs gives the command line of each program that runs all the time.
func daemonArgs(p Plan, auditLog string, bin map[string]string) map[string][]string {
	return map[string][]string{
		"etcd":                    etcdArgs(p, bin),
		"kube-apiserver":          apiserverArgs(p, auditLog, bin),
		"kube-controller-manager": controllerManagerArgs(p, bin),
		"kube-scheduler":          schedulerArgs(p, bin),
		"containerd":              {bin["containerd"] + "/containerd", "--config=" + p.Path("containerd.toml")},
		"kubelet": {
			bin["kubelet"] + "/kubelet",
			"--config=" + p.Path("kubelet.json"),
			"--kubeconfig=" + p.Path("kubelet.kubeconfig"),
			"--node-ip=" + p.NodeIP(),
			"--hostname-override=" + p.NodeName(),
		},
		"kube-proxy": {
			bin["kube-proxy"] + "/kube-proxy",
			"--config=" + p.Path("kube-proxy.json"),
			"--hostname-override=" + p.NodeName(),
		},
	}
}

func etcdArgs(p Plan, bin map[string]string) []string {
	client, peer := "https://127.0.0.1:2379", "http://127.0.0.1:2380"
	return []string{
		bin["etcd"] + "/etcd",
		"--name=" + p.NodeName(), "--data-dir=" + p.Path("etcd"),
		"--listen-client-urls=" + client, "--advertise-client-urls=" + client,
		"--listen-peer-urls=" + peer, "--initial-advertise-peer-urls=" + peer,
		"--initial-cluster=" + p.NodeName() + "=" + peer,
		"--cert-file=" + p.Path("pki/etcd.crt"), "--key-file=" + p.Path("pki/etcd.key"),
		"--client-cert-auth", "--trusted-ca-file=" + p.Path("pki/ca.crt"),
		// The data does not outlive the machine's next start anyway.
		"--unsafe-no-fsync",
		"--log-level=warn",
	}
}

func apiserverArgs(p Plan, auditLog string, bin map[string]string) []string {
	pki := func(name string) string { return p.Path("pki", name) }
	return []string{
		bin["kube-apiserver"] + "/kube-apiserver",
		"--advertise-address=" + p.NodeIP(),
		fmt.Sprintf("--secure-port=%d", apiPort),
		"--allow-privileged=true",
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction",
		"--enable-aggregator-routing=true",
		"--client-ca-file=" + pki("ca.crt"),
		"--tls-cert-file=" + pki("apiserver.crt"), "--tls-private-key-file=" + pki("apiserver.key"),
		"--etcd-servers=https://127.0.0.1:2379",
		"--etcd-cafile=" + pki("ca.crt"),
		"--etcd-certfile=" + pki("apiserver-etcd.crt"), "--etcd-keyfile=" + pki("apiserver-etcd.key"),
		"--kubelet-preferred-address-types=InternalIP",
		"--kubelet-certificate-authority=" + pki("ca.crt"),
		"--kubelet-client-certificate=" + pki("apiserver-kubelet.crt"),
		"--kubelet-client-key=" + pki("apiserver-kubelet.key"),
		"--proxy-client-cert-file=" + pki("front-proxy-client.crt"),
		"--proxy-client-key-file=" + pki("front-proxy-client.key"),
		"--requestheader-client-ca-file=" + pki("front-proxy-ca.crt"),
		"--requestheader-allowed-names=front-proxy-client",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-username-headers=X-Remote-User",
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=" + pki("sa.pub"),
		"--service-account-signing-key-file=" + pki("sa.key"),
		"--service-cluster-ip-range=" + p.ServiceCIDR(),
		"--audit-policy-file=" + p.Path("audit-policy.json"),
		"--audit-log-path=" + auditLog,
	}
}

func controllerManagerArgs(p Plan, bin map[string]string) []string {
	kubeconfig := p.Path("controller-manager.kubeconfig")
	return []string{
		bin["kube-controller-manager"] + "/kube-controller-manager",
		"--kubeconfig=" + kubeconfig,
		"--authentication-kubeconfig=" + kubeconfig, "--authorization-kubeconfig=" + kubeconfig,
		"--client-ca-file=" + p.Path("pki/ca.crt"),
		"--requestheader-client-ca-file=" + p.Path("pki/front-proxy-ca.crt"),
		"--allocate-node-cidrs=true",
		"--cluster-cidr=" + p.PodCIDR(),
		"--service-cluster-ip-range=" + p.ServiceCIDR(),
		"--cluster-name=" + p.NodeName(),
		"--root-ca-file=" + p.Path("pki/ca.crt"),
		"--cluster-signing-cert-file=" + p.Path("pki/ca.crt"), "--cluster-signing-key-file=" + p.Path("pki/ca.key"),
		"--service-account-private-key-file=" + p.Path("pki/sa.key"),
		"--use-service-account-credentials=true",
		"--flex-volume-plugin-dir=" + p.Path("volume-plugins"),
		// At its default pace it starts its controllers over several seconds.
		"--kube-api-qps=200", "--kube-api-burst=400",
		// Alone, and ended for good when it lost its lease in a pause of the API server.
		"--leader-elect=false",
	}
}

func schedulerArgs(p Plan, bin map[string]string) []string {
	kubeconfig := p.Path("scheduler.kubeconfig")
	return []string{
		bin["kube-scheduler"] + "/kube-scheduler",
		"--kubeconfig=" + kubeconfig,
		"--authentication-kubeconfig=" + kubeconfig, "--authorization-kubeconfig=" + kubeconfig,
		"--client-ca-file=" + p.Path("pki/ca.crt"),
		"--requestheader-client-ca-file=" + p.Path("pki/front-proxy-ca.crt"),
		"--leader-elect=false",
	}
}

// daemonPath is the PATH of the daemons: their own programs first, the machine's
// tools after.
func daemonPath(bin map[string]string) string {
	return strings.Join([]string{bin["containerd"], bin["runc"], "/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"}, ":")
}
