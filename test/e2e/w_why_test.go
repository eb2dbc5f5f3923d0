//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"

	"github.com/kubebot/kubebot/internal/cmd/why"
	"github.com/kubebot/kubebot/internal/diagnosis"
	"github.com/kubebot/kubebot/internal/testutil/tree"
	"github.com/kubebot/kubebot/test/stack"
)

const whyNamespace = "why"

// fault is a Deployment in trouble: what its container and pod have beside a healthy one's.
type fault struct {
	name, container, pod string
	// more is added to the manifest.
	more string
	// want is the first sentence.
	want string
	// replace gives the words of the commands that only a user can know.
	replace []string
	// unmended faults have no command that mends them by itself.
	unmended bool
	replicas int
}

var faults = []fault{
	{name: "noconfig", container: `volumeMounts: [{name: config, mountPath: /etc/app}]`, pod: `volumes: [{name: config, configMap: {name: app-config}}]`,
		want: "ConfigMap app-config does not exist in namespace why; Deployment noconfig mounts it as volume config", replace: []string{"--from-file=FOLDER", "--from-literal=a=b"}},
	{name: "nokey", container: `env: [{name: LOG_LEVEL, valueFrom: {configMapKeyRef: {name: levels, key: loglevel}}}]`,
		more: "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: levels, namespace: why}\ndata: {log-level: INFO}\n",
		want: "ConfigMap levels in namespace why has no key loglevel; Deployment nokey sets LOG_LEVEL of container app from it"},
	{name: "nosecret", container: `env: [{name: DB_PASSWORD, valueFrom: {secretKeyRef: {name: db-login, key: password}}}]`,
		want: "Secret db-login does not exist in namespace why; Deployment nosecret sets DB_PASSWORD of container app from it", replace: []string{"VALUE", "x"}},
	{name: "badimage", container: `image: "ghcr.io/KubeBot/shop:v0.1.0"`,
		want: "Image ghcr.io/KubeBot/shop:v0.1.0 is not a valid image reference; container app of Deployment badimage uses it"},
	{name: "wrongpath", container: `readinessProbe: {httpGet: {path: /nope, port: 8080}, periodSeconds: 2}`,
		want: "The readiness probe of container app of Deployment wrongpath asks /nope and gets 404, so that path is wrong or needs a login; its pods do not become ready", replace: []string{"PATH", "/readyz"}},
	{name: "wrongport", container: `livenessProbe: {httpGet: {path: /healthz, port: 8090}, periodSeconds: 1, failureThreshold: 2}`,
		want: "The liveness probe of container app of Deployment wrongport asks port 8090, where nothing listens; the container declares 8080 (http); the kubelet restarts the container each time"},
	{name: "oom", container: `resources: {limits: {memory: 24Mi}}` + "\n        " + `lifecycle: {postStart: {exec: {command: [/shop, fault, memory, '{"bytesPerSecond":67108864,"maxBytes":0}']}}}`,
		want: "Container app of Deployment oom was killed because it used more memory than its limit of 24Mi (resources.limits.memory)", unmended: true},
	{name: "toobig", container: `resources: {requests: {cpu: "50"}}`,
		want: "The pods of Deployment toobig request cpu=50, more than any node has", unmended: true},
	{name: "selector", pod: `nodeSelector: {example.com/disk: ssd}`,
		want: "No node has the label example.com/disk=ssd that Deployment selector asks for (nodeSelector)"},
	{name: "badargs", container: `args: [kart]`, want: `Container app of Deployment badargs exits with code 1: shop: start kart: unknown service "kart"`, unmended: true},
	{name: "badcommand", container: `command: [/server]`,
		want: `Container app of Deployment badcommand can't start: its command "/server" can't be run in image ghcr.io/kubebot/shop:v0.1.0 (no such file or directory)`},
	{name: "noaccount", pod: `serviceAccountName: robot`, want: "ServiceAccount robot does not exist in namespace why; Deployment noaccount runs its pods as it"},
	{name: "wrongselector", more: whyService("wrongselector", "wrong-selector", "http"),
		want: "Service wrongselector selects pods with app=wrong-selector, and no pod of namespace why has these labels; those of Deployment wrongselector have app=wrongselector"},
	{name: "wrongtarget", more: whyService("wrongtarget", "wrongtarget", "web"),
		want: `Service wrongtarget sends port 80 to the port named "web" of its pods, and no container of them has a port of that name (spec.ports.targetPort)`},
	{name: "quota", replicas: 2, want: "ResourceQuota team in namespace why-quota allows 1 of pods and 1 is in use; Deployment quota can't make a pod that needs 1 more",
		more: "---\napiVersion: v1\nkind: ResourceQuota\nmetadata: {name: team, namespace: why-quota}\nspec: {hard: {pods: \"1\"}}\n"},
	{name: "unsafe", want: "Namespace why-unsafe enforces Pod Security restricted, and the pods of Deployment unsafe break it"},
}

