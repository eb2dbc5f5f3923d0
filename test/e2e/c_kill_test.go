//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
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
		ctx, cancel := context.WithTimeout(context.Background(), 9*time.Minute)
		defer cancel()
		if _, err := cluster.Kubectl(ctx, "-n", "shop", "delete", "deployment", name, "--ignore-not-found"); err != nil {
			t.Errorf("end the outage: %v", err)
		}
		if err := over(ctx, name); err != nil && !t.Failed() {
			t.Errorf("the end of the outage was not told: %v", err)
		}
	})
}

// over waits until every receiver was told that an outage has ended, so that its last message meets no later fault. That
// may take two comparisons with an Alertmanager that is settled: of an alert whose first notice was never confirmed, it
// does not tell the end.
func over(ctx context.Context, name string) error {
	return stack.Eventually(ctx, 8*time.Minute, time.Second, func(ctx context.Context) error {
		incidents, err := cluster.Incidents(ctx)
		if err != nil {
			return err
		}
		for _, inc := range incidents {
			if inc.Spec.Subject.Name != name {
				continue
			}
			told := 0
			for _, d := range inc.Status.Deliveries {
				if d.Transition == v1alpha1.TransitionResolved && d.State == v1alpha1.DeliveryDelivered {
					told++
				}
			}
			if inc.Status.State != v1alpha1.IncidentResolved || told < 2 {
				return fmt.Errorf("%s is %s, %d receivers know of its end; flapping %+v, alerts %s", inc.Name, inc.Status.State, told, inc.Status.Flapping, alertsOf(&inc))
			}
		}
		return nil
	})
}

// alertsOf says what keeps an Incident open.
func alertsOf(inc *v1alpha1.Incident) string {
	var said []string
	for _, a := range inc.Status.Alerts {
		said = append(said, fmt.Sprintf("%s of %s %s since %s", a.Name, a.Source, a.State, a.StartsAt.UTC().Format(time.TimeOnly)))
	}
	return strings.Join(said, ", ")
}

// promise is what holds for the messages about an outage until the end of the run.
type promise struct {
	name   string
	atMost int
	made   time.Time
}

var promises []promise

// arrivesOnce waits until the outage has its message and the Incident says so. That no further message comes is
// looked at now, and again by TestNoFurtherCopyCame.
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
		_, err = deliveryTo(ctx, name, "oncall")
		return err
	}))
	p := promise{name, atMost, time.Now()}
	p.kept(t, ctx)
	promises = append(promises, p)
}

// kept fails the test when there are more messages. The Slack server may be starting again.
func (p promise) kept(t *testing.T, ctx context.Context) {
	t.Helper()
	must(t, stack.Eventually(ctx, time.Minute, time.Second, func(ctx context.Context) error {
		heads, err := headsAbout(ctx, "shop/"+p.name)
		if len(heads) > p.atMost {
			t.Errorf("%d messages about %s, want at most %d: %v", len(heads), p.name, p.atMost, heads)
		}
		return err
	}))
}

// deliveryTo returns the delivery of an outage's Incident to a receiver, once it says that the receiver has it.
func deliveryTo(ctx context.Context, name, receiver string) (v1alpha1.Delivery, error) {
	incidents, err := cluster.Incidents(ctx)
	if err != nil {
		return v1alpha1.Delivery{}, err
	}
	for _, inc := range incidents {
		if inc.Spec.Subject.Name != name {
			continue
		}
		for _, d := range inc.Status.Deliveries {
			if d.Receiver == receiver && d.State == v1alpha1.DeliveryDelivered {
				return d, nil
			}
		}
	}
	return v1alpha1.Delivery{}, fmt.Errorf("no delivered message about %s in %d Incidents", name, len(incidents))
}

// killResponders ends every responder process at once, without a word.
func killResponders(t *testing.T, ctx context.Context) {
	t.Helper()
	kill9(t, ctx, "kubebot responder")
}

// kill9 sends SIGKILL to every process of the cluster whose command line begins with the words, at least one: a
// container that starts just now is waited for.
func kill9(t *testing.T, ctx context.Context, words string) {
	t.Helper()
	must(t, stack.Eventually(ctx, 2*time.Minute, 100*time.Millisecond, func(ctx context.Context) error {
		pids, err := processes(ctx, words)
		if err != nil {
			return err
		}
		killed := 0
		for _, pid := range pids {
			if err := syscall.Kill(pid, syscall.SIGKILL); err == nil {
				killed++
			}
		}
		if killed == 0 {
			return fmt.Errorf("no process of the cluster is called %q", words)
		}
		return nil
	}))
}

