//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/internal/credentials"
	"github.com/kubebot/kubebot/test/stack"
)

// TestPlantedSecretsAppearNowhere looks for the run's secrets in everything that people and programs without the right
// to read Secrets can see. It names a secret and the place, and never prints either's text.
func TestPlantedSecretsAppearNowhere(t *testing.T) {
	ctx := contextOf(t, 10*time.Minute)
	secrets := plantedSecrets(t, ctx)
	places := 0
	look := func(where string, text []byte) {
		places++
		for name, value := range secrets {
			if bytes.Contains(text, []byte(value)) || bytes.Contains(text, []byte(base64.StdEncoding.EncodeToString([]byte(value)))) {
				t.Errorf("%s is in %s", name, where)
			}
		}
	}
	lookInLogs(t, ctx, look)
	for _, kinds := range []string{
		"kubebots,incidents", "events", "events.events.k8s.io", "configmaps", "pods,deployments,statefulsets,daemonsets,services,leases",
		"prometheuses,alertmanagers,prometheusrules", "networkpolicies,endpointslices",
	} {
		out, err := cluster.Kubectl(ctx, "get", kinds, "-A", "-o", "yaml", "--show-managed-fields")
		must(t, err)
		look(kinds, []byte(out))
	}
	for _, at := range []struct{ service, path string }{
		{"main-prometheus:9090", "api/v1/status/config"}, {"main-prometheus:9090", "api/v1/targets"},
		{"main-prometheus:9090", "api/v1/rules"}, {"main-prometheus:9090", "api/v1/alerts"}, {"main-prometheus:9090", "api/v1/status/flags"},
		{"main-alertmanager:9093", "api/v2/status"}, {"main-alertmanager:9093", "api/v2/alerts"},
		{"main-alertmanager:9093", "metrics"}, {"main-prometheus:9090", "metrics"}, {"main-responder:8080", "metrics"},
	} {
		out, err := cluster.ServiceGet(ctx, stack.Namespace, at.service, at.path, nil)
		must(t, err)
		look(at.service+"/"+at.path, out)
	}
	if !stack.Existing() {
		out, err := os.ReadFile(cluster.AuditLog())
		must(t, err)
		look("the audit log", out)
	}
	t.Logf("%d secrets, %d places", len(secrets), places)
}

// plantedSecrets are the secrets of the run by a name that may be printed.
func plantedSecrets(t *testing.T, ctx context.Context) map[string]string {
	t.Helper()
	secrets := map[string]string{"the Slack token": stack.SlackToken, "the webhook's signing key": stack.SigningKey}
	var generated corev1.Secret
	must(t, cluster.Client.Get(ctx, key(stack.Namespace, "main-credentials"), &generated))
	for k, v := range generated.Data {
		switch k {
		case credentials.KeyKey, credentials.KeyNextKey:
			// A line from the middle of the key, as an encoder may break the text at lines.
			lines := bytes.Split(bytes.TrimSpace(v), []byte("\n"))
			if len(lines) < 3 {
				t.Fatalf("%s of the generated Secret is no PEM", k)
			}
			secrets[k+" of the generated Secret"] = string(lines[len(lines)/2])
		case credentials.KeyToken, credentials.KeyTokenPrevious:
			if len(v) > 0 {
				secrets[k+" of the generated Secret"] = string(v)
			}
		}
	}
	if len(secrets) < 4 {
		t.Fatalf("%d secrets: the generated ones are not all there", len(secrets))
	}
	return secrets
}

// lookInLogs reads all logs of KubeBot's namespaces, those of ended containers included, and the metrics of the manager.
func lookInLogs(t *testing.T, ctx context.Context, look func(string, []byte)) {
	t.Helper()
	for _, namespace := range []string{stack.Namespace, "kubebot-nodes"} {
		var pods corev1.PodList
		must(t, cluster.Client.List(ctx, &pods, client.InNamespace(namespace)))
		for _, pod := range pods.Items {
			for _, status := range append(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses...) {
				for _, previous := range []bool{false, true} {
					if previous && status.RestartCount == 0 {
						continue
					}
					out, err := cluster.Kube.CoreV1().Pods(namespace).GetLogs(pod.Name, &corev1.PodLogOptions{Container: status.Name, Previous: previous}).DoRaw(ctx)
					if err != nil {
						t.Logf("no log of %s/%s (previous: %v): %v", pod.Name, status.Name, previous, err)
						continue
					}
					look(fmt.Sprintf("the log of %s/%s %s (previous: %v)", namespace, pod.Name, status.Name, previous), out)
				}
			}
			if pod.Labels["app.kubernetes.io/name"] == "kubebot-manager" {
				out, err := cluster.Kube.CoreV1().RESTClient().Get().Namespace(namespace).Resource("pods").Name(pod.Name + ":8080").
					SubResource("proxy").Suffix("metrics").DoRaw(ctx)
				must(t, err)
				look("the metrics of "+pod.Name, out)
			}
		}
	}
}
