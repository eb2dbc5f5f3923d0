// Package chaos sends critical alerts through a real Alertmanager while responders are killed, receivers fail and the API
// server goes away, and counts what the receivers hold in the end. KubeBot's own records of deliveries count for nothing.
package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	slacktest "github.com/kubebot/kubebot/test/slack"
	"github.com/kubebot/kubebot/test/stack"
)

// Options of a round.
type Options struct {
	// Alerts are sent, spread evenly over Workloads, these over Channels of Slack; all go to a webhook too.
	Alerts, Workloads, Channels int
	// Kills of responders, one each Pause on the average.
	Kills int
	Pause time.Duration
	// Outage of the API server in the middle; 0 for none.
	Outage time.Duration
	// Settle is how long to wait at most, after the last fault, until everything has arrived.
	Settle time.Duration
	// Seed makes the choice of victims and pauses repeatable.
	Seed uint64
	// Progress is told what happens.
	Progress io.Writer
}

// Full is the round of `make chaos`, and Short the one that `make test` runs.
var (
	Full = Options{Alerts: 10000, Workloads: 500, Channels: 20, Kills: 100, Pause: 6 * time.Second, Outage: time.Minute, Settle: 9 * time.Minute, Seed: 1}
	// Short takes about a minute.
	Short = Options{Alerts: 300, Workloads: 30, Channels: 3, Kills: 5, Pause: 5 * time.Second, Settle: 4 * time.Minute, Seed: 1}
)

// Report is what came of a round.
type Report struct {
	// Sent alerts that Alertmanager took; Delivered of them reached both their channel and the webhook; Lost the rest.
	Sent      int `json:"sent"`
	Delivered int `json:"delivered"`
	Lost      int `json:"lost"`
	// Doubled messages in Slack: further ones with a delivery's key. PossibleDuplicate is how many deliveries KubeBot
	// marked so. Repeated webhooks have the key of an earlier one, by which a receiver knows them.
	Doubled           int `json:"doubled"`
	PossibleDuplicate int `json:"possibleDuplicate"`
	Repeated          int `json:"repeatedWebhooks"`
	// Disordered changes: those that came to a receiver after a later change of the same incident.
	Disordered int `json:"disordered"`
	// Kills of responders that were alive, and Outage of the API server in seconds.
	Kills   int     `json:"kills"`
	Outage  float64 `json:"apiServerOutageSeconds"`
	Seconds float64 `json:"seconds"`
	// Incidents, and messages that Slack and webhooks that the recorder took.
	Incidents     int `json:"incidents"`
	SlackMessages int `json:"slackMessages"`
	Webhooks      int `json:"webhooks"`
	// MissingAt are some of the lost alerts with the receivers that don't have them.
	MissingAt []string `json:"missingAt,omitempty"`
}

// Check says what a round must not have.
func (r Report) Check(o Options) error {
	var errs []error
	if r.Sent < o.Alerts {
		errs = append(errs, fmt.Errorf("%d of %d alerts were sent", r.Sent, o.Alerts))
	}
	if r.Kills < o.Kills {
		errs = append(errs, fmt.Errorf("%d of %d kills were made", r.Kills, o.Kills))
	}
	if r.Lost > 0 {
		errs = append(errs, fmt.Errorf("%d alerts were lost, such as %v", r.Lost, r.MissingAt))
	}
	if r.Doubled > r.PossibleDuplicate {
		errs = append(errs, fmt.Errorf("%d messages are second copies, %d were marked as such", r.Doubled, r.PossibleDuplicate))
	}
	if r.Disordered > 0 {
		errs = append(errs, fmt.Errorf("%d changes came out of order", r.Disordered))
	}
	return errors.Join(errs...)
}

// round is one under way.
type round struct {
	*stack.Cluster
	Options
	kubebot string
	// tag is in the names of the namespaces, so that rounds in one cluster stay apart.
	tag    string
	random *rand.Rand
	report Report
}