// processes finds those of this cluster. Others may run on this machine; each has a cgroup by its name.
func processes(ctx context.Context, words string) ([]int, error) {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, dir := range dirs {
		line, err := os.ReadFile(filepath.Join(dir, "cmdline"))
		if err != nil || !strings.HasPrefix(strings.ReplaceAll(string(line), "\x00", " "), "/"+words) {
			continue // it has ended, or is another program
		}
		groups, err := os.ReadFile(filepath.Join(dir, "cgroup"))
		if err != nil || !strings.Contains(string(groups), ":/kubebot-"+cluster.Name+"/") {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			return nil, err
		}
		pids = append(pids, pid)
	}
	return pids, ctx.Err()
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
			ctx := contextOf(t, 16*time.Minute)
			must(t, cluster.SlackScopes(ctx, c.scopes...))
			t.Cleanup(func() {
				_ = cluster.SlackFaultsOff(context.Background())
				_ = cluster.SlackScopes(context.Background(), "chat:write", "channels:history", "channels:read")
			})
			must(t, cluster.SlackFault(ctx, slacktest.Fault{Method: "chat.postMessage", Text: "lost-" + name, Kind: "hang", Accept: true, Count: 1}))
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
	ready(t, contextOf(t, 8*time.Minute))
}

// delivered waits until the Incident says that Slack has the message, and whether a second copy is possible.
func delivered(t *testing.T, ctx context.Context, app string, marked bool) {
	t.Helper()
	must(t, stack.Eventually(ctx, 2*time.Minute, time.Second, func(ctx context.Context) error {
		d, err := deliveryTo(ctx, app, "oncall")
		if err == nil && (d.PossibleDuplicate != "") != marked {
			err = fmt.Errorf("possibleDuplicate of %s is %q", app, d.PossibleDuplicate)
		}
		return err
	}))
}

func TestKilledBetweenStoreAndSend(t *testing.T) {
	local(t)
	ctx := contextOf(t, 16*time.Minute)
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
	ctx := contextOf(t, 20*time.Minute)
	t.Cleanup(func() { _ = cluster.SlackFaultsOff(context.Background()) })
	for _, fault := range []slacktest.Fault{
		{Kind: "ratelimit", RetryAfter: 5, Count: 1},
		{Kind: "status", Status: 500, Count: 1},
		{Kind: "garbage", Count: 1},
		{Kind: "empty", Count: 1},
		{Kind: "reset", Count: 1},
		{Kind: "hang", Count: 1},
	} {
		fault.Method, fault.Text = "chat.postMessage", "slack-faults"
		must(t, cluster.SlackFault(ctx, fault))
	}
	begin(t, ctx, "slack-faults")
	arrivesOnce(t, ctx, "slack-faults", 1)
	calls, err := cluster.SlackCalls(ctx)
	must(t, err)
	met := map[slacktest.FaultKind]bool{}
	for _, c := range calls {
		met[c.Fault] = true
	}
	for _, kind := range []slacktest.FaultKind{"ratelimit", "status", "garbage", "empty", "reset", "hang"} {
		if !met[kind] {
			t.Errorf("no call met the fault %s, so the test shows nothing of it", kind)
		}
	}
	ready(t, ctx)
}

func TestSlackServerKilled(t *testing.T) {
	local(t)
	ctx := contextOf(t, 12*time.Minute)
	kill9(t, ctx, "slack-server")
	begin(t, ctx, "slack-down")
	time.Sleep(3 * time.Second)
	kill9(t, ctx, "slack-server")
	arrivesOnce(t, ctx, "slack-down", 1)
	ready(t, ctx)
}

func TestManagerKilledInMidApply(t *testing.T) {
	local(t)
	ctx := contextOf(t, 12*time.Minute)
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
	patchMain(t, ctx, `{"spec":{"metrics":{"prometheus":{"retention":null}},"alerting":{"responder":{"replicas":null}}}}`)
	ready(t, ctx)
}

func TestAPIServerAwayForHalfAMinute(t *testing.T) {
	local(t)
	ctx := contextOf(t, 16*time.Minute)
	begin(t, ctx, "api-away")
	must(t, cluster.PauseAPIServer(ctx, 30*time.Second))
	arrivesOnce(t, ctx, "api-away", 1)
	ready(t, ctx)
}

// TestNoFurtherCopyCame looks at every outage of the tests above again, half a minute after its message at the least.
func TestNoFurtherCopyCame(t *testing.T) {
	ctx := contextOf(t, 4*time.Minute)
	if len(promises) == 0 {
		t.Fatal("no outage was told, so there is nothing to look at")
	}
	time.Sleep(time.Until(promises[len(promises)-1].made.Add(30 * time.Second)))
	for _, p := range promises {
		p.kept(t, ctx)
	}
}
