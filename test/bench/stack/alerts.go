package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"github.com/kubebot/kubebot/internal/credentials"
	"github.com/kubebot/kubebot/internal/endpoints"
	slacktest "github.com/kubebot/kubebot/test/slack"
	"github.com/kubebot/kubebot/test/stack"
)

const (
	// batch is how many alerts one post holds: Prometheus' --alertmanager.notification-batch-size was 64 for long and is
	// 256 now; the smaller makes more posts.
	batch = 64
	// workers post at a time.
	workers = 4
	// labelID tells the alerts of a way apart.
	labelID = "bench_id"
	// namespaceSize is how many workloads share a namespace.
	namespaceSize = 20
	// quiet is how long nothing new must come for the rest to count as not delivered.
	quiet = time.Minute
)

// AlertWay is how a burst of alerts went through one way. All times count from the start of the post that holds the
// alert, and are those of the whole burst: they hold the time in queues.
type AlertWay struct {
	Way string `json:"way"`
	// Alerts posted, and Delivered of them: named in a message that the receiver took.
	Alerts    int `json:"alerts"`
	Delivered int `json:"delivered"`
	// Messages that the receiver took until then.
	Messages int `json:"messages"`
	// Tries of posts, of which there are Posts.
	Posts int `json:"posts"`
	Tries int `json:"tries"`
	// AlertsPerSecond are those delivered by the time from the first post to the last new one at the receiver.
	AlertsPerSecond float64 `json:"alertsPerSecond"`
	// P50 and P99 are from post to receiver.
	P50 float64 `json:"p50Seconds"`
	P99 float64 `json:"p99Seconds"`
	// AnswerP50 and AnswerP99 are from post to its answer: Alertmanager holds the alerts in memory by then, the
	// responder has stored them.
	AnswerP50 float64 `json:"answerP50Seconds"`
	AnswerP99 float64 `json:"answerP99Seconds"`
}