// Run makes a round against a KubeBot that is Ready: it gives it receivers and routes of its own and takes them back.
// An error means that the round could not be made; the report says what came of it.
func Run(ctx context.Context, c *stack.Cluster, kubebot string, o Options) (Report, error) {
	r := &round{Cluster: c, Options: o, kubebot: kubebot, tag: "chaos-" + strconv.FormatInt(time.Now().Unix()%1e6, 36),
		random: rand.New(rand.NewPCG(o.Seed, 1))} //nolint:gosec // repeatable is what is wanted
	started := time.Now()
	before, err := c.KubeBot(ctx, kubebot)
	if err != nil {
		return r.report, err
	}
	if err := r.configure(ctx); err != nil {
		return r.report, err
	}
	defer r.restore(context.WithoutCancel(ctx), before)
	if err := r.storm(ctx); err != nil {
		return r.report, err
	}
	err = r.settle(ctx)
	r.report.Seconds = time.Since(started).Seconds()
	return r.report, err
}

func (r *round) say(format string, a ...any) {
	_, _ = fmt.Fprintf(r.Progress, "chaos: "+format+"\n", a...)
}

func channelID(i int) string { return fmt.Sprintf("C00000001%02d", i) }

// configure makes the channels, and receivers and routes of the KubeBot: one namespace for each channel.
func (r *round) configure(ctx context.Context) error {
	// Kinds of the API without generated schemas: a merge patch of plain values.
	var receivers, routes []any
	for i := range r.Channels {
		if err := r.SlackPut(ctx, "channels", slacktest.Channel{ID: channelID(i), Name: fmt.Sprintf("chaos-%d", i)}); err != nil {
			return err
		}
		name := fmt.Sprintf("chaos-%d", i)
		receivers = append(receivers, map[string]any{"name": name, "slack": map[string]any{
			"channel": channelID(i), "apiURL": "http://slack.slack.svc:8080/api/", "tokenSecret": map[string]any{"name": "slack", "key": "token"},
		}})
		routes = append(routes, map[string]any{
			"match": map[string]any{"namespaces": []any{r.namespace(i)}}, "receivers": []any{name, "chaos-hook"},
		})
	}
	receivers = append(receivers, map[string]any{"name": "chaos-hook", "webhook": map[string]any{
		"url": "http://slack.slack.svc:8080/webhook/" + r.tag, "signingSecret": map[string]any{"name": "webhook", "key": "signing"},
	}})
	// What goes wrong in the cluster itself is not what is counted.
	routes = append(routes, map[string]any{"receivers": []any{}})
	return r.patch(ctx, map[string]any{"receivers": receivers, "routes": routes})
}

func (r *round) namespace(channel int) string { return fmt.Sprintf("%s-%d", r.tag, channel) }

func (r *round) patch(ctx context.Context, alerting map[string]any) error {
	body, err := json.Marshal(map[string]any{"spec": map[string]any{"alerting": alerting}})
	if err != nil {
		return fmt.Errorf("encode the receivers: %w", err)
	}
	if _, err := r.Kubectl(ctx, "-n", stack.Namespace, "patch", "kubebot", r.kubebot, "--type=merge", "-p", string(body)); err != nil {
		return err
	}
	// Longer than the five minutes for which a condition looks back at what was refused.
	return r.WaitCondition(ctx, r.kubebot, v1alpha1.ConditionReady, metav1.ConditionTrue, 8*time.Minute)
}

// restore gives the KubeBot its receivers and routes back.
func (r *round) restore(ctx context.Context, before *v1alpha1.KubeBot) {
	alerting := map[string]any{"receivers": nil, "routes": nil}
	if a := before.Spec.Alerting; len(a.Receivers) > 0 {
		alerting["receivers"] = a.Receivers
	}
	if a := before.Spec.Alerting; len(a.Routes) > 0 {
		alerting["routes"] = a.Routes
	}
	if err := r.patch(ctx, alerting); err != nil {
		r.say("give the KubeBot its receivers back: %v", err)
	}
}

