// Package responder runs the responder: the process that turns alerts into Incidents and messages.
package responder

import (
	"fmt"
	"os"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/decide"
	"github.com/kubebot/kubebot/internal/notify/slack/interactive"
	"github.com/kubebot/kubebot/internal/pipeline"
	"github.com/kubebot/kubebot/internal/pipeline/config"
)

// Options of the responder.
type Options struct {
	// ConfigFile is the configuration that the manager writes.
	ConfigFile string
	// Listen is the address of the HTTPS server for the webhook and the report.
	Listen string
	// MetricsBindAddress and HealthProbeBindAddress are plain HTTP; empty or 0 serves none.
	MetricsBindAddress, HealthProbeBindAddress string
	// InteractionsBindAddress takes Slack's signed requests by plain HTTP; empty or 0 serves none.
	InteractionsBindAddress string
	// CredentialsDir holds the bearer tokens and the serving certificate; empty for where the manager mounts it.
	CredentialsDir string
	// PodName names the replica, PodNamespace is the namespace that it runs in.
	PodName, PodNamespace string
	// REST configures the connection to the API server.
	REST *rest.Config
	// Registry takes the metrics and serves them; nil for a new one.
	Registry *prometheus.Registry
	// Sinks by type of receiver; nil for those of Sinks.
	Sinks map[string]SinkFactory
	// Apps are the Slack apps whose buttons are in messages; nil for those of the configuration.
	Apps []*interactive.App
	// Analyse looks for causes; nil for what the configuration asks for.
	Analyse pipeline.Analyst
	Log     logr.Logger
}

// load reads the configuration and returns it with the rules that it holds and the problems in it that are worked
// around, each a sentence.
func load(path string) (config.Config, decide.Rules, []string, error) {
	var c config.Config
	data, err := os.ReadFile(path)
	if err != nil {
		return c, decide.Rules{}, nil, fmt.Errorf("read the configuration: %w", err)
	}
	if err := yaml.Unmarshal(data, &c); err != nil {
		return c, decide.Rules{}, nil, fmt.Errorf("read the configuration %s: %w", path, err)
	}
	if c.KubeBot == "" || c.Namespace == "" || c.UID == "" {
		return c, decide.Rules{}, nil, fmt.Errorf("read the configuration %s: kubeBot, namespace and uid must be set", path)
	}
	rules, problems := rulesOf(c)
	return c, rules, problems, nil
}

// rulesOf returns the decision rules of a configuration. A mute time that can't be read never holds: a push too much is
// better than one too few.
func rulesOf(c config.Config) (decide.Rules, []string) {
	rules := decide.Rules{
		Routes: c.Routes, Mutes: map[string]decide.Mute{}, DigestEvery: time.Duration(c.DigestSeconds) * time.Second, StormAbove: c.StormAbove,
		PushAfter: time.Duration(c.PushAfterSeconds) * time.Second,
		NoStorm:   map[string]bool{}, NoDigest: map[string]bool{}, QuietStart: c.QuietStart == v1alpha1.SwitchEnabled,
	}
	var problems []string
	for _, r := range c.Receivers {
		rules.Receivers = append(rules.Receivers, r.Name)
		kind := typeOf(r)
		rules.NoStorm[r.Name], rules.NoDigest[r.Name] = oneByOne(kind), readByPrograms[kind]
	}
	for _, m := range c.MuteTimes {
		mute, err := decide.NewMute(m)
		if err != nil {
			problems = append(problems, err.Error())
			continue
		}
		rules.Mutes[m.Name] = mute
	}
	return rules, problems
}

// damping is when an incident that comes back is kept open.
func damping(c config.Config) decide.Damping {
	f := c.Flapping
	return decide.Damping{Times: f.Times, Within: time.Duration(f.WithinSeconds) * time.Second, Calm: time.Duration(f.CalmSeconds) * time.Second}
}
