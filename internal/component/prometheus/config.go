package prometheus

import (
	"fmt"
	"net/url"
	"strings"

	"go.yaml.in/yaml/v3"
)

// The structs below are the parts of Prometheus' configuration that KubeBot writes itself
// (https://prometheus.io/docs/prometheus/latest/configuration/configuration/); the operator writes the rest.

type scrapeConfig struct {
	JobName              string          `yaml:"job_name"`
	HonorLabels          bool            `yaml:"honor_labels,omitempty"`
	Scheme               string          `yaml:"scheme,omitempty"`
	MetricsPath          string          `yaml:"metrics_path,omitempty"`
	SampleLimit          int             `yaml:"sample_limit,omitempty"`
	Authorization        *authorization  `yaml:"authorization,omitempty"`
	TLSConfig            *tlsConfig      `yaml:"tls_config,omitempty"`
	KubernetesSDConfigs  []kubernetesSD  `yaml:"kubernetes_sd_configs"`
	RelabelConfigs       []relabelConfig `yaml:"relabel_configs,omitempty"`
	MetricRelabelConfigs []relabelConfig `yaml:"metric_relabel_configs,omitempty"`
}

type authorization struct {
	CredentialsFile string `yaml:"credentials_file"`
}

type tlsConfig struct {
	CAFile             string `yaml:"ca_file,omitempty"`
	ServerName         string `yaml:"server_name,omitempty"`
	InsecureSkipVerify bool   `yaml:"insecure_skip_verify,omitempty"`
}

type kubernetesSD struct {
	Role       string        `yaml:"role"`
	Namespaces *sdNamespaces `yaml:"namespaces,omitempty"`
	Selectors  []sdSelector  `yaml:"selectors,omitempty"`
}

type sdNamespaces struct {
	Names []string `yaml:"names"`
}

type sdSelector struct {
	Role  string `yaml:"role"`
	Label string `yaml:"label"`
}

type relabelConfig struct {
	Action       string   `yaml:"action,omitempty"`
	SourceLabels []string `yaml:"source_labels,omitempty"`
	Regex        string   `yaml:"regex,omitempty"`
	TargetLabel  string   `yaml:"target_label,omitempty"`
	Replacement  string   `yaml:"replacement,omitempty"`
}

type alertmanagerConfig struct {
	Scheme        string         `yaml:"scheme"`
	PathPrefix    string         `yaml:"path_prefix,omitempty"`
	APIVersion    string         `yaml:"api_version"`
	StaticConfigs []staticConfig `yaml:"static_configs"`
}

type staticConfig struct {
	Targets []string `yaml:"targets"`
}

// externalAlertmanager returns the configuration that sends alerts to an Alertmanager outside.
func externalAlertmanager(address string) ([]byte, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("parse the address of Alertmanager: %w", err)
	}
	host := u.Host
	if u.Port() == "" {
		port := "80"
		if u.Scheme == "https" {
			port = "443"
		}
		host += ":" + port
	}
	return yaml.Marshal([]alertmanagerConfig{{
		Scheme: u.Scheme, PathPrefix: strings.TrimSuffix(u.Path, "/"), APIVersion: "v2",
		StaticConfigs: []staticConfig{{Targets: []string{host}}},
	}})
}

func keep(regex string, labels ...string) relabelConfig {
	return relabelConfig{Action: "keep", SourceLabels: labels, Regex: regex}
}

func drop(regex string, labels ...string) relabelConfig {
	return relabelConfig{Action: "drop", SourceLabels: labels, Regex: regex}
}

// set gives the target label a constant value.
func set(target, value string) relabelConfig {
	return relabelConfig{TargetLabel: target, Replacement: value}
}

// from copies a label to the target label.
func from(source, target string) relabelConfig {
	return relabelConfig{SourceLabels: []string{source}, TargetLabel: target}
}
