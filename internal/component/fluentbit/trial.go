package fluentbit

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/component/pods"
	"github.com/kubebot/kubebot/internal/component/trial"
)

const (
	// keyTrial is the file of the trial's own configuration, keyLine that with the line that it reads.
	keyTrial = "trial.yaml"
	keyLine  = "line.log"
	line     = `{"level":"info","msg":"a line to try filters with"}` + "\n"
)

// decide says which configuration runs: the user's filters get into it when the program takes them. It starts with the
// filters, because only then it looks at patterns and scripts, and then checks the whole configuration.
func decide(in component.Input) (trial.Decision, error) {
	s := in.KubeBot.Spec.Logs.FluentBit
	config := func(key string) string { return "--config=" + configDir + "/" + key }
	return trial.Decide(in, trial.Subject{
		Component: name, Field: filtersField, Program: "Fluent Bit", Input: s.ExtraFilters,
		Render:   func(filters string) (trial.Candidate, error) { return candidate(in, filters) },
		Explain:  explain,
		Settings: s.PodSettings,
		Steps: []trial.Step{
			{Name: "start", Command: []string{program}, Args: []string{config(keyTrial)}},
			{Name: "dry-run", Command: []string{program}, Args: []string{"--dry-run", config(keyConfig)}},
		},
		Dir:       configDir,
		Folders:   []string{logsDir, stateDir},
		Variables: map[string]string{"NODE_NAME": "node", "POD_IP": "127.0.0.1"},
	})
}

// candidate is the configuration with a user's filters.
func candidate(in component.Input, filters string) (trial.Candidate, error) {
	s := in.KubeBot.Spec.Logs.FluentBit
	img, err := pods.Image(in, field, image, s.PodSettings)
	if err != nil {
		return trial.Candidate{}, err
	}
	limit, err := buffer(s)
	if err != nil {
		return trial.Candidate{}, err
	}
	own, err := parseFilters(filters)
	if err != nil {
		return trial.Candidate{}, err
	}
	c := newConfig(in, limit, own)
	text, err := c.marshal()
	if err != nil {
		return trial.Candidate{}, err
	}
	trying, err := c.trial(own)
	return trial.Candidate{
		Input: filters, Image: img,
		Files:      map[string]string{keyConfig: text, keyShape: shape},
		TrialFiles: map[string]string{keyTrial: trying, keyLine: line},
	}, err
}

type trialConfig struct {
	Service          trialService      `yaml:"service"`
	Parsers          []parser          `yaml:"parsers"`
	MultilineParsers []multilineParser `yaml:"multiline_parsers"`
	Pipeline         trialPipeline     `yaml:"pipeline"`
}

type trialService struct {
	Flush    int    `yaml:"flush"`
	Grace    int    `yaml:"grace"`
	LogLevel string `yaml:"log_level"`
}

type trialPipeline struct {
	Inputs  []trialTail  `yaml:"inputs"`
	Filters []*yaml.Node `yaml:"filters"`
	Outputs []output     `yaml:"outputs"`
}

type trialTail struct {
	Name         string `yaml:"name"`
	Path         string `yaml:"path"`
	Tag          string `yaml:"tag"`
	ReadFromHead bool   `yaml:"read_from_head"`
	ExitOnEOF    bool   `yaml:"exit_on_eof"`
}

type output struct {
	Name  string `yaml:"name"`
	Match string `yaml:"match"`
}

// trial is a configuration by which the program starts with the user's filters, reads one line and ends.
func (c config) trial(own []*yaml.Node) (string, error) {
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	err := encoder.Encode(trialConfig{
		Service: trialService{Flush: 1, Grace: 1, LogLevel: "warn"},
		Parsers: c.Parsers, MultilineParsers: c.MultilineParsers,
		Pipeline: trialPipeline{
			Inputs: []trialTail{{
				Name: "tail", Path: configDir + "/" + keyLine, Tag: tagPrefix + "namespace_pod_uid_container", ReadFromHead: true, ExitOnEOF: true,
			}},
			Filters: own,
			Outputs: []output{{Name: "null", Match: "*"}},
		},
	})
	if err != nil {
		return "", fmt.Errorf("marshal the configuration of Fluent Bit's trial: %w", err)
	}
	return out.String(), nil
}

var (
	// entry is a line of the program's log that tells of an error.
	entry = regexp.MustCompile(`(?m)^\[[^\]]*\] \[ *error\] (.*)$`)
	// instance is how it calls a filter, by its name and its number in the list, or by its alias.
	instance = regexp.MustCompile(`\[filter:(\w+):([^\]]+)\]|on filter (\w+)\.(\d+)|initialize filter ([^\s]+)`)
	// end is what it says in the end, whatever the error was.
	end = regexp.MustCompile(`^\[(?:engine|reload)\] |^Failed (?:initialize|pre_run callback on) `)
)

// explain makes of the program's log the errors, behind the line of the user's filter of which they tell.
func explain(filters, said string) string {
	var errors []string
	line := 0
	for _, m := range entry.FindAllStringSubmatch(said, -1) {
		if line == 0 {
			line = lineOf(filters, m[1])
		}
		if !end.MatchString(m[1]) {
			errors = append(errors, m[1])
		}
	}
	text := strings.Join(errors, "; ")
	if text == "" {
		text = strings.Join(strings.Fields(said), " ")
	}
	if line > 0 {
		return fmt.Sprintf("line %d: %s", line, text)
	}
	return text
}

// lineOf returns the line of the user's filter that an error names, or 0.
func lineOf(text, said string) int {
	m := instance.FindStringSubmatch(said)
	if m == nil {
		return 0
	}
	called := m[2] + m[5]
	if m[3] != "" {
		called = m[3] + "." + m[4]
	}
	var list []yaml.Node
	if yaml.Unmarshal([]byte(text), &list) != nil {
		return 0
	}
	for n, item := range list {
		properties := map[string]string{}
		for i := 0; i+1 < len(item.Content); i += 2 {
			properties[strings.ToLower(item.Content[i].Value)] = item.Content[i+1].Value
		}
		number := strings.ToLower(properties["name"]) + "." + strconv.Itoa(n)
		if slices.Contains([]string{number, properties["alias"]}, called) {
			return item.Line
		}
	}
	return 0
}
