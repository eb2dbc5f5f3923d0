package responder

import (
	"fmt"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/notify"
	"github.com/kubebot/kubebot/internal/notify/secretfile"
	"github.com/kubebot/kubebot/internal/notify/slack"
	"github.com/kubebot/kubebot/internal/notify/webhook"
	"github.com/kubebot/kubebot/internal/pipeline"
	"github.com/kubebot/kubebot/internal/pipeline/config"
)

// Types of receivers.
const (
	typeSlack   = "slack"
	typeWebhook = "webhook"
)

// SinkFactory makes the sink of a receiver.
type SinkFactory func(receiver v1alpha1.Receiver, clusterName string) (notify.Sink, error)

// Sinks returns the factories of the sinks, by type of receiver; links are in the messages that have buttons, and
// picture draws what is put into their threads, nil for nothing.
func Sinks(links slack.Links, picture slack.Picture) map[string]SinkFactory {
	slackSink := func(r v1alpha1.Receiver, clusterName string) (notify.Sink, error) {
		return slackSink(r, clusterName, links, picture), nil
	}
	return map[string]SinkFactory{typeSlack: slackSink, typeWebhook: webhookSink}
}

func slackSink(r v1alpha1.Receiver, clusterName string, links slack.Links, picture slack.Picture) notify.Sink {
	return slack.New(slack.Options{
		Channel: r.Slack.Channel, Token: secret(&r.Slack.TokenSecret), APIURL: r.Slack.APIURL, CASecret: secret(r.Slack.CASecret), ClusterName: clusterName,
		Buttons: r.Slack.Interactions != nil, Links: links, Picture: picture,
	})
}

func webhookSink(r v1alpha1.Receiver, clusterName string) (notify.Sink, error) {
	w := r.Webhook
	return webhook.New(webhook.Options{
		URL: w.URL, URLSecret: secret(w.URLSecret), SigningSecret: secret(w.SigningSecret), CASecret: secret(w.CASecret), ClusterName: clusterName,
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
	}
	return ""
}

// readByPrograms are the types of receivers whose service keeps an alarm of its own for each incident, which a digest could
// not end: they are told of every incident by itself, and not of what can wait.
var readByPrograms = map[string]bool{"pagerduty": true, "opsgenie": true}

// receivers makes the sinks of a configuration. A receiver without a known type is a problem, not an error: the others
// work.
func receivers(c config.Config, sinks map[string]SinkFactory) ([]pipeline.Receiver, []string, error) {
	var list []pipeline.Receiver
	var problems []string
	for _, r := range c.Receivers {
		kind := typeOf(r)
		factory, ok := sinks[kind]
		if !ok {
			problems = append(problems, fmt.Sprintf("receiver %s has no type that this responder knows: set slack or webhook", r.Name))
			continue
		}
		sink, err := factory(r, c.ClusterName)
		if err != nil {
			return nil, nil, fmt.Errorf("make the sink of receiver %s: %w", r.Name, err)
		}
		list = append(list, pipeline.Receiver{Name: r.Name, Type: kind, Sink: sink})
	}
	return list, problems, nil
}
