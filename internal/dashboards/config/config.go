// Package config is what `kubebot dashboards` is told and what it says of itself: the contract between that process and
// the component grafana. Everything here is pure.
package config

import (
	"fmt"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/kubebot/kubebot/internal/component/grafana/dashboards"
	"github.com/kubebot/kubebot/internal/naming"
)

// Where the process finds its files. The Secrets' keys and the ConfigMaps are mounted under these names.
const (
	// Path of the configuration.
	Path = "/etc/kubebot/dashboards/config.yaml"
	// CredentialsDir holds the files UserFile and PasswordFile, or TokenFile.
	CredentialsDir = "/etc/kubebot/grafana"
	UserFile       = "user"
	PasswordFile   = "password"
	TokenFile      = "token"
	// ExtraDir holds <name>.json of each extra dashboard.
	ExtraDir = "/etc/kubebot/extra"
)

// StatusPath is where the process serves its Report.
const StatusPath = "/api/v1/status"

// Interval is how often the process looks whether Grafana still has what it should.
const Interval = 30 * time.Second

// Timeout bounds one look.
const Timeout = time.Minute

// Patience is how old a report may be: three intervals and the time that a look may take.
const Patience = 3*Interval + Timeout

// Config is what the process is told. It holds no secret.
type Config struct {
	// URL of Grafana.
	URL string `json:"url"`
	// Prefix begins the UIDs of everything that is KubeBot's in that Grafana.
	Prefix string `json:"prefix"`
	// ClusterName that the dashboards tell of.
	ClusterName string `json:"clusterName"`
	// ScrapeInterval is Prometheus', as it writes durations.
	ScrapeInterval string `json:"scrapeInterval"`
	// Own tells that Grafana is the KubeBot's own: its home dashboard and default data source may be set.
	Own bool `json:"own,omitempty"`
	// User is the user's name, where it is no secret.
	User string `json:"user,omitempty"`
	// Secrets name where the credentials come from, for messages.
	Secrets Secrets `json:"secrets"`
	// Stores are the data sources.
	Stores Stores `json:"stores"`
	// Extra are dashboards of the user's.
	Extra []Extra `json:"extra,omitempty"`
}

// Secrets name the Secrets and keys of the credentials.
type Secrets struct {
	User     *Ref `json:"user,omitempty"`
	Password *Ref `json:"password,omitempty"`
	Token    *Ref `json:"token,omitempty"`
}

// Ref names a key of a Secret or ConfigMap.
type Ref struct {
	Name string `json:"name"`
	Key  string `json:"key"`
}

// Stores are addresses of data sources; an empty one is not there.
type Stores struct {
	Prometheus   string `json:"prometheus,omitempty"`
	Alertmanager string `json:"alertmanager,omitempty"`
	Loki         string `json:"loki,omitempty"`
	// LokiTenant is sent as X-Scope-OrgID.
	LokiTenant string `json:"lokiTenant,omitempty"`
	Jaeger     string `json:"jaeger,omitempty"`
}

// Extra is a dashboard of the user's.
type Extra struct {
	Name string `json:"name"`
	// ConfigMap that it comes from, for messages.
	ConfigMap Ref `json:"configMap"`
}

// Options are those of the dashboards.
func (c Config) Options() dashboards.Options {
	o := dashboards.Options{Prefix: c.Prefix, ClusterName: c.ClusterName, ScrapeInterval: c.ScrapeInterval}
	for _, s := range []struct {
		store   dashboards.Store
		address string
	}{
		{dashboards.Prometheus, c.Stores.Prometheus}, {dashboards.Alertmanager, c.Stores.Alertmanager},
		{dashboards.Loki, c.Stores.Loki}, {dashboards.Jaeger, c.Stores.Jaeger},
	} {
		if s.address != "" {
			o.Stores = append(o.Stores, s.store)
		}
	}
	return o
}

// Hash of the configuration: a report with another one tells of an older configuration.
func (c Config) Hash() (string, error) { return naming.Hash(c) }

// Marshal writes the configuration.
func (c Config) Marshal() (string, error) {
	data, err := yaml.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("marshal the configuration of the dashboards: %w", err)
	}
	return string(data), nil
}

// Parse reads a configuration; an unknown field is an error.
func Parse(data []byte) (Config, error) {
	var c Config
	if err := yaml.UnmarshalStrict(data, &c); err != nil {
		return Config{}, fmt.Errorf("parse the configuration of the dashboards: %w", err)
	}
	return c, nil
}

// Report is what the process says of its last look at Grafana.
type Report struct {
	// ConfigHash of the configuration that was in use.
	ConfigHash string `json:"configHash"`
	// Looked is when the last look ended; zero before the first.
	Looked time.Time `json:"looked"`
	// Trouble is why Grafana has not all that it should have; empty when it has.
	Trouble Trouble `json:"trouble,omitempty"`
	// Message says the trouble in a sentence, with what to do. It holds no secret, time or random name.
	Message string `json:"message,omitempty"`
	// Problems are extra dashboards that are left out, each with the reason.
	Problems []string `json:"problems,omitempty"`
	// GrafanaVersion that answered.
	GrafanaVersion string `json:"grafanaVersion,omitempty"`
	// DataSources and Dashboards are how many of KubeBot's Grafana has.
	DataSources int `json:"dataSources"`
	Dashboards  int `json:"dashboards"`
}

// Trouble is a kind of trouble.
type Trouble string

// Kinds of trouble.
const (
	// Unreachable: no answer from Grafana, or none of its.
	Unreachable Trouble = "Unreachable"
	// SecretMissing: a Secret or key of the credentials is not there.
	SecretMissing Trouble = "SecretMissing"
	// Refused: Grafana does not take the credentials (401), or they may not do what is needed (403).
	Refused Trouble = "Refused"
	// Failed: Grafana refuses a data source, a folder or a dashboard.
	Failed Trouble = "Failed"
)

// Troubles are all kinds.
var Troubles = []Trouble{Unreachable, SecretMissing, Refused, Failed}