// labels and annotations of an alert.
type testAlert struct {
	Status      string            `json:"status,omitempty"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	StartsAt    time.Time         `json:"startsAt"`
	EndsAt      time.Time         `json:"endsAt,omitzero"`
}

// makeAlerts spreads n critical alerts over workloads; two calls differ only in the names of namespaces.
func makeAlerts(way string, n, workloads int, now time.Time) []testAlert {
	list := make([]testAlert, n)
	for i := range list {
		workload := i % workloads
		name := fmt.Sprintf("BenchAlert%d", i/workloads)
		list[i] = testAlert{
			Labels: map[string]string{
				"alertname": name, "severity": "critical", "workload_kind": "Deployment", "workload": fmt.Sprintf("app-%d", workload),
				"namespace": fmt.Sprintf("bench-load-%s-%d", way, workload/namespaceSize), labelID: strconv.Itoa(i),
			},
			Annotations: map[string]string{"summary": name + " fires", "description": "An alert of the benchmark; nothing is broken."},
			StartsAt:    now,
		}
	}
	return list
}

// bodies packs alerts into posts.
func bodies(alerts []testAlert, encode func([]testAlert) any) ([]json.RawMessage, error) {
	var list []json.RawMessage
	for part := range slices.Chunk(alerts, batch) {
		data, err := json.Marshal(encode(part))
		if err != nil {
			return nil, fmt.Errorf("encode alerts: %w", err)
		}
		list = append(list, data)
	}
	return list, nil
}

// forAlertmanager is the body of its API v2. The end keeps the alerts firing for the whole run.
func forAlertmanager(alerts []testAlert) any {
	list := slices.Clone(alerts)
	for i := range list {
		list[i].EndsAt = list[i].StartsAt.Add(24 * time.Hour)
	}
	return list
}

// forResponder is Alertmanager's webhook message.
func forResponder(alerts []testAlert) any {
	list := slices.Clone(alerts)
	for i := range list {
		list[i].Status = "firing"
	}
	return map[string]any{"version": "4", "receiver": endpoints.ResponderReceiver, "status": "firing", "alerts": list}
}

func (b *bench) measureAlerts(ctx context.Context) error {
	if err := b.deployAlertmanager(ctx); err != nil {
		return err
	}
	var secret corev1.Secret
	if err := b.Client.Get(ctx, types.NamespacedName{Namespace: stack.Namespace, Name: kubebotName + "-" + credentials.SecretSuffix}, &secret); err != nil {
		return fmt.Errorf("get the responder's credentials: %w", err)
	}
	responder := load{
		ServerName: kubebotName + "-responder." + stack.Namespace + ".svc",
		CA:         secret.Data[credentials.KeyCA], Token: string(secret.Data[credentials.KeyToken]),
	}
	for _, w := range []struct {
		name, short, namespace, service, scheme, path string
		port                                          int
		load                                          load
		encode                                        func([]testAlert) any
	}{
		{"Alertmanager alone", "plain", benchNamespace, "alertmanager", "http", "/api/v2/alerts", endpoints.AlertmanagerPort, load{}, forAlertmanager},
		{"Alertmanager and responder", "both", stack.Namespace, kubebotName + "-alertmanager", "http", "/api/v2/alerts",
			endpoints.AlertmanagerPort, load{}, forAlertmanager},
		{"responder alone", "direct", stack.Namespace, kubebotName + "-responder", "https", "/api/v1/alerts", endpoints.ResponderPort, responder, forResponder},
	} {
		var service corev1.Service
		if err := b.Client.Get(ctx, types.NamespacedName{Namespace: w.namespace, Name: w.service}, &service); err != nil {
			return fmt.Errorf("get the Service %s: %w", w.service, err)
		}
		l, err := w.load, error(nil)
		l.URL = fmt.Sprintf("%s://%s:%d%s", w.scheme, service.Spec.ClusterIP, w.port, w.path)
		l.Workers = workers
		alerts := makeAlerts(w.short, b.options.alerts, b.options.workloads, time.Now().UTC())
		if l.Bodies, err = bodies(alerts, w.encode); err != nil {
			return err
		}
		way, err := b.measureWay(ctx, l, len(alerts), "bench-load-"+w.short+"-")
		if err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
		way.Way = w.name
		fmt.Printf("   %-28s %d of %d alerts in %d messages, %.1f/s\n", way.Way, way.Delivered, way.Alerts, way.Messages, way.AlertsPerSecond)
		b.report.Alerts = append(b.report.Alerts, way)
	}
	return nil
}

// measureWay posts a load and watches what the recorder takes until all alerts came or nothing new does.
func (b *bench) measureWay(ctx context.Context, l load, alerts int, namespaces string) (AlertWay, error) {
	posts, err := b.post(ctx, l)
	if err != nil {
		return AlertWay{}, err
	}
	var got map[int]time.Time
	var messages int
	grown := time.Now()
	for {
		var hooks []slacktest.Webhook
		data, err := b.ServiceGet(ctx, benchNamespace, "recorder:8081", "webhooks", nil)
		if err != nil {
			return AlertWay{}, fmt.Errorf("ask the recorder: %w", err)
		}
		if err := json.Unmarshal(data, &hooks); err != nil {
			return AlertWay{}, fmt.Errorf("read the recorder's answer: %w", err)
		}
		before := len(got)
		if got, messages, err = received(hooks, namespaces); err != nil {
			return AlertWay{}, err
		}
		if len(got) > before {
			grown = time.Now()
		}
		if len(got) >= alerts || time.Since(grown) > quiet {
			return summarize(posts, got, alerts, messages), nil
		}
		if err := sleep(ctx, 2*time.Second); err != nil {
			return AlertWay{}, err
		}
	}
}

// received returns when each alert came for the first time, by its number, and how many messages name alerts of the
// namespaces with that beginning. It reads Alertmanager's messages and KubeBot's.
func received(hooks []slacktest.Webhook, namespaces string) (map[int]time.Time, int, error) {
	got, messages := map[int]time.Time{}, 0
	for _, hook := range hooks {
		var body struct {
			Alerts   []testAlert `json:"alerts"`
			Incident struct {
				Alerts []struct {
					Labels map[string]string `json:"labels"`
				} `json:"alerts"`
			} `json:"incident"`
		}
		if err := json.Unmarshal([]byte(hook.Body), &body); err != nil {
			return nil, 0, fmt.Errorf("read a message that the recorder took: %w", err)
		}
		for _, a := range body.Alerts {
			body.Incident.Alerts = append(body.Incident.Alerts, struct {
				Labels map[string]string `json:"labels"`
			}{a.Labels})
		}
		counts := false
		for _, a := range body.Incident.Alerts {
			if namespace := a.Labels["namespace"]; len(namespace) < len(namespaces) || namespace[:len(namespaces)] != namespaces {
				continue
			}
			id, err := strconv.Atoi(a.Labels[labelID])
			if err != nil {
				return nil, 0, fmt.Errorf("a message that the recorder took has an alert without its number: %w", err)
			}
			counts = true
			if at, ok := got[id]; !ok || hook.At.Before(at) {
				got[id] = hook.At
			}
		}
		if counts {
			messages++
		}
	}
	return got, messages, nil
}

// summarize brings posts and receipts together. Alert i is in post i / batch.
func summarize(posts []post, got map[int]time.Time, alerts, messages int) AlertWay {
	way := AlertWay{Alerts: alerts, Delivered: len(got), Messages: messages, Posts: len(posts)}
	var times, answers []float64
	var first, last time.Time
	for _, p := range posts {
		way.Tries += p.Tries
		answers = append(answers, p.End.Sub(p.Start).Seconds())
		if first.IsZero() || p.Start.Before(first) {
			first = p.Start
		}
	}
	for id, at := range got {
		times = append(times, at.Sub(posts[id/batch].Start).Seconds())
		if at.After(last) {
			last = at
		}
	}
	if len(got) > 0 {
		way.AlertsPerSecond = round(float64(len(got)) / last.Sub(first).Seconds())
	}
	way.P50, way.P99 = round(percentile(times, 50)), round(percentile(times, 99))
	way.AnswerP50, way.AnswerP99 = round(percentile(answers, 50)), round(percentile(answers, 99))
	return way
}

// deployAlertmanager starts an Alertmanager with KubeBot's own configuration but for the receiver.
func (b *bench) deployAlertmanager(ctx context.Context) error {
	var secret corev1.Secret
	if err := b.Client.Get(ctx, types.NamespacedName{Namespace: stack.Namespace, Name: kubebotName + "-alertmanager-config"}, &secret); err != nil {
		return fmt.Errorf("get Alertmanager's configuration: %w", err)
	}
	config, err := withReceiver(secret.Data["alertmanager.yaml"], "http://recorder."+benchNamespace+".svc:8080/webhook")
	if err != nil {
		return err
	}
	manifest, err := yaml.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "Secret", "metadata": map[string]any{"name": "alertmanager", "namespace": benchNamespace},
		"stringData": map[string]string{"alertmanager.yaml": string(config)},
	})
	if err != nil {
		return fmt.Errorf("encode Alertmanager's configuration: %w", err)
	}
	if err := b.Apply(ctx, string(manifest)); err != nil {
		return err
	}
	if err := b.Apply(ctx, alertmanagerManifest); err != nil {
		return err
	}
	return stack.Eventually(ctx, 4*time.Minute, time.Second, func(ctx context.Context) error {
		_, err := b.ServiceGet(ctx, benchNamespace, "alertmanager:9093", "-/ready", nil)
		return err
	})
}

// withReceiver returns an Alertmanager configuration with the same routes whose every webhook is the URL.
func withReceiver(config []byte, url string) ([]byte, error) {
	var c map[string]any
	if err := yaml.Unmarshal(config, &c); err != nil {
		return nil, fmt.Errorf("read Alertmanager's configuration: %w", err)
	}
	receivers, ok := c["receivers"].([]any)
	if !ok || len(receivers) == 0 {
		return nil, errors.New("read Alertmanager's configuration: it has no receivers")
	}
	for _, r := range receivers {
		receiver, ok := r.(map[string]any)
		if !ok {
			return nil, errors.New("read Alertmanager's configuration: a receiver is no object")
		}
		receiver["webhook_configs"] = []any{map[string]any{"url": url, "send_resolved": true}}
	}
	out, err := yaml.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("encode Alertmanager's configuration: %w", err)
	}
	return out, nil
}
