package responder

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/document"
	"github.com/kubebot/kubebot/internal/links"
	"github.com/kubebot/kubebot/internal/notify"
	"github.com/kubebot/kubebot/internal/notify/email"
	"github.com/kubebot/kubebot/internal/notify/opsgenie"
	"github.com/kubebot/kubebot/internal/notify/pagerduty"
	"github.com/kubebot/kubebot/internal/notify/secretfile"
	"github.com/kubebot/kubebot/internal/notify/slack"
	"github.com/kubebot/kubebot/internal/notify/teams"
	"github.com/kubebot/kubebot/internal/notify/transport"
	"github.com/kubebot/kubebot/internal/notify/webhook"
	"github.com/kubebot/kubebot/internal/pipeline"
	"github.com/kubebot/kubebot/internal/pipeline/config"
)

// Types of receivers.
const (
	typeSlack     = "slack"
	typeWebhook   = "webhook"
	typeTeams     = "teams"
	typePagerDuty = "pagerduty"
	typeEmail     = "email"
	typeOpsGenie  = "opsgenie"
)

// receiverTypes are all of them.
var receiverTypes = []string{typeSlack, typeWebhook, typeTeams, typePagerDuty, typeEmail, typeOpsGenie}

// SinkFactory makes the sink of a receiver.
type SinkFactory func(receiver v1alpha1.Receiver, clusterName string) (notify.Sink, error)

// Making is what sinks are made with besides their receiver.
type Making struct {
	// Links are in the messages of Slack that have buttons, and Picture draws what is put into their threads, nil for
	// nothing.
	Links   links.Grafana
	Picture slack.Picture
	// API are the addresses of the cluster's own API server, which no receiver may have.
	API *transport.ClusterAPI
	// InStack tells which addresses are in KubeBot's own namespace, where no receiver of a team may be; nil for the
	// KubeBot's own receivers.
	InStack func(ctx context.Context, address netip.Addr) (bool, error)
	// Secret finds the value of a reference; nil for the files of mounted Secrets.
	Secret func(ref *v1alpha1.SecretKeyRef) secretfile.Ref
}

// Sinks returns the factories of the sinks, by type of receiver.
func Sinks(m Making) map[string]SinkFactory {
	if m.Secret == nil {
		m.Secret = secret
	}
	return map[string]SinkFactory{
		typeSlack: m.slack, typeWebhook: m.webhook, typeTeams: m.teams, typePagerDuty: m.pagerDuty, typeEmail: m.email, typeOpsGenie: m.opsGenie,
	}
}

func (m Making) guard(r v1alpha1.Receiver) *transport.Guard {
	return &transport.Guard{Allow: r.AllowTargets, API: m.API, InStack: m.InStack}
}

func (m Making) slack(r v1alpha1.Receiver, clusterName string) (notify.Sink, error) {
	return slack.New(slack.Options{
		Channel: r.Slack.Channel, Token: m.Secret(&r.Slack.TokenSecret), APIURL: r.Slack.APIURL, CASecret: m.Secret(r.Slack.CASecret), ClusterName: clusterName,
		Buttons: r.Slack.Interactions != nil, Links: m.Links, Picture: m.Picture, Guard: m.guard(r),
	}), nil
}

func (m Making) webhook(r v1alpha1.Receiver, clusterName string) (notify.Sink, error) {
	w := r.Webhook
	options := webhook.Options{
		URL: w.URL, URLSecret: m.Secret(w.URLSecret), SigningSecret: m.Secret(w.SigningSecret), CASecret: m.Secret(w.CASecret), ClusterName: clusterName,
		ContentType: w.ContentType, Guard: m.guard(r),
	}
	if w.BodyTemplate != "" {
		var err error
		if options.Template, err = document.ParseTemplate(w.BodyTemplate); err != nil {
			return nil, fmt.Errorf("read bodyTemplate: %w", err)
		}
	}
	return webhook.New(options), nil
}

func (m Making) teams(r v1alpha1.Receiver, clusterName string) (notify.Sink, error) {
	return teams.New(teams.Options{
		URLSecret: m.Secret(&r.Teams.URLSecret), CASecret: m.Secret(r.Teams.CASecret), ClusterName: clusterName, Guard: m.guard(r),
	}), nil
}

func (m Making) pagerDuty(r v1alpha1.Receiver, clusterName string) (notify.Sink, error) {
	p := r.PagerDuty
	return pagerduty.New(pagerduty.Options{
		RoutingKey: m.Secret(&p.RoutingKeySecret), APIURL: p.APIURL, CASecret: m.Secret(p.CASecret), ClusterName: clusterName, Guard: m.guard(r),
	}), nil
}

func (m Making) email(r v1alpha1.Receiver, clusterName string) (notify.Sink, error) {
	e := r.Email
	return email.New(email.Options{
		Server: e.Server, TLS: e.TLS, From: e.From, To: e.To, Username: e.Username, Password: m.Secret(e.PasswordSecret),
		CASecret: m.Secret(e.CASecret), ClusterName: clusterName, Guard: m.guard(r),
	}), nil
}

func (m Making) opsGenie(r v1alpha1.Receiver, clusterName string) (notify.Sink, error) {
	o := r.OpsGenie
	return opsgenie.New(opsgenie.Options{
		APIKey: m.Secret(&o.APIKeySecret), APIURL: o.APIURL, Responders: o.Responders, CASecret: m.Secret(o.CASecret), ClusterName: clusterName,
		Guard: m.guard(r),
	}), nil
}

// secret names the file that holds the value of a reference; nil names none.
func secret(ref *v1alpha1.SecretKeyRef) secretfile.Ref {
	if ref == nil {
		return secretfile.Ref{}
	}
	return secretfile.Ref{File: config.SecretFile(*ref), Secret: ref.Name, Key: ref.Key}
}

func typeOf(r v1alpha1.Receiver) string {
	switch {
	case r.Slack != nil:
		return typeSlack
	case r.Webhook != nil:
		return typeWebhook
	case r.Teams != nil:
		return typeTeams
	case r.PagerDuty != nil:
		return typePagerDuty
	case r.Email != nil:
		return typeEmail
	case r.OpsGenie != nil:
		return typeOpsGenie
	}
	return ""
}

// readByPrograms are the types of receivers whose service keeps an alarm of its own for each incident, which a digest could
// not end: they are told of every incident by itself, and not of what can wait.
var readByPrograms = map[string]bool{typePagerDuty: true, typeOpsGenie: true}

// oneByOne tells whether receivers of a type are told of incidents one by one in storms too.
func oneByOne(kind string) bool { return readByPrograms[kind] || kind == typeWebhook }

// receivers makes the sinks of a configuration. A receiver that can't be made is a problem, not an error: the others
// work.
func receivers(c config.Config, sinks map[string]SinkFactory) ([]pipeline.Receiver, []string) {
	var list []pipeline.Receiver
	var problems []string
	for _, r := range c.Receivers {
		kind := typeOf(r)
		factory, ok := sinks[kind]
		if !ok {
			problems = append(problems, fmt.Sprintf("receiver %s has no type that this responder knows: set one of %s",
				r.Name, strings.Join(receiverTypes, ", ")))
			continue
		}
		sink, err := factory(r, c.ClusterName)
		if err != nil {
			problems = append(problems, fmt.Sprintf("receiver %s can't be used: %v", r.Name, err))
			continue
		}
		list = append(list, pipeline.Receiver{Name: r.Name, Type: kind, Sink: sink})
	}
	return list, problems
}
