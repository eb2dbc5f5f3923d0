//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	slacktest "github.com/kubebot/kubebot/test/slack"
	"github.com/kubebot/kubebot/test/stack"
)

// outage is a Deployment that can't start: its own pods are what the responder's watch sees within seconds.
const outage = `apiVersion: apps/v1
kind: Deployment
metadata: {name: %[1]s, namespace: shop, labels: {kubebot-test: outage}}
spec:
  replicas: 1
  selector: {matchLabels: {app: %[1]s}}
  template:
    metadata: {labels: {app: %[1]s}}
    spec:
      securityContext: {runAsNonRoot: true, runAsUser: 65534, seccompProfile: {type: RuntimeDefault}}
      containers:
      - name: main
        image: ghcr.io/kubebot/shop:v0.1.0
        imagePullPolicy: IfNotPresent
        args: [no-such-service]
        securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
`

// begin starts an outage and ends it with the test.
func begin(t *testing.T, ctx context.Context, name string) {
	t.Helper()
	must(t, cluster.Apply(ctx, fmt.Sprintf(outage, name)))
	t.Cleanup(func() {
		_, _ = cluster.Kubectl(context.Background(), "-n", "shop", "delete", "deployment", name, "--ignore-not-found")
	})
}

// arrivesOnce waits until the outage has exactly the wanted number of messages, and stays so for a while.
func arrivesOnce(t *testing.T, ctx context.Context, name string, atMost int) {
	t.Helper()
	must(t, stack.Eventually(ctx, 4*time.Minute, time.Second, func(ctx context.Context) error {
		heads, err := headsAbout(ctx, "shop/"+name)
		if err != nil {
			return err
		}
		if len(heads) == 0 {
			return fmt.Errorf("no message about %s", name)
		}
		return nil
	}))
	deadline := time.Now().Add(40 * time.Second)
	for time.Now().Before(deadline) {
		heads, err := headsAbout(ctx, "shop/"+name)
		if err == nil && len(heads) > atMost {
			t.Fatalf("%d messages about %s, want at most %d: %v", len(heads), name, atMost, heads)
		}
		time.Sleep(2 * time.Second)
	}
}

// killResponders ends every responder process at once, without a word.
func killResponders(t *testing.T, ctx context.Context) {
	t.Helper()
	kill9(t, ctx, "kubebot responder")
}

// kill9 sends SIGKILL to every process of the cluster whose command line holds the words.
func kill9(t *testing.T, ctx context.Context, words string) {
	t.Helper()
	out, err := exec.CommandContext(ctx, "pgrep", "-f", "^/"+words).Output()
	if err != nil {
		t.Fatalf("find the processes of %q: %v", words, err)
	}
	for _, pid := range strings.Fields(string(out)) {
		if err := exec.CommandContext(ctx, "kill", "-9", pid).Run(); err != nil {
			t.Logf("kill %s: %v", pid, err)
		}
	}
}

func local(t *testing.T) {
	t.Helper()
	if stack.Existing() {
		t.Skip("processes of an existing cluster can't be killed from here")
	}
}

// forgetBackOff replaces the pods, so that the back-off of a killed container does not set the pace.
func forgetBackOff(t *testing.T, ctx context.Context, app string) {
	t.Helper()
	must(t, cluster.Client.DeleteAllOf(ctx, &corev1.Pod{}, client.InNamespace(stack.Namespace),
		client.MatchingLabels{"app.kubernetes.io/name": app}, client.GracePeriodSeconds(0)))
}

// TestKilledBetweenSendAndRecord: Slack takes the message and its answer is lost, and so is the process that waited for
// it. With the history scope the next one finds the message; without, one further copy may come, marked.
func TestKilledBetweenSendAndRecord(t *testing.T) {
	local(t)
	for name, c := range map[string]struct {
		scopes []string
		atMost int
		marked bool
	}{
		"with-history":    {[]string{"chat:write", "channels:history", "channels:read"}, 1, false},
		"without-history": {[]string{"chat:write"}, 2, true},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := contextOf(t, 8*time.Minute)
			must(t, cluster.SlackScopes(ctx, c.scopes...))
			t.Cleanup(func() {
				_ = cluster.SlackFaultsOff(context.Background())
				_ = cluster.SlackScopes(context.Background(), "chat:write", "channels:history", "channels:read")
			})
			must(t, cluster.SlackFault(ctx, slacktest.Fault{Method: "chat.postMessage", Kind: "hang", Accept: true, Count: 1}))
			app := "lost-" + name
			begin(t, ctx, app)
			must(t, stack.Eventually(ctx, 2*time.Minute, 200*time.Millisecond, func(ctx context.Context) error {
				heads, err := headsAbout(ctx, "shop/"+app)
				if err == nil && len(heads) == 0 {
					err = fmt.Errorf("Slack has not got the message yet")
				}
				return err
			}))
			killResponders(t, ctx)
			forgetBackOff(t, ctx, "responder")
			arrivesOnce(t, ctx, app, c.atMost)
			delivered(t, ctx, app, c.marked)
		})
	}
	ready(t, contextOf(t, 4*time.Minute))
}

