package prometheus

import (
	"fmt"
	"net/url"
	"strings"

	"sigs.k8s.io/yaml"
)

// The structs below are the parts of Prometheus' configuration that KubeBot writes itself
// (https://prometheus.io/docs/prometheus/latest/configuration/configuration/); the operator writes the rest.

type scrapeConfig struct {
	JobName              string          `json:"job_name"`
	HonorLabels          bool            `json:"honor_labels,omitempty"`
	Scheme               string          `json:"scheme,omitempty"`
	MetricsPath          string          `json:"metrics_path,omitempty"`
	SampleLimit          int             `json:"sample_limit,omitempty"`
	Authorization        *authorization  `json:"authorization,omitempty"`
	TLSConfig            *tlsConfig      `json:"tls_config,omitempty"`
	KubernetesSDConfigs  []kubernetesSD  `json:"kubernetes_sd_configs"`
	RelabelConfigs       []relabelConfig `json:"relabel_configs,omitempty"`
	MetricRelabelConfigs []relabelConfig `json:"metric_relabel_configs,omitempty"`
}

type authorization struct {
	CredentialsFile string `json:"credentials_file"`
}

type tlsConfig struct {
	CAFile             string `json:"ca_file,omitempty"`
	ServerName         string `json:"server_name,omitempty"`
	InsecureSkipVerify bool   `json:"insecure_skip_verify,omitempty"`
}

type kubernetesSD struct {
	Role       string        `json:"role"`
	Namespaces *sdNamespaces `json:"namespaces,omitempty"`
	Selectors  []sdSelector  `json:"selectors,omitempty"`
}

type sdNamespaces struct {
	Names []string `json:"names"`
}

type sdSelector struct {
	Role  string `json:"role"`
	Label string `json:"label"`
}

type relabelConfig struct {
	Action       string   `json:"action,omitempty"`
	SourceLabels []string `json:"source_labels,omitempty"`
	Regex        string   `json:"regex,omitempty"`
	TargetLabel  string   `json:"target_label,omitempty"`
	Replacement  string   `json:"replacement,omitempty"`
}

type alertmanagerConfig struct {
	Scheme        string         `json:"scheme"`
	PathPrefix    string         `json:"path_prefix,omitempty"`
	APIVersion    string         `json:"api_version"`
	StaticConfigs []staticConfig `json:"static_configs"`
}

type staticConfig struct {
	Targets []string `json:"targets"`
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
