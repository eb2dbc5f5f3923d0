package noise

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/alertmanager/notify/webhook"
	"github.com/prometheus/alertmanager/template"
	"github.com/prometheus/alertmanager/types"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	apitypes "k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/decide"
	"github.com/kubebot/kubebot/internal/ingest"
	"github.com/kubebot/kubebot/internal/learn/keeper"
	"github.com/kubebot/kubebot/internal/learn/store"
	"github.com/kubebot/kubebot/internal/notify"
	"github.com/kubebot/kubebot/internal/pipeline"
	"github.com/kubebot/kubebot/internal/pipeline/config"
)

const (
	namespace, kubeBot = "kubebot", "main"
	// oncall is the one receiver.
	oncall = "oncall"
)

// kubebotOptions say how KubeBot is set up.
type kubebotOptions struct {
	week *Week
	// analyse looks for causes in the week's traces; learn learns from what people say.
	analyse, learn bool
	// pushAfter is how long what is not critical must last before it is pushed.
	pushAfter time.Duration
	// severities that the route takes.
	severities []v1alpha1.Severity
	to         notify.Sink
}

// bot is KubeBot's pipeline with what feeds it, as the responder puts it together.
type bot struct {
	pipeline *pipeline.Pipeline
	webhook  *ingest.Webhook
	api      client.Client
}

// leader is the one replica.
type leader struct{}

// Holds is always true.
func (leader) Holds() bool { return true }

// stamps gives created objects what the API server gives them: a UID and the time.
func stamps() interceptor.Funcs {
	var n atomic.Int64
	return interceptor.Funcs{Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
		o.SetUID(apitypes.UID(fmt.Sprintf("uid-%06d", n.Add(1))))
		o.SetCreationTimestamp(metav1.NewTime(time.Now().UTC().Truncate(time.Second)))
		return c.Create(ctx, o, opts...)
	}}
}

// startBot runs the pipeline until stop is called.
func startBot(o kubebotOptions) (b *bot, stop func(), err error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{v1alpha1.AddToScheme, corev1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, nil, fmt.Errorf("build the scheme: %w", err)
		}
	}
	api := fake.NewClientBuilder().WithScheme(scheme).WithStatusSubresource(&v1alpha1.Incident{}).WithInterceptorFuncs(stamps()).Build()
	b = &bot{api: api}
	options := pipeline.Options{
		Client: api, Config: config.Config{KubeBot: kubeBot, Namespace: namespace, UID: "week"},
		Rules: decide.Rules{
			Receivers: []string{oncall}, Routes: []v1alpha1.Route{{Match: v1alpha1.RouteMatch{Severities: o.severities}, Receivers: []string{oncall}}},
			DigestEvery: time.Hour, StormAbove: 20, QuietStart: true, PushAfter: o.pushAfter,
		},
		Receivers: []pipeline.Receiver{{Name: oncall, Type: "slack", Sink: o.to}}, Topology: topology{o.week}, Replica: "one", Leader: leader{},
		Damping: decide.Damping{Times: 3, Within: time.Hour, Calm: 10 * time.Minute},
		Metrics: pipeline.NewMetrics(prometheus.NewRegistry(), []string{"slack"}), Log: logr.Discard(), Now: time.Now,
	}
	began := time.Now()
	options.Began = func() time.Time { return began }
	if o.analyse {
		if options.Analyse, err = analyst(o.week); err != nil {
			return nil, nil, err
		}
	}
	var learning *keeper.Keeper
	if o.learn {
		learning = &keeper.Keeper{
			Store:  store.Store{Client: api, Namespace: namespace, KubeBot: kubeBot},
			Holder: leader{}, Log: logr.Discard(), Incidents: func() []*v1alpha1.Incident { return b.pipeline.Index().All() },
			Now: time.Now,
		}
		options.Learned = learning.Learned
	}
	b.pipeline = pipeline.New(options)
	b.webhook = &ingest.Webhook{Store: b.pipeline.Ingest, Seen: func(string) {}, Incomplete: func() {}, Now: time.Now, Log: logr.Discard()}
	b.webhook.Register(prometheus.NewRegistry())
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = b.pipeline.Run(ctx) })
	if learning != nil {
		running.Go(func() { _ = learning.Run(ctx) })
	}
	return b, func() { cancel(); running.Wait() }, nil
}

// take posts what Alertmanager sends to the webhook.
func (b *bot) take(ctx context.Context, alerts []*types.Alert) error {
	list := make(template.Alerts, 0, len(alerts))
	for _, a := range alerts {
		one := template.Alert{
			Status: string(a.Status()), Labels: template.KV{}, Annotations: template.KV{},
			StartsAt: a.StartsAt, EndsAt: a.EndsAt, Fingerprint: a.Fingerprint().String(),
		}
		for name, value := range a.Labels {
			one.Labels[string(name)] = string(value)
		}
		for name, value := range a.Annotations {
			one.Annotations[string(name)] = string(value)
		}
		list = append(list, one)
	}
	body, err := json.Marshal(webhook.Message{Version: "4", Data: &template.Data{
		Receiver: "kubebot", Status: string(types.Alerts(alerts...).Status()), Alerts: list,
	}})
	if err != nil {
		return fmt.Errorf("encode the webhook's message: %w", err)
	}
	answer := httptest.NewRecorder()
	request := httptest.NewRequestWithContext(ctx, http.MethodPost, "/api/v1/alerts", bytes.NewReader(body))
	request.Header.Set("Content-Type", "application/json")
	b.webhook.ServeHTTP(answer, request)
	if answer.Code != http.StatusOK {
		return fmt.Errorf("the webhook answered %d: %s", answer.Code, answer.Body)
	}
	return nil
}

// edit changes what people ask of an Incident, as a button does, and shows the pipeline what the watch would.
func (b *bot) edit(ctx context.Context, name string, change func(*v1alpha1.IncidentSpec)) error {
	for {
		var inc v1alpha1.Incident
		if err := b.api.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &inc); err != nil {
			return fmt.Errorf("read an Incident: %w", err)
		}
		change(&inc.Spec)
		err := b.api.Update(ctx, &inc)
		if err == nil {
			b.pipeline.Observe(&inc)
			return nil
		}
		if !apierrors.IsConflict(err) {
			return fmt.Errorf("write an Incident: %w", err)
		}
	}
}
