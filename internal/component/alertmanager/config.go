package alertmanager

import (
	"fmt"

	"sigs.k8s.io/yaml"

	"github.com/kubebot/kubebot/internal/alert"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/credentials"
	"github.com/kubebot/kubebot/internal/endpoints"
)

// The structs below are the parts of Alertmanager's configuration that KubeBot uses
// (https://prometheus.io/docs/alerting/latest/configuration/).

type config struct {
	Route         route          `json:"route"`
	Receivers     []receiver     `json:"receivers"`
	TimeIntervals []muteInterval `json:"time_intervals,omitempty"`
}

type route struct {
	Receiver          string   `json:"receiver"`
	Matchers          []string `json:"matchers,omitempty"`
	GroupBy           []string `json:"group_by,omitempty"`
	GroupWait         string   `json:"group_wait,omitempty"`
	GroupInterval     string   `json:"group_interval,omitempty"`
	RepeatInterval    string   `json:"repeat_interval,omitempty"`
	MuteTimeIntervals []string `json:"mute_time_intervals,omitempty"`
	Routes            []route  `json:"routes,omitempty"`
}

type receiver struct {
	Name             string      `json:"name"`
	WebhookConfigs   []webhook   `json:"webhook_configs,omitempty"`
	SlackConfigs     []slack     `json:"slack_configs,omitempty"`
	MSTeamsV2Configs []msTeams   `json:"msteamsv2_configs,omitempty"`
	PagerDutyConfigs []pagerDuty `json:"pagerduty_configs,omitempty"`
	EmailConfigs     []email     `json:"email_configs,omitempty"`
	OpsGenieConfigs  []opsGenie  `json:"opsgenie_configs,omitempty"`
}

type msTeams struct {
	WebhookURLFile string     `json:"webhook_url_file"`
	SendResolved   bool       `json:"send_resolved"`
	Title          string     `json:"title"`
	Text           string     `json:"text"`
	HTTPConfig     httpConfig `json:"http_config"`
}

type pagerDuty struct {
	RoutingKeyFile string            `json:"routing_key_file"`
	URL            string            `json:"url"`
	SendResolved   bool              `json:"send_resolved"`
	Client         string            `json:"client"`
	Description    string            `json:"description"`
	Severity       string            `json:"severity"`
	Details        map[string]string `json:"details"`
	HTTPConfig     httpConfig        `json:"http_config"`
}

type email struct {
	To               string            `json:"to"`
	From             string            `json:"from"`
	Smarthost        string            `json:"smarthost"`
	SendResolved     bool              `json:"send_resolved"`
	AuthUsername     string            `json:"auth_username,omitempty"`
	AuthPasswordFile string            `json:"auth_password_file,omitempty"`
	RequireTLS       bool              `json:"require_tls"`
	ForceImplicitTLS *bool             `json:"force_implicit_tls,omitempty"`
	Headers          map[string]string `json:"headers"`
	HTML             string            `json:"html"`
	Text             string            `json:"text"`
}

type opsGenie struct {
	APIKeyFile   string              `json:"api_key_file"`
	APIURL       string              `json:"api_url"`
	SendResolved bool                `json:"send_resolved"`
	Message      string              `json:"message"`
	Description  string              `json:"description"`
	Responders   []opsGenieResponder `json:"responders,omitempty"`
	Priority     string              `json:"priority"`
	Source       string              `json:"source"`
	HTTPConfig   httpConfig          `json:"http_config"`
}

type opsGenieResponder struct {
	Type     string `json:"type"`
	Name     string `json:"name,omitempty"`
	Username string `json:"username,omitempty"`
}

type webhook struct {
	URL          string     `json:"url,omitempty"`
	URLFile      string     `json:"url_file,omitempty"`
	SendResolved bool       `json:"send_resolved"`
	HTTPConfig   httpConfig `json:"http_config"`
}

// slack posts by chat.postMessage, with the token as the bearer.
type slack struct {
	APIURL       string     `json:"api_url"`
	Channel      string     `json:"channel"`
	SendResolved bool       `json:"send_resolved"`
	Title        string     `json:"title"`
	Text         string     `json:"text"`
	Fallback     string     `json:"fallback"`
	Color        string     `json:"color"`
	MrkdwnIn     []string   `json:"mrkdwn_in"`
	HTTPConfig   httpConfig `json:"http_config"`
}

type httpConfig struct {
	Authorization   *authorization `json:"authorization,omitempty"`
	TLSConfig       *tlsConfig     `json:"tls_config,omitempty"`
	ProxyURL        string         `json:"proxy_url,omitempty"`
	NoProxy         string         `json:"no_proxy,omitempty"`
	FollowRedirects bool           `json:"follow_redirects"`
}

type muteInterval struct {
	Name          string         `json:"name"`
	TimeIntervals []timeInterval `json:"time_intervals"`
}

type timeInterval struct {
	Times    []timeRange `json:"times,omitempty"`
	Weekdays []string    `json:"weekdays,omitempty"`
	Location string      `json:"location"`
}

type timeRange struct {
	StartTime string `json:"start_time"`
	EndTime   string `json:"end_time"`
}

type authorization struct {
	CredentialsFile string `json:"credentials_file"`
}

type tlsConfig struct {
	CAFile string `json:"ca_file"`
}

// newConfig sends every alert to the responder, which alone groups, mutes and routes; only the copies that are made
// while no responder is there go to people. Tokens are files that are read for each message.
func newConfig(in component.Input) config {
	kb := in.KubeBot
	dir := credentialsDir(kb) + "/"
	f := newFallback(in)
	return config{
		Route: route{
			Receiver:       endpoints.ResponderReceiver,
			GroupBy:        []string{alert.LabelName, "namespace"},
			GroupWait:      groupWait,
			GroupInterval:  groupInterval,
			RepeatInterval: repeatInterval,
			Routes: []route{f.route, {
				Receiver:       endpoints.ResponderReceiver,
				Matchers:       []string{fmt.Sprintf("%s=%q", alert.LabelName, alert.Watchdog)},
				RepeatInterval: watchdogRepeat,
			}},
		},
		Receivers: append([]receiver{{
			Name: endpoints.ResponderReceiver,
			WebhookConfigs: []webhook{{
				URL:          endpoints.ResponderWebhook(kb),
				SendResolved: true,
				HTTPConfig: httpConfig{
					Authorization: &authorization{CredentialsFile: dir + credentials.KeyToken},
					TLSConfig:     &tlsConfig{CAFile: dir + credentials.KeyCA},
				},
			}},
		}}, f.receivers...),
		TimeIntervals: f.mutes,
	}
}

func marshal(c config) ([]byte, error) {
	data, err := yaml.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("marshal the configuration of Alertmanager: %w", err)
	}
	return data, nil
}
