package collector

import (
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/component/otelcol"
	"github.com/kubebot/kubebot/internal/component/pods"
	"github.com/kubebot/kubebot/internal/component/trial"
)

const (
	extraField    = field + ".extraConfig"
	extraEnvField = field + ".extraEnv"
)

// decide says which configuration the samplers run: the user's part gets into it when the collector takes it.
func decide(in component.Input) (trial.Decision, error) {
	s := in.KubeBot.Spec.Traces.Collector
	return trial.Decide(in, trial.Subject{
		Component: name, Field: extraField, Program: "the collector", Input: s.ExtraConfig,
		Render:   func(extra string) (trial.Candidate, error) { return candidate(in, extra) },
		Explain:  otelcol.Explain,
		Settings: s.PodSettings,
		Steps:    []trial.Step{{Name: "validate", Args: otelcol.Validate()}},
		Dir:      otelcol.ConfigDir,
		Folders:  []string{otelcol.DataDir},
		Variables: map[string]string{
			otelcol.VariablePodIP: "127.0.0.1", otelcol.VariablePodName: samplerName + "-0",
		},
		Secrets: s.ExtraEnv, SecretsField: extraEnvField, Idle: []string{"--version"},
	})
}

// candidate is the configuration of the samplers with a user's part merged over it.
func candidate(in component.Input, extra string) (trial.Candidate, error) {
	kb, s := in.KubeBot, in.KubeBot.Spec.Traces.Collector
	img, err := pods.Image(in, field, otelcol.Image, s.PodSettings)
	if err != nil {
		return trial.Candidate{}, err
	}
	volume, err := pods.NewVolume(kb, name, field+".storage", s.Storage, emptyDirLimit)
	if err != nil {
		return trial.Candidate{}, err
	}
	c, err := samplerConfig(kb, in.Room(name, volume.Bytes))
	if err != nil {
		return trial.Candidate{}, err
	}
	if extra != "" {
		c.Processors[idExtra] = otelcol.Batch{} // of no size: it hands each request on, and nothing waits in it
	}
	text, err := c.YAML()
	if err == nil && extra != "" {
		text, err = merge(text, extra)
	}
	return trial.Candidate{Input: extra, Image: img, Files: otelcol.ConfigData(text)}, err
}

// merge puts a user's part over the own configuration and checks what can be told without the program. A batch processor
// stands at the end of the user's pipelines as in the archive's, so that a store of theirs keeps nothing else waiting.
func merge(own, extra string) (string, error) {
	text, err := otelcol.Merge(own, extra)
	if err == nil {
		_, err = otelcol.Check(text)
	}
	if err != nil {
		return "", &component.InvalidError{Field: extraField, Message: otelcol.Explain(extra, err.Error()) + ": correct it, or take it out"}
	}
	return otelcol.Detach(own, text, otelcol.OTLPID, idExtra)
}
