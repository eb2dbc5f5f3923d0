package stack

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	slacktest "github.com/kubebot/kubebot/test/slack"
)

// What the Slack server of the tests is started with.
const (
	SlackNamespace = "slack"
	SlackToken     = "xoxb-0000000000-demo-token"
	SigningKey     = "demo-signing-key"
)

// Message is a message at the top level of the Slack channel.
type Message struct {
	slacktest.Message
	// Replies are the messages of its thread.
	Replies []slacktest.Message
}

// String is the message as people see it.
func (m Message) String() string { return strings.Join(slacktest.Lines(m.Message), "\n") }

// Resolved tells whether the message says that it is over.
func (m Message) Resolved() bool {
	first, _, _ := strings.Cut(m.String(), "\n")
	return strings.Contains(first, "Resolved")
}

// DeploySlack starts the server that behaves as Slack documents its API and records webhooks.
func (c *Cluster) DeploySlack(ctx context.Context) error {
	if err := c.CreateNamespace(ctx, SlackNamespace); err != nil {
		return err
	}
	if err := c.Apply(ctx, fmt.Sprintf(slackManifest, SlackToken, SigningKey, Version)); err != nil {
		return err
	}
	return Eventually(ctx, 4*time.Minute, time.Second, func(ctx context.Context) error {
		return c.PodsReady(ctx, SlackNamespace, 1)
	})
}

// CreateReceiverSecrets makes the Secrets that config/samples/kubebot-demo.yaml names.
func (c *Cluster) CreateReceiverSecrets(ctx context.Context) error {
	return c.Apply(ctx, fmt.Sprintf(`apiVersion: v1
kind: Secret
metadata: {name: slack, namespace: %[1]s}
stringData: {token: %[2]s}
---
apiVersion: v1
kind: Secret
metadata: {name: webhook, namespace: %[1]s}
stringData: {signing: %[3]s}
`, Namespace, SlackToken, SigningKey))
}

// SlackMessages returns the messages at the top level of the channel, with their threads.
func (c *Cluster) SlackMessages(ctx context.Context) ([]Message, error) {
	var all []slacktest.Message
	if err := c.slackAdmin(ctx, "messages", &all); err != nil {
		return nil, err
	}
	var heads []Message
	at := map[string]int{}
	for _, m := range all {
		if m.ThreadTS == "" || m.ThreadTS == m.TS {
			at[m.TS] = len(heads)
			heads = append(heads, Message{Message: m})
		} else if i, ok := at[m.ThreadTS]; ok {
			heads[i].Replies = append(heads[i].Replies, m)
		}
	}
	return heads, nil
}

// AllSlackMessages returns the messages of every channel in the order in which they were taken, replies among them.
func (c *Cluster) AllSlackMessages(ctx context.Context) ([]slacktest.Message, error) {
	var all []slacktest.Message
	if err := c.slackAdmin(ctx, "messages", &all); err != nil {
		return nil, err
	}
	slices.SortStableFunc(all, func(a, b slacktest.Message) int { return strings.Compare(a.TS, b.TS) })
	return all, nil
}

// Webhooks returns the webhooks that were accepted.
func (c *Cluster) Webhooks(ctx context.Context) ([]slacktest.Webhook, error) {
	var all []slacktest.Webhook
	return all, c.slackAdmin(ctx, "webhooks", &all)
}

// SlackCalls returns every call that came in.
func (c *Cluster) SlackCalls(ctx context.Context) ([]slacktest.Call, error) {
	var all []slacktest.Call
	return all, c.slackAdmin(ctx, "calls", &all)
}

// SlackFault switches a fault of the Slack server on.
func (c *Cluster) SlackFault(ctx context.Context, fault slacktest.Fault) error {
	body, err := json.Marshal(fault)
	if err != nil {
		return fmt.Errorf("encode the fault: %w", err)
	}
	if _, err := c.ServicePost(ctx, SlackNamespace, "slack:8081", "faults", body); err != nil {
		return fmt.Errorf("switch the fault on: %w", err)
	}
	return nil
}

// SlackFaultsOff switches all faults off.
func (c *Cluster) SlackFaultsOff(ctx context.Context) error {
	return c.slackDelete(ctx, "faults")
}

// SlackForget forgets messages, webhooks and calls.
func (c *Cluster) SlackForget(ctx context.Context) error {
	return c.slackDelete(ctx, "messages")
}

// SlackScopes changes the scopes of the token.
func (c *Cluster) SlackScopes(ctx context.Context, scopes ...string) error {
	return c.SlackPut(ctx, "tokens", slacktest.Token{Value: SlackToken, Scopes: scopes})
}

// SlackPut adds or changes something at the Slack server: channels or tokens.
func (c *Cluster) SlackPut(ctx context.Context, path string, what any) error {
	body, err := json.Marshal(what)
	if err != nil {
		return fmt.Errorf("encode %T: %w", what, err)
	}
	if err := c.Kube.CoreV1().RESTClient().Put().Namespace(SlackNamespace).Resource("services").Name("slack:8081").
		SubResource("proxy").Suffix(path).Body(body).Do(ctx).Error(); err != nil {
		return fmt.Errorf("change the Slack server's %s: %w", path, err)
	}
	return nil
}

func (c *Cluster) slackDelete(ctx context.Context, path string) error {
	if err := c.Kube.CoreV1().RESTClient().Delete().Namespace(SlackNamespace).Resource("services").Name("slack:8081").
		SubResource("proxy").Suffix(path).Do(ctx).Error(); err != nil {
		return fmt.Errorf("ask the Slack server to forget its %s: %w", path, err)
	}
	return nil
}

func (c *Cluster) slackAdmin(ctx context.Context, path string, into any) error {
	data, err := c.ServiceGet(ctx, SlackNamespace, "slack:8081", path, nil)
	if err != nil {
		return fmt.Errorf("ask the Slack server for its %s: %w", path, err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("read the Slack server's %s: %w", path, err)
	}
	return nil
}

const slackManifest = `apiVersion: v1
kind: Secret
metadata: {name: slack-server, namespace: slack}
stringData: {token: %[1]s, signing: %[2]s}
---
apiVersion: v1
kind: Service
metadata: {name: slack, namespace: slack}
spec:
  selector: {app.kubernetes.io/name: slack-server}
  ports:
  - {name: api, port: 8080}
  - {name: admin, port: 8081}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: slack-server, namespace: slack}
spec:
  replicas: 1
  strategy: {type: Recreate}
  selector: {matchLabels: {app.kubernetes.io/name: slack-server}}
  template:
    metadata: {labels: {app.kubernetes.io/name: slack-server}}
    spec:
      automountServiceAccountToken: false
      securityContext: {runAsNonRoot: true, runAsUser: 65534, fsGroup: 65534, seccompProfile: {type: RuntimeDefault}}
      containers:
      - name: slack-server
        image: ghcr.io/kubebot/slack-server:%[3]s
        imagePullPolicy: IfNotPresent
        args: [--state=/state/slack.jsonl, --channel=C0000000001=prod]
        env:
        - {name: SLACK_TOKEN, valueFrom: {secretKeyRef: {name: slack-server, key: token}}}
        - {name: WEBHOOK_SIGNING_KEY, valueFrom: {secretKeyRef: {name: slack-server, key: signing}}}
        readinessProbe: {httpGet: {path: /healthz, port: 8081}, periodSeconds: 2}
        resources: {requests: {cpu: 10m, memory: 32Mi}, limits: {memory: 256Mi}}
        securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
        volumeMounts: [{name: state, mountPath: /state}]
      volumes: [{name: state, emptyDir: {sizeLimit: 256Mi}}]
`
