package responder

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/enrich"
	"github.com/kubebot/kubebot/internal/interact"
	"github.com/kubebot/kubebot/internal/interact/details"
	"github.com/kubebot/kubebot/internal/interact/silence"
	"github.com/kubebot/kubebot/internal/links"
	"github.com/kubebot/kubebot/internal/notify/secretfile"
	"github.com/kubebot/kubebot/internal/notify/slack"
	"github.com/kubebot/kubebot/internal/notify/slack/interactive"
	"github.com/kubebot/kubebot/internal/picture"
	"github.com/kubebot/kubebot/internal/pipeline/config"
)

// interactions are what people do to Incidents: by buttons in Slack, and the silences that they, or others by the
// Kubernetes API, ask for.
type interactions struct {
	handler  *interactive.Handler
	sockets  []*interactive.Socket
	endpoint *interactive.Endpoint
	keeper   *silence.Keeper
}

// newInteractions makes what takes part in them. Silences are kept without Slack too.
func (p *process) newInteractions(direct client.Client) (*interactions, error) {
	settings := rest.CopyConfig(p.REST)
	settings.QPS, settings.Burst, settings.UserAgent, settings.WarningHandler = detailsQPS, detailsBurst, "kubebot-details", rest.NoWarnings{}
	kube, err := kubernetes.NewForConfig(settings)
	if err != nil {
		return nil, fmt.Errorf("make the client of details: %w", err)
	}
	x := &interactions{keeper: &silence.Keeper{
		URL: p.config.AlertmanagerURL, HTTP: &http.Client{Timeout: 10 * time.Second}, Client: direct, All: p.pipeline.Index().All,
		Now: time.Now, Log: p.Log.WithName("silence"),
	}}
	x.handler = &interactive.Handler{
		Desk: &interact.Desk{Client: direct, Namespace: p.config.Namespace, Now: time.Now}, Silence: x.keeper.Settle,
		Details: details.Teller{Kube: kube}.Tell, Now: time.Now, Log: p.Log.WithName("interactions"),
	}
	x.handler.Register(p.Registry)
	x.endpoint = &interactive.Endpoint{Handler: x.handler}
	if p.Apps == nil {
		p.Apps = apps(p.config)
	}
	for _, app := range p.Apps {
		if app.AppToken.Given() {
			x.sockets = append(x.sockets, &interactive.Socket{App: app, Handler: x.handler})
		} else {
			x.endpoint.Apps = append(x.endpoint.Apps, app)
		}
	}
	return x, nil
}

// detailsQPS and detailsBurst bound what people can make the responder read of the API server.
const detailsQPS, detailsBurst = 20, 60

// apps are the Slack apps of the receivers: receivers that name the same token or secret share one.
func apps(c config.Config) []*interactive.App {
	var list []*interactive.App
	for _, r := range c.Receivers {
		if r.Slack == nil || r.Slack.Interactions == nil {
			continue
		}
		i := r.Slack.Interactions
		app := &interactive.App{AppToken: secret(i.AppTokenSecret), Signing: secret(i.SigningSecret), APIURL: r.Slack.APIURL, CA: secret(r.Slack.CASecret)}
		if app.APIURL == "" {
			app.APIURL = slack.DefaultAPIURL
		}
		at := slices.IndexFunc(list, func(x *interactive.App) bool {
			return x.AppToken == app.AppToken && x.Signing == app.Signing && x.APIURL == app.APIURL && x.CA == app.CA
		})
		if at < 0 {
			list, at = append(list, app), len(list)
		}
		list[at].Receivers = append(list[at].Receivers, &interactive.Receiver{Name: r.Name, Token: secret(&r.Slack.TokenSecret), Allow: i.Allow})
	}
	return list
}

// grafana is where the links in messages and Incidents lead.
func grafana(c config.Config) links.Grafana {
	return links.Grafana{URL: c.GrafanaURL, Prefix: c.DashboardPrefix}
}

// pictures draws the decisive series of incidents from Prometheus; nil without one.
func pictures(c config.Config) slack.Picture {
	if c.PrometheusURL == "" {
		return nil
	}
	artist := picture.Artist{Store: enrich.Store{URL: c.PrometheusURL, HTTP: &http.Client{Timeout: 10 * time.Second}}}
	return func(ctx context.Context, inc *v1alpha1.Incident) ([]byte, string, error) {
		return artist.Draw(ctx, inc, time.Now())
	}
}

// start runs the parts until the context ends.
func (x *interactions) start(ctx context.Context, group *errgroup.Group, address string) {
	group.Go(func() error { return x.keeper.Run(ctx) })
	for _, s := range x.sockets {
		group.Go(func() error { return s.Run(ctx) })
	}
	if len(x.endpoint.Apps) > 0 {
		group.Go(func() error { return serve(ctx, address, x.endpoint) })
	}
}

// problems say why buttons do nothing.
func (x *interactions) problems() []string {
	var list []string
	say := func(app *interactive.App, problem string) {
		var names []string
		for _, r := range app.Receivers {
			names = append(names, r.Name)
		}
		list = append(list, fmt.Sprintf("The buttons of receiver %v do nothing: %s", names, problem))
	}
	for _, s := range x.sockets {
		if problem := s.Problem(); problem != "" {
			say(s.App, problem)
		}
	}
	for _, app := range x.endpoint.Apps {
		if _, err := secretfile.Read(app.Signing); err != nil {
			say(app, secretfile.Missing(app.Signing, "the signing secret of the Slack app"))
		}
	}
	return list
}
