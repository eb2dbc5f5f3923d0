package alertmanager

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/alert"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/component/receivers"
)

// Alertmanager can't hand alerts to another receiver when the responder is gone. So a rule emits each firing critical
// alert again with the label kubebot_fallback while no responder confirms the watchdog, and only those alerts go from
// here to the people that the responder would have told, by the same routes.

const (
	// nobody is the receiver of what no route sends to anybody.
	nobody = "fallback-nobody"
	// receiversDir is where the Secrets of receivers are mounted in Alertmanager's pods.
	receiversDir = "/etc/alertmanager/receivers"
	// The bases of the services' APIs, for receivers that name no other.
	slackAPI     = "https://slack.com/api/"
	pagerDutyAPI = "https://events.pagerduty.com/"
	opsGenieAPI  = "https://api.opsgenie.com/"

	// The fallback is for the time without a responder: it groups a little and repeats seldom.
	fallbackGroupWait      = "10s"
	fallbackGroupInterval  = "5m"
	fallbackRepeatInterval = "4h"
	// fallbackAlerts of one group are listed in a message, which may have some thousand characters.
	fallbackAlerts = 10
)

// fallback is what the configuration has for the time without a responder.
type fallback struct {
	route     route
	receivers []receiver
	mutes     []muteInterval
}

// newFallback routes the copies of critical alerts as the responder routes incidents: the first route that matches,
// else every receiver.
func newFallback(in component.Input) fallback {
	a := in.KubeBot.Spec.Alerting
	f := fallback{
		route: route{
			Receiver:       nobody,
			Matchers:       []string{fmt.Sprintf("%s=%q", alert.LabelFallback, "true")},
			GroupBy:        []string{alert.LabelOriginal, alert.LabelNamespace},
			GroupWait:      fallbackGroupWait,
			GroupInterval:  fallbackGroupInterval,
			RepeatInterval: fallbackRepeatInterval,
		},
		receivers: []receiver{{Name: nobody}},
		mutes:     muteIntervals(a.MuteTimes),
	}
	for i, r := range a.Routes {
		if len(r.Match.Severities) > 0 && !slices.Contains(r.Match.Severities, v1alpha1.SeverityCritical) {
			continue
		}
		name := fmt.Sprintf("fallback-route-%d", i)
		f.receivers = append(f.receivers, fallbackReceiver(in, name, func(n string) bool { return slices.Contains(r.Receivers, n) }))
		f.route.Routes = append(f.route.Routes, route{Receiver: name, Matchers: matchers(r.Match), MuteTimeIntervals: f.muted(r.MuteTimes)})
	}
	f.receivers = append(f.receivers, fallbackReceiver(in, "fallback", func(string) bool { return true }))
	f.route.Routes = append(f.route.Routes, route{Receiver: "fallback"})
	return f
}

// matchers say in Alertmanager's words what a route takes. Its critical alerts are all that come here.
func matchers(m v1alpha1.RouteMatch) []string {
	var list []string
	if len(m.Namespaces) > 0 {
		patterns := make([]string, len(m.Namespaces))
		for i, glob := range m.Namespaces {
			patterns[i] = strings.ReplaceAll(regexp.QuoteMeta(glob), `\*`, ".*")
		}
		list = append(list, fmt.Sprintf("%s=~%q", alert.LabelNamespace, strings.Join(patterns, "|")))
	}
	var labels []string
	for name, value := range m.Labels {
		labels = append(labels, fmt.Sprintf("%q=%q", name, value))
	}
	slices.Sort(labels)
	return append(list, labels...)
}

