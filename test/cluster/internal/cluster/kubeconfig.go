package cluster

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
)

// writeKubeconfigs writes one kubeconfig per client: the daemons', and the
// administrator's for the machine and for inside the namespace.
func writeKubeconfigs(p Plan, hostPort int) error {
	host := fmt.Sprintf("https://127.0.0.1:%d", hostPort)
	for file, client := range map[string]struct{ url, cert string }{
		p.Kubeconfig():                          {host, "admin"},
		p.InsideKubeconfig():                    {p.InsideURL(), "admin"},
		p.Path("kubelet.kubeconfig"):            {p.InsideURL(), "kubelet"},
		p.Path("controller-manager.kubeconfig"): {p.InsideURL(), "controller-manager"},
		p.Path("scheduler.kubeconfig"):          {p.InsideURL(), "scheduler"},
		p.Path("kube-proxy.kubeconfig"):         {p.InsideURL(), "kube-proxy"},
	} {
		if err := writeKubeconfig(p, file, client.url, client.cert); err != nil {
			return err
		}
	}
	return nil
}

// writeKubeconfig embeds the certificates, so that the file can be copied.
func writeKubeconfig(p Plan, file, url, cert string) error {
	var read [3]string
	for i, name := range []string{"ca.crt", cert + ".crt", cert + ".key"} {
		data, err := os.ReadFile(p.Path("pki", name))
		if err != nil {
			return fmt.Errorf("write %s: %w", file, err)
		}
		read[i] = base64.StdEncoding.EncodeToString(data)
	}
	name := "kubebot-" + p.Name
	// JSON is YAML, and every Kubernetes client reads it.
	data, err := json.MarshalIndent(map[string]any{
		"apiVersion": "v1", "kind": "Config", "current-context": name,
		"clusters": []any{map[string]any{"name": name, "cluster": map[string]any{
			"server": url, "certificate-authority-data": read[0],
		}}},
		"users": []any{map[string]any{"name": name, "user": map[string]any{
			"client-certificate-data": read[1], "client-key-data": read[2],
		}}},
		"contexts": []any{map[string]any{"name": name, "context": map[string]any{
			"cluster": name, "user": name,
		}}},
	}, "", "  ")
	if err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	if err := os.WriteFile(file, data, 0o600); err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	return nil
}