// faults are what the receivers do while the storm lasts, each with a chance in percent.
var faults = []slacktest.Fault{
	{Method: "chat.postMessage", Kind: slacktest.KindRateLimit, RetryAfter: 2, Percent: 5},
	{Method: "chat.postMessage", Kind: slacktest.KindStatus, Status: 500, Percent: 5},
	{Method: "chat.postMessage", Kind: slacktest.KindHang, Percent: 2},
	{Method: "chat.postMessage", Kind: slacktest.KindReset, Accept: true, Percent: 5},
	{Method: "chat.update", Kind: slacktest.KindStatus, Status: 503, Percent: 5},
	{Method: "webhook", Kind: slacktest.KindStatus, Status: 500, Percent: 5},
	{Method: "webhook", Kind: slacktest.KindStatus, Status: 429, RetryAfter: 2, Percent: 5},
	{Method: "webhook", Kind: slacktest.KindHang, Percent: 2},
	{Method: "webhook", Kind: slacktest.KindReset, Accept: true, Percent: 5},
}

// storm sends the alerts and makes the faults, all at the same time.
func (r *round) storm(ctx context.Context) error {
	for _, f := range faults {
		if err := r.SlackFault(ctx, f); err != nil {
			return err
		}
	}
	var wg sync.WaitGroup
	var sending, killing, pausing error
	wg.Go(func() { sending = r.send(ctx) })
	wg.Go(func() { killing = r.kill(ctx) })
	wg.Go(func() { pausing = r.outage(ctx) })
	wg.Wait()
	if err := r.SlackFaultsOff(ctx); err != nil {
		return err
	}
	return errors.Join(sending, killing, pausing)
}

// length is how long the storm lasts.
func (r *round) length() time.Duration { return time.Duration(r.Kills) * r.Pause }

// outage takes the API server away in the middle of the storm.
func (r *round) outage(ctx context.Context) error {
	if r.Outage == 0 {
		return nil
	}
	if err := wait(ctx, r.length()/2); err != nil {
		return err
	}
	r.say("the API server goes away for %s", r.Outage)
	started := time.Now()
	err := r.PauseAPIServer(ctx, r.Outage)
	r.report.Outage = time.Since(started).Seconds()
	return err
}

// kill ends one responder after the other with SIGKILL. The pod is then deleted by force, so that the back-off of
// crashing containers does not set the pace.
func (r *round) kill(ctx context.Context) error {
	for r.report.Kills < r.Kills {
		if err := wait(ctx, r.Pause/2+time.Duration(r.random.Int64N(int64(r.Pause)))); err != nil {
			return err
		}
		processes, err := r.Processes("/kubebot responder")
		if err != nil {
			return err
		}
		if len(processes) == 0 {
			continue // both are on their way: nothing to kill yet
		}
		victim := processes[r.random.IntN(len(processes))]
		if victim.Kill() != nil {
			continue // it was faster
		}
		r.report.Kills++
		if err := r.deletePod(ctx, victim.PodUID); err != nil {
			r.say("kill %d: the pod stays for now: %v", r.report.Kills, err)
		}
	}
	r.say("%d responders were killed", r.report.Kills)
	return nil
}

func (r *round) deletePod(ctx context.Context, uid string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	var pods corev1.PodList
	if err := r.Client.List(ctx, &pods, client.InNamespace(stack.Namespace)); err != nil {
		return fmt.Errorf("list pods: %w", err)
	}
	for _, pod := range pods.Items {
		if string(pod.UID) == uid {
			return client.IgnoreNotFound(r.Client.Delete(ctx, &pod, client.GracePeriodSeconds(0)))
		}
	}
	return nil
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return fmt.Errorf("wait: %w", context.Cause(ctx))
	case <-time.After(d):
		return nil
	}
}