// namespace of the fault: quotas and security levels have their own.
func (f fault) namespace() string {
	if f.name == "quota" || f.name == "unsafe" {
		return "why-" + f.name
	}
	return whyNamespace
}

func whyService(name, selects, target string) string {
	return fmt.Sprintf("---\napiVersion: v1\nkind: Service\nmetadata: {name: %s, namespace: why}\nspec: {selector: {app: %s}, ports: [{port: 80, targetPort: %s}]}\n", name, selects, target)
}

func (f fault) manifest() string {
	lines := map[string]string{
		"image": `image: "ghcr.io/kubebot/shop:v0.1.0"`, "args": "args: [cart]", "resources": "resources: {requests: {cpu: 5m, memory: 16Mi}, limits: {memory: 64Mi}}",
	}
	container := f.container
	for field, line := range lines {
		if !strings.Contains(f.container, field+":") {
			container += "\n        " + line
		}
	}
	// What is added comes first: a quota has to be there before the pods.
	return fmt.Sprintf(`%[6]s
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: %[1]s, namespace: %[2]s}
spec:
  replicas: %[3]d
  selector: {matchLabels: {app: %[1]s}}
  template:
    metadata: {labels: {app: %[1]s}}
    spec:
      terminationGracePeriodSeconds: 1
      %[5]s
      containers:
      - name: app
        imagePullPolicy: IfNotPresent
        ports: [{name: http, containerPort: 8080}]
        %[4]s
`, f.name, f.namespace(), max(f.replicas, 1), strings.TrimLeft(container, "\n "), f.pod, f.more)
}

func whyNamesTheCauseAndItsFixMends(t *testing.T) {
	t.Helper()
	ctx := contextOf(t, 20*time.Minute)
	must(t, cluster.CreateNamespace(ctx, "why-unsafe"))
	for _, name := range []string{"why", "why-quota"} {
		must(t, cluster.CreateNamespace(ctx, name))
		_, err := cluster.Kubectl(ctx, "label", "namespace", name, "pod-security.kubernetes.io/enforce-")
		must(t, err)
	}
	t.Cleanup(func() {
		_, _ = cluster.Kubectl(context.Background(), "delete", "namespace", "why", "why-quota", "why-unsafe", "--wait=false")
	})
	for _, f := range faults {
		must(t, cluster.Apply(ctx, f.manifest()))
	}
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			var found diagnosis.Finding
			must(t, stack.Eventually(ctx, 2*time.Minute, time.Second, func(ctx context.Context) error {
				a, err := ask(ctx, f)
				if err != nil {
					return err
				}
				if len(a.Findings) == 0 || !strings.HasPrefix(a.Findings[0].Sentence, f.want) {
					return fmt.Errorf("got %+v, want first %q", a.Findings, f.want)
				}
				found = a.Findings[0]
				return nil
			}))
			if f.unmended {
				return
			}
			for _, c := range found.Fix.Commands {
				if strings.Contains(c, "label node") {
					continue // the other of two ways
				}
				shell(t, ctx, strings.NewReplacer(f.replace...).Replace(c))
			}
			if f.name == "noaccount" || f.name == "quota" {
				// The controller tries again after as long as it has failed; a new pod template wakes it.
				_, err := cluster.Kubectl(ctx, "-n", f.namespace(), "rollout", "restart", "deployment", f.name)
				must(t, err)
			}
			must(t, stack.Eventually(ctx, 4*time.Minute, time.Second, func(ctx context.Context) error { return mended(ctx, f) }))
		})
	}
}

