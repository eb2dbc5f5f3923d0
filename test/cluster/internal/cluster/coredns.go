package cluster

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/kubebot/kubebot/test/cluster/internal/image"
)

// corefile serves the cluster's names. Everything else does not exist: there is
// no way out to ask anybody, and a refusal would make resolvers try again. It
// has a block of its own because template comes before kubernetes in a block.
const corefile = `cluster.local:53 in-addr.arpa:53 ip6.arpa:53 {
    errors
    health {
        lameduck 5s
    }
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        pods insecure
        ttl 30
    }
    prometheus :9153
    cache 30
    reload
    loadbalance
}

.:53 {
    errors
    prometheus :9153
    template ANY ANY . {
        rcode NXDOMAIN
    }
    reload
}
`

// applied is one object and the API path under which it is applied.
type applied struct {
	path string
	obj  object
}

// coreDNS are the objects of CoreDNS, labelled and named like kubeadm's, so that
// rules and monitors find it.
func coreDNS(p Plan) []applied {
	const ns = "/api/v1/namespaces/kube-system"
	const rbac = "/apis/rbac.authorization.k8s.io/v1"
	meta := func(name string) object { return object{"name": name, "namespace": "kube-system"} }
	labelled := func(name string) object {
		m := meta(name)
		m["labels"] = object{"k8s-app": "kube-dns", "kubernetes.io/name": "CoreDNS", "kubernetes.io/cluster-service": "true"}
		return m
	}
	return []applied{
		{ns + "/serviceaccounts/coredns", object{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta("coredns")}},
		{rbac + "/clusterroles/system:coredns", object{
			"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": object{"name": "system:coredns"},
			"rules": []object{
				{"apiGroups": []string{""}, "resources": []string{"services", "pods", "namespaces"}, "verbs": []string{"list", "watch"}},
				{"apiGroups": []string{"discovery.k8s.io"}, "resources": []string{"endpointslices"}, "verbs": []string{"list", "watch"}},
			},
		}},
		{rbac + "/clusterrolebindings/system:coredns", object{
			"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": object{"name": "system:coredns"},
			"roleRef":  object{"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:coredns"},
			"subjects": []object{{"kind": "ServiceAccount", "name": "coredns", "namespace": "kube-system"}},
		}},
		{ns + "/configmaps/coredns", object{
			"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta("coredns"), "data": object{"Corefile": corefile},
		}},
		{ns + "/services/kube-dns", object{
			"apiVersion": "v1", "kind": "Service", "metadata": labelled("kube-dns"),
			"spec": object{
				"clusterIP": p.DNSIP(), "selector": object{"k8s-app": "kube-dns"},
				"ports": []object{
					{"name": "dns", "port": 53, "protocol": "UDP", "targetPort": 53},
					{"name": "dns-tcp", "port": 53, "protocol": "TCP", "targetPort": 53},
					{"name": "metrics", "port": 9153, "protocol": "TCP", "targetPort": 9153},
				},
			},
		}},
		{"/apis/apps/v1/namespaces/kube-system/deployments/coredns", object{
			"apiVersion": "apps/v1", "kind": "Deployment", "metadata": labelled("coredns"),
			"spec": object{
				"replicas": 1,
				"selector": object{"matchLabels": object{"k8s-app": "kube-dns"}},
				"template": object{
					"metadata": object{"labels": object{"k8s-app": "kube-dns"}},
					"spec":     coreDNSPod(),
				},
			},
		}},
	}
}

func coreDNSPod() object {
	probe := func(path string, port, period int) object {
		return object{"httpGet": object{"path": path, "port": port}, "periodSeconds": period, "failureThreshold": 5}
	}
	return object{
		"priorityClassName":  "system-cluster-critical",
		"serviceAccountName": "coredns",
		"dnsPolicy":          "Default",
		"tolerations": []object{
			{"key": "CriticalAddonsOnly", "operator": "Exists"}, {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"},
		},
		"containers": []object{{
			"name": "coredns", "image": image.CoreDNSRef, "imagePullPolicy": "IfNotPresent",
			"args":      []string{"-conf", "/etc/coredns/Corefile"},
			"resources": object{"limits": object{"memory": "170Mi"}, "requests": object{"cpu": "50m", "memory": "70Mi"}},
			"ports": []object{
				{"name": "dns", "containerPort": 53, "protocol": "UDP"},
				{"name": "dns-tcp", "containerPort": 53, "protocol": "TCP"},
				{"name": "metrics", "containerPort": 9153, "protocol": "TCP"},
			},
			"livenessProbe":  probe("/health", 8080, 10),
			"readinessProbe": probe("/ready", 8181, 2),
			"securityContext": object{
				"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
				"capabilities": object{"add": []string{"NET_BIND_SERVICE"}, "drop": []string{"ALL"}},
			},
			"volumeMounts": []object{{"name": "config", "mountPath": "/etc/coredns", "readOnly": true}},
		}},
		"volumes": []object{{"name": "config", "configMap": object{"name": "coredns"}}},
	}
}

// LookupCommand is the hidden subcommand that asks the cluster's name server
// from inside the namespace.
const LookupCommand = "internal-lookup"

// Lookup asks the name server at an address for a name.
func Lookup(server, name string) error {
	resolver := net.Resolver{
		PreferGo: true,
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, network, net.JoinHostPort(server, "53"))
		},
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if _, err := resolver.LookupHost(ctx, name); err != nil {
		return fmt.Errorf("look up %s: %w", name, err)
	}
	return nil
}