// fallbackReceiver is every receiver of the KubeBot that is chosen, as one of Alertmanager's. Left out are those with a
// certificate authority of their own: Alertmanager refuses its whole configuration while such a file is missing.
func fallbackReceiver(in component.Input, name string, chosen func(string) bool) receiver {
	out := receiver{Name: name}
	for _, r := range fallbackCapable(in.KubeBot.Spec.Alerting.Receivers) {
		switch {
		case !chosen(r.Name):
		case r.Slack != nil:
			out.SlackConfigs = append(out.SlackConfigs, slackConfig(in, r.Slack))
		case r.Webhook != nil:
			out.WebhookConfigs = append(out.WebhookConfigs, webhookConfig(in, r.Webhook))
		case r.Teams != nil:
			out.MSTeamsV2Configs = append(out.MSTeamsV2Configs, teamsConfig(in, r.Teams))
		case r.PagerDuty != nil:
			out.PagerDutyConfigs = append(out.PagerDutyConfigs, pagerDutyConfig(in, r.PagerDuty))
		case r.Email != nil:
			out.EmailConfigs = append(out.EmailConfigs, emailConfig(r.Email))
		case r.OpsGenie != nil:
			out.OpsGenieConfigs = append(out.OpsGenieConfigs, opsGenieConfig(in, r.OpsGenie))
		}
	}
	return out
}

// fallbackCapable are the receivers that Alertmanager can send to, with the Secrets that it needs for them.
func fallbackCapable(all []v1alpha1.Receiver) []v1alpha1.Receiver {
	var list []v1alpha1.Receiver
	for _, r := range all {
		if hasCA(r) {
			continue
		}
		r = *r.DeepCopy()
		if r.Slack != nil {
			r.Slack.Interactions = nil
		}
		if r.Webhook != nil {
			r.Webhook.SigningSecret = nil
		}
		// A name that no Secret can have is the responder's to tell of, and must not end Alertmanager.
		if !slices.ContainsFunc(receivers.Refs([]v1alpha1.Receiver{r}), func(ref receivers.Ref) bool { return ref.Check() != nil }) {
			list = append(list, r)
		}
	}
	return list
}

// muted are those of a route's mute times that Alertmanager knows.
func (f fallback) muted(names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		return !slices.ContainsFunc(f.mutes, func(m muteInterval) bool { return m.Name == name })
	})
}

// muteIntervals say the mute times in Alertmanager's words. One that ends on the next day is two intervals. Those of a
// time zone are left out: Alertmanager refuses its whole configuration where its image, or the world, does not have the
// zone, and without a responder too much is better than nothing.
func muteIntervals(list []v1alpha1.MuteTime) []muteInterval {
	var out []muteInterval
	for _, m := range list {
		if m.TimeZone != "" && m.TimeZone != zone {
			continue
		}
		days := make([]string, len(m.Weekdays))
		for i, d := range m.Weekdays {
			days[i] = strings.ToLower(string(d))
		}
		interval := func(days []string, from, to string) timeInterval {
			t := timeInterval{Weekdays: days, Location: zone}
			if from != "" {
				t.Times = []timeRange{{StartTime: from, EndTime: to}}
			}
			return t
		}
		mute := muteInterval{Name: m.Name}
		switch {
		case m.Start == "" || m.Start < m.End:
			mute.TimeIntervals = []timeInterval{interval(days, m.Start, m.End)}
		default:
			mute.TimeIntervals = []timeInterval{interval(days, m.Start, "24:00")}
			if m.End != "00:00" {
				mute.TimeIntervals = append(mute.TimeIntervals, interval(nextDays(days), "00:00", m.End))
			}
		}
		out = append(out, mute)
	}
	return out
}

// zone of the mute times that Alertmanager can be told of.
const zone = "UTC"

var week = []string{"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"}

func nextDays(days []string) []string {
	var next []string
	for _, d := range days {
		next = append(next, week[(slices.Index(week, d)+1)%len(week)])
	}
	return next
}

// leftOutOfFallback says which receivers Alertmanager can't tell when the responder is gone, or is empty.
func leftOutOfFallback(kb *v1alpha1.KubeBot) string {
	capable := fallbackCapable(kb.Spec.Alerting.Receivers)
	var names []string
	for _, r := range kb.Spec.Alerting.Receivers {
		if !slices.ContainsFunc(capable, func(c v1alpha1.Receiver) bool { return c.Name == r.Name }) {
			names = append(names, r.Name)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return "; when the responder is gone Alertmanager can't tell " + strings.Join(names, ", ") +
		": it can use no caSecret, and no name that a Secret can't have"
}

// fallbackRefs are the Secrets that Alertmanager needs.
func fallbackRefs(kb *v1alpha1.KubeBot) []receivers.Ref {
	return receivers.Refs(fallbackCapable(kb.Spec.Alerting.Receivers))
}
