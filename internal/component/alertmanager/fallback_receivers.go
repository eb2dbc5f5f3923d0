package alertmanager

import (
	"cmp"
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/alert"
	"github.com/kubebot/kubebot/internal/component"
)

// escaped makes of a template's value what Slack shows as text (https://docs.slack.dev/messaging/formatting-message-text#escaping).
func escaped(value string) string {
	return `reReplaceAll ">" "&gt;" (reReplaceAll "<" "&lt;" (reReplaceAll "&" "&amp;" ` + value + `))`
}

// unmarked makes of a template's value what Teams shows as text: Alertmanager puts it where Markdown is read.
func unmarked(value string) string {
	return "reReplaceAll \"([\\\\\\\\`*_~#<>()\\\\[\\\\]!|])\" \"\\\\$1\" " + value
}

// unbraced keeps a template's value from being read as a template again, which Alertmanager does with the details of
// PagerDuty's events.
func unbraced(value string) string { return `reReplaceAll "[{]" "{ " ` + value }

// asItIs leaves a template's value to receivers that show plain text.
func asItIs(value string) string { return value }

// fallbackTitle and fallbackText are the templates of a message, with what makes a value safe where it is shown.
func fallbackTitle(safe func(value string) string) string {
	return `{{ if eq .Status "resolved" }}Resolved: {{ end }}{{ with .CommonLabels.` + alert.LabelOriginal +
		` }}{{ ` + safe(".") + ` }}{{ else }}Critical alerts{{ end }}`
}

func fallbackText(safe func(value string) string) string {
	return `KubeBot's responder does not answer, so Alertmanager sends this as it is.
{{ range $i, $a := .Alerts }}{{ if lt $i ` + fmt.Sprint(fallbackAlerts) +
		` }}• {{ range .Labels.SortedPairs }}{{ if not (match "^(alertname|severity|` + alert.LabelFallback +
		`|prometheus|prometheus_replica)$" .Name) }}{{ .Name }}={{ ` + safe(".Value") + ` }} {{ end }}{{ end }}
{{ end }}{{ end }}{{ if gt (len .Alerts) ` + fmt.Sprint(fallbackAlerts) + ` }}and more: {{ len .Alerts }} in all{{ end }}`
}

// hasCA tells whether a receiver trusts an authority of its own.
func hasCA(r v1alpha1.Receiver) bool {
	switch {
	case r.Slack != nil:
		return r.Slack.CASecret != nil
	case r.Webhook != nil:
		return r.Webhook.CASecret != nil
	case r.Teams != nil:
		return r.Teams.CASecret != nil
	case r.PagerDuty != nil:
		return r.PagerDuty.CASecret != nil
	case r.Email != nil:
		return r.Email.CASecret != nil
	case r.OpsGenie != nil:
		return r.OpsGenie.CASecret != nil
	}
	return false
}

// secretFile is where Alertmanager finds a value. It reads the file for each message.
func secretFile(ref v1alpha1.SecretKeyRef) string {
	return receiversDir + "/" + ref.Name + "/" + ref.Key
}

func slackConfig(in component.Input, s *v1alpha1.SlackReceiver) slack {
	base := s.APIURL
	if base == "" {
		base = slackAPI
	}
	return slack{
		APIURL:       base + "chat.postMessage",
		Channel:      s.Channel,
		SendResolved: true,
		Title:        fallbackTitle(escaped),
		Text:         fallbackText(escaped),
		Fallback:     fallbackTitle(escaped),
		Color:        `{{ if eq .Status "firing" }}danger{{ else }}good{{ end }}`,
		MrkdwnIn:     []string{},
		HTTPConfig:   outside(in, base, &authorization{CredentialsFile: secretFile(s.TokenSecret)}),
	}
}

func webhookConfig(in component.Input, w *v1alpha1.WebhookReceiver) webhook {
	out := webhook{URL: w.URL, SendResolved: true, HTTPConfig: outside(in, w.URL, nil)}
	if w.URLSecret != nil {
		out.URLFile = secretFile(*w.URLSecret)
	}
	return out
}

// outside is how Alertmanager calls what is outside the stack: by the manager's proxy, as the responder does.
func outside(in component.Input, target string, auth *authorization) httpConfig {
	proxy := in.Install.Proxy["HTTPS_PROXY"]
	if u, err := url.Parse(target); err == nil && u.Scheme == "http" {
		proxy = in.Install.Proxy["HTTP_PROXY"]
	}
	out := httpConfig{Authorization: auth, ProxyURL: proxy}
	if proxy != "" {
		out.NoProxy = in.Install.Direct()
	}
	return out
}

func teamsConfig(in component.Input, t *v1alpha1.TeamsReceiver) msTeams {
	return msTeams{
		WebhookURLFile: secretFile(t.URLSecret), SendResolved: true, Title: fallbackTitle(unmarked), Text: fallbackText(unmarked),
		HTTPConfig: outside(in, "", nil),
	}
}

func pagerDutyConfig(in component.Input, p *v1alpha1.PagerDutyReceiver) pagerDuty {
	base := cmp.Or(p.APIURL, pagerDutyAPI)
	return pagerDuty{
		RoutingKeyFile: secretFile(p.RoutingKeySecret), URL: base + "v2/enqueue", SendResolved: true, Client: "KubeBot",
		Description: fallbackTitle(asItIs), Severity: string(v1alpha1.SeverityCritical),
		// These take the place of Alertmanager's own details, which a label with braces would break.
		Details:    map[string]string{"firing": fallbackText(unbraced), "resolved": `{{ .Alerts.Resolved | len }}`},
		HTTPConfig: outside(in, base, nil),
	}
}

func opsGenieConfig(in component.Input, o *v1alpha1.OpsGenieReceiver) opsGenie {
	base := cmp.Or(o.APIURL, opsGenieAPI)
	out := opsGenie{
		APIKeyFile: secretFile(o.APIKeySecret), APIURL: base, SendResolved: true, Message: fallbackTitle(asItIs), Description: fallbackText(asItIs),
		Priority: "P1", Source: "KubeBot", HTTPConfig: outside(in, base, nil),
	}
	for _, r := range o.Responders {
		// Alertmanager reads templates in names.
		name := strings.ReplaceAll(r.Name, "{{", "{{`{{`}}")
		if r.Type == "user" {
			out.Responders = append(out.Responders, opsGenieResponder{Type: r.Type, Username: name})
		} else {
			out.Responders = append(out.Responders, opsGenieResponder{Type: r.Type, Name: name})
		}
	}
	return out
}

// emailConfig has the mail as plain text. Alertmanager encrypts from the first byte on port 465 alone unless told.
func emailConfig(e *v1alpha1.EmailReceiver) email {
	out := email{
		To: strings.Join(e.To, ", "), From: e.From, Smarthost: e.Server, SendResolved: true, AuthUsername: e.Username,
		RequireTLS: e.TLS != v1alpha1.EmailNoTLS, Headers: map[string]string{"Subject": fallbackTitle(asItIs)}, Text: fallbackText(asItIs),
	}
	if e.PasswordSecret != nil {
		out.AuthPasswordFile = secretFile(*e.PasswordSecret)
	}
	_, port, _ := net.SplitHostPort(e.Server)
	if implicit := e.TLS == v1alpha1.EmailImplicitTLS; implicit != (port == "465") {
		out.ForceImplicitTLS = &implicit
	}
	return out
}
