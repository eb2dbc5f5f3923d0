package stack

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/kubebot/kubebot/test/grafana"
)

// What the Grafana of the tests is started with.
const (
	GrafanaNamespace = "outside-grafana"
	GrafanaURL       = "http://grafana.outside-grafana.svc:3000"
	GrafanaToken     = "glsa_demo-token-of-a-service-account"
)

// DeployGrafana starts the server that behaves as Grafana documents its API, as an outside one, and the Secret
// "outside-grafana" with its token. It builds the server's image for a local cluster.
func (c *Cluster) DeployGrafana(ctx context.Context) error {
	bin := filepath.Join(c.Root, "bin")
	build := c.command(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(bin, "grafana-server"), "./test/grafana/cmd/grafana-server")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if _, err := c.output(build); err != nil {
		return err
	}
	tar := filepath.Join(bin, "grafana-server-image.tar")
	if _, err := c.run(ctx, "kubebot-cluster", "image", "build", "--ref", "ghcr.io/kubebot/grafana-server:"+Version,
		"--binary", filepath.Join(bin, "grafana-server"), "--entrypoint", "/grafana-server", "--user", "65534", "-o", tar); err != nil {
		return err
	}
	if _, err := c.run(ctx, "kubebot-cluster", "load", "--name", c.Name, tar); err != nil {
		return err
	}
	if err := c.CreateNamespace(ctx, GrafanaNamespace); err != nil {
		return err
	}
	if err := c.Apply(ctx, fmt.Sprintf(grafanaManifest, GrafanaToken, Version, Namespace)); err != nil {
		return err
	}
	return Eventually(ctx, 4*time.Minute, time.Second, func(ctx context.Context) error {
		return c.GrafanaAsPerson(ctx, "GET", "api/health", nil, nil)
	})
}

// LoadGrafana gives the cluster the image of the real Grafana from a tarball of it.
func (c *Cluster) LoadGrafana(ctx context.Context, path string) error {
	_, err := c.run(ctx, "kubebot-cluster", "load", "--name", c.Name, path)
	return err
}

// GrafanaAsPerson calls Grafana's API as a person with the role Admin. A body that is nil sends none; into that is nil
// takes no answer.
func (c *Cluster) GrafanaAsPerson(ctx context.Context, verb, path string, body, into any) error {
	r := c.Kube.CoreV1().RESTClient().Verb(verb).Namespace(GrafanaNamespace).Resource("services").Name("grafana:3001").
		SubResource("proxy").Suffix(path).SetHeader("Content-Type", "application/json")
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("encode the body: %w", err)
		}
		r = r.Body(data)
	}
	data, err := r.DoRaw(ctx)
	if err != nil {
		return fmt.Errorf("%s %s at Grafana: %w", verb, path, err)
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("read Grafana's answer to %s %s: %w", verb, path, err)
	}
	return nil
}

// GrafanaWrites returns the calls of KubeBot that were to change something.
func (c *Cluster) GrafanaWrites(ctx context.Context) ([]grafana.Call, error) {
	var all, own []grafana.Call
	if err := c.GrafanaAsPerson(ctx, "GET", "calls", nil, &all); err != nil {
		return nil, err
	}
	for _, call := range all {
		if call.User != "person" {
			own = append(own, call)
		}
	}
	return own, nil
}

const grafanaManifest = `apiVersion: v1
kind: Secret
metadata: {name: grafana-server, namespace: outside-grafana}
stringData: {token: %[1]s}
---
apiVersion: v1
kind: Secret
metadata: {name: outside-grafana, namespace: %[3]s}
stringData: {token: %[1]s}
---
apiVersion: v1
kind: Service
metadata: {name: grafana, namespace: outside-grafana}
spec:
  selector: {app.kubernetes.io/name: grafana-server}
  ports:
  - {name: api, port: 3000}
  - {name: person, port: 3001}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: grafana-server, namespace: outside-grafana}
spec:
  replicas: 1
  strategy: {type: Recreate}
  selector: {matchLabels: {app.kubernetes.io/name: grafana-server}}
  template:
    metadata: {labels: {app.kubernetes.io/name: grafana-server}}
    spec:
      automountServiceAccountToken: false
      securityContext: {runAsNonRoot: true, runAsUser: 65534, seccompProfile: {type: RuntimeDefault}}
      containers:
      - name: grafana-server
        image: ghcr.io/kubebot/grafana-server:%[2]s
        imagePullPolicy: IfNotPresent
        env:
        - {name: GRAFANA_TOKEN, valueFrom: {secretKeyRef: {name: grafana-server, key: token}}}
        readinessProbe: {httpGet: {path: /api/health, port: 3000}, periodSeconds: 2}
        resources: {requests: {cpu: 5m, memory: 16Mi}, limits: {memory: 128Mi}}
        securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
`
