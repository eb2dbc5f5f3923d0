package alertmanager

import (
	"fmt"

	"sigs.k8s.io/yaml"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/alert"
	"github.com/kubebot/kubebot/internal/credentials"
	"github.com/kubebot/kubebot/internal/endpoints"
)

// The structs below are the parts of Alertmanager's configuration that KubeBot uses
// (https://prometheus.io/docs/alerting/latest/configuration/).

type config struct {
	Route     route      `json:"route"`
	Receivers []receiver `json:"receivers"`
}

type route struct {
	Receiver       string   `json:"receiver"`
	Matchers       []string `json:"matchers,omitempty"`
	GroupBy        []string `json:"group_by,omitempty"`
	GroupWait      string   `json:"group_wait,omitempty"`
	GroupInterval  string   `json:"group_interval,omitempty"`
	RepeatInterval string   `json:"repeat_interval,omitempty"`
	Routes         []route  `json:"routes,omitempty"`
}

type receiver struct {
	Name           string    `json:"name"`
	WebhookConfigs []webhook `json:"webhook_configs"`
}

type webhook struct {
	URL          string     `json:"url"`
	SendResolved bool       `json:"send_resolved"`
	HTTPConfig   httpConfig `json:"http_config"`
}

type httpConfig struct {
	Authorization   authorization `json:"authorization"`
	TLSConfig       tlsConfig     `json:"tls_config"`
	FollowRedirects bool          `json:"follow_redirects"`
}

type authorization struct {
	CredentialsFile string `json:"credentials_file"`
}

type tlsConfig struct {
	CAFile string `json:"ca_file"`
}

// newConfig sends every alert to the responder, which alone groups, mutes and routes. The token is a file that is read
// for each message.
func newConfig(kb *v1alpha1.KubeBot) config {
	dir := credentialsDir(kb) + "/"
	return config{
		Route: route{
			Receiver:       endpoints.ResponderReceiver,
			GroupBy:        []string{alert.LabelName, "namespace"},
			GroupWait:      groupWait,
			GroupInterval:  groupInterval,
			RepeatInterval: repeatInterval,
			Routes: []route{{
				Receiver:       endpoints.ResponderReceiver,
				Matchers:       []string{fmt.Sprintf("%s=%q", alert.LabelName, alert.Watchdog)},
				RepeatInterval: watchdogRepeat,
			}},
		},
		Receivers: []receiver{{
			Name: endpoints.ResponderReceiver,
			WebhookConfigs: []webhook{{
				URL:          endpoints.ResponderWebhook(kb),
				SendResolved: true,
				HTTPConfig: httpConfig{
					Authorization: authorization{CredentialsFile: dir + credentials.KeyToken},
					TLSConfig:     tlsConfig{CAFile: dir + credentials.KeyCA},
				},
			}},
		}},
	}
}

func marshal(c config) ([]byte, error) {
	data, err := yaml.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("marshal the configuration of Alertmanager: %w", err)
	}
	return data, nil
}