func ask(ctx context.Context, f fault) (why.Answer, error) {
	var out bytes.Buffer
	var a why.Answer
	err := why.Run(ctx, why.Options{
		Config: cluster.Config, Object: diagnosis.Object{Kind: "Deployment", Namespace: f.namespace(), Name: f.name},
		Output: "json", Check: true, Timeout: 5 * time.Second, Out: &out,
	})
	if err != nil {
		return a, err
	}
	if err := json.Unmarshal(out.Bytes(), &a); err != nil {
		return a, err
	}
	for _, c := range a.Checks {
		if c.Result == why.Refused {
			return a, fmt.Errorf("the API server refuses a fix: %s: %s", c.Command, c.Says)
		}
	}
	return a, nil
}

// shell runs a command of a fix as a user would.
func shell(t *testing.T, ctx context.Context, command string) {
	t.Helper()
	cmd := exec.CommandContext(ctx, "sh", "-c", command)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+cluster.Kubeconfig, "PATH="+filepath.Join(tree.Cache(), "bin")+":"+os.Getenv("PATH"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", command, err, out)
	}
}

// mended returns an error while the Deployment lacks pods or the answer is still the same.
func mended(ctx context.Context, f fault) error {
	a, err := ask(ctx, f)
	if err != nil {
		return err
	}
	if len(a.Findings) > 0 && strings.HasPrefix(a.Findings[0].Sentence, f.want) {
		return fmt.Errorf("still there: %s", f.want)
	}
	var d appsv1.Deployment
	if err := cluster.Client.Get(ctx, key(f.namespace(), f.name), &d); err != nil {
		return err
	}
	if d.Status.ReadyReplicas < *d.Spec.Replicas {
		return fmt.Errorf("%d of %d pods are ready: %+v", d.Status.ReadyReplicas, *d.Spec.Replicas, a.Findings)
	}
	return nil
}

// whyFindsNothing asks about each service of the healthy shop.
func whyFindsNothing(t *testing.T, ctx context.Context) {
	t.Helper()
	for _, name := range []string{"cart", "catalog", "checkout", "frontend", "payment"} {
		must(t, stack.Eventually(ctx, 3*time.Minute, 2*time.Second, func(ctx context.Context) error {
			var out bytes.Buffer
			if err := why.Run(ctx, why.Options{Config: cluster.Config, Object: diagnosis.Object{Kind: "Deployment", Namespace: stack.ShopNamespace, Name: name}, Output: "text", Timeout: 5 * time.Second, Out: &out}); err != nil {
				return err
			}
			if !strings.Contains(out.String(), "Nothing stands out") {
				return fmt.Errorf("%s is healthy, and why says: %s", name, out.String())
			}
			return nil
		}))
	}
}

// whyFollowsTheError asks the frontend of the broken shop, whose errors began in the catalog.
func whyFollowsTheError(t *testing.T, ctx context.Context) {
	t.Helper()
	must(t, stack.Eventually(ctx, 3*time.Minute, 2*time.Second, func(ctx context.Context) error {
		var out bytes.Buffer
		err := why.Run(ctx, why.Options{Config: cluster.Config, Object: diagnosis.Object{Kind: "Deployment", Namespace: stack.ShopNamespace, Name: "frontend"}, Output: "json", Timeout: 5 * time.Second, Out: &out})
		if err != nil {
			return err
		}
		var a why.Answer
		if err := json.Unmarshal(out.Bytes(), &a); err != nil {
			return err
		}
		if len(a.Followed) != 1 || len(a.Followed[0].Findings) == 0 || !strings.HasSuffix(a.Followed[0].Findings[0].Sentence, `its environment variable PRICE_FORMAT is "EUR"`) {
			return fmt.Errorf("the error is not followed to the setting of catalog: %s", out.String())
		}
		return nil
	}))
}