// delivered waits until the Incident says that Slack has the message, and whether a second copy is possible.
func delivered(t *testing.T, ctx context.Context, app string, marked bool) {
	t.Helper()
	must(t, stack.Eventually(ctx, 2*time.Minute, time.Second, func(ctx context.Context) error {
		incidents, err := cluster.Incidents(ctx)
		if err != nil {
			return err
		}
		for _, inc := range incidents {
			if inc.Spec.Subject.Name != app {
				continue
			}
			for _, d := range inc.Status.Deliveries {
				if d.Receiver == "oncall" && d.State == "Delivered" {
					if (d.PossibleDuplicate != "") != marked {
						return fmt.Errorf("possibleDuplicate of %s is %q", inc.Name, d.PossibleDuplicate)
					}
					return nil
				}
			}
		}
		return fmt.Errorf("no delivered message about %s in %d Incidents", app, len(incidents))
	}))
}

func TestKilledBetweenStoreAndSend(t *testing.T) {
	local(t)
	ctx := contextOf(t, 8*time.Minute)
	// While Slack refuses, the Incident is stored and nothing is sent.
	must(t, cluster.SlackFault(ctx, slacktest.Fault{Method: "chat.postMessage", Kind: "status", Status: 500}))
	t.Cleanup(func() { _ = cluster.SlackFaultsOff(context.Background()) })
	begin(t, ctx, "stored")
	must(t, stack.Eventually(ctx, 2*time.Minute, 200*time.Millisecond, func(ctx context.Context) error {
		incidents, err := cluster.Incidents(ctx)
		if err != nil {
			return err
		}
		for _, inc := range incidents {
			if inc.Spec.Subject.Name == "stored" {
				return nil
			}
		}
		return fmt.Errorf("not stored yet")
	}))
	killResponders(t, ctx)
	must(t, cluster.SlackFaultsOff(ctx))
	forgetBackOff(t, ctx, "responder")
	arrivesOnce(t, ctx, "stored", 1)
	ready(t, ctx)
}

func TestSlackAnswersBadlyOrNotAtAll(t *testing.T) {
	ctx := contextOf(t, 10*time.Minute)
	t.Cleanup(func() { _ = cluster.SlackFaultsOff(context.Background()) })
	for name, fault := range map[string]slacktest.Fault{
		"ratelimit": {Kind: "ratelimit", RetryAfter: 5, Count: 2},
		"error500":  {Kind: "status", Status: 500, Count: 2},
		"garbage":   {Kind: "garbage", Count: 1},
		"reset":     {Kind: "reset", Count: 2},
	} {
		t.Run(name, func(t *testing.T) {
			fault.Method = "chat.postMessage"
			must(t, cluster.SlackFault(ctx, fault))
			begin(t, ctx, "slack-"+name)
			arrivesOnce(t, ctx, "slack-"+name, 1)
			must(t, cluster.SlackFaultsOff(ctx))
		})
	}
	ready(t, ctx)
}

func TestSlackServerKilled(t *testing.T) {
	local(t)
	ctx := contextOf(t, 6*time.Minute)
	kill9(t, ctx, "slack-server")
	begin(t, ctx, "slack-down")
	time.Sleep(3 * time.Second)
	kill9(t, ctx, "slack-server")
	arrivesOnce(t, ctx, "slack-down", 1)
	ready(t, ctx)
}

func TestManagerKilledInMidApply(t *testing.T) {
	local(t)
	ctx := contextOf(t, 6*time.Minute)
	patchMain(t, ctx, `{"spec":{"metrics":{"prometheus":{"retention":"8d"}},"alerting":{"responder":{"replicas":1}}}}`)
	kill9(t, ctx, "kubebot manager")
	forgetBackOff(t, ctx, "kubebot-manager")
	must(t, stack.Eventually(ctx, 2*time.Minute, time.Second, func(ctx context.Context) error {
		out, err := cluster.Kubectl(ctx, "-n", stack.Namespace, "get", "prometheus/main-prometheus", "deployment/main-responder",
			"-o", "jsonpath={.items[0].spec.retention} {.items[1].spec.replicas}")
		if err != nil {
			return err
		}
		if out != "8d 1" {
			return fmt.Errorf("have %q, want 8d 1", out)
		}
		return nil
	}))
	ready(t, ctx)
	patchMain(t, ctx, `{"spec":{"metrics":{"prometheus":{"retention":null}},"alerting":{"responder":{"replicas":null}}}}`)
	ready(t, ctx)
}

func TestAPIServerAwayForHalfAMinute(t *testing.T) {
	local(t)
	ctx := contextOf(t, 8*time.Minute)
	begin(t, ctx, "api-away")
	must(t, cluster.PauseAPIServer(ctx, 30*time.Second))
	arrivesOnce(t, ctx, "api-away", 1)
	ready(t, ctx)
}
