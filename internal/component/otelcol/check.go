package otelcol

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	otelcomponent "go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/pipeline"
)

// outline is what of a configuration is the same for every component: which there are, and what leads where.
type outline struct {
	Extensions map[otelcomponent.ID]any `mapstructure:"extensions"`
	Receivers  map[otelcomponent.ID]any `mapstructure:"receivers"`
	Processors map[otelcomponent.ID]any `mapstructure:"processors"`
	Exporters  map[otelcomponent.ID]any `mapstructure:"exporters"`
	Connectors map[otelcomponent.ID]any `mapstructure:"connectors"`
	Service    struct {
		Extensions []otelcomponent.ID `mapstructure:"extensions"`
		Telemetry  map[string]any     `mapstructure:"telemetry"`
		Pipelines  map[pipeline.ID]struct {
			Receivers  []otelcomponent.ID `mapstructure:"receivers"`
			Processors []otelcomponent.ID `mapstructure:"processors"`
			Exporters  []otelcomponent.ID `mapstructure:"exporters"`
		} `mapstructure:"pipelines"`
	} `mapstructure:"service"`
}

// Used is a component that a configuration uses: receiver, processor, exporter, connector or extension, and its type.
type Used struct{ Kind, Type string }

// Check reads a configuration as the collector does and returns the components it uses, sorted. It fails for what has not
// the form of a configuration, and for pipelines that name what is not defined or lead nowhere. It does not know the
// settings of the single components: only the collector itself does.
func Check(text string) ([]Used, error) {
	conf, err := parse(text)
	if err != nil {
		return nil, err
	}
	var o outline
	if err := conf.Unmarshal(&o); err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	return o.used(), nil
}

func parse(text string) (*confmap.Conf, error) {
	retrieved, err := confmap.NewRetrievedFromYAML([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("read YAML: %w", err)
	}
	conf, err := retrieved.AsConf()
	if err != nil {
		return nil, fmt.Errorf("this is not a configuration: %w", err)
	}
	return conf, nil
}

func (o outline) check() error {
	var problems []error
	defined := func(what string, ids []otelcomponent.ID, in ...map[otelcomponent.ID]any) {
		for _, id := range ids {
			if !slices.ContainsFunc(in, func(m map[otelcomponent.ID]any) bool { _, ok := m[id]; return ok }) {
				problems = append(problems, fmt.Errorf("%s names %s, which is not defined", what, id))
			}
		}
	}
	defined("service.extensions", o.Service.Extensions, o.Extensions)
	if len(o.Service.Pipelines) == 0 {
		problems = append(problems, errors.New("service.pipelines is empty"))
	}
	for _, id := range slices.SortedFunc(maps.Keys(o.Service.Pipelines), func(a, b pipeline.ID) int { return strings.Compare(a.String(), b.String()) }) {
		p, where := o.Service.Pipelines[id], "service.pipelines."+id.String()
		if len(p.Receivers) == 0 || len(p.Exporters) == 0 {
			problems = append(problems, fmt.Errorf("%s needs a receiver and an exporter", where))
		}
		defined(where+".receivers", p.Receivers, o.Receivers, o.Connectors)
		defined(where+".processors", p.Processors, o.Processors)
		defined(where+".exporters", p.Exporters, o.Exporters, o.Connectors)
	}
	return errors.Join(problems...)
}

func (o outline) used() []Used {
	var all []Used
	for kind, ids := range map[string]map[otelcomponent.ID]any{
		"extension": o.Extensions, "receiver": o.Receivers, "processor": o.Processors, "exporter": o.Exporters, "connector": o.Connectors,
	} {
		for id := range ids {
			all = append(all, Used{kind, id.Type().String()})
		}
	}
	slices.SortFunc(all, func(a, b Used) int { return strings.Compare(a.Kind+" "+a.Type, b.Kind+" "+b.Type) })
	return slices.Compact(all)
}

// Detach puts a processor at the end of those pipelines of merged that base has not and that take from a receiver, unless
// they have one of its type: what such a pipeline can't send is then no reason for the receiver's clients to repeat what
// the others have taken.
func Detach(base, merged, receiver, processor string) (string, error) {
	own, err := parse(base)
	if err != nil {
		return "", fmt.Errorf("parse the own configuration: %w", err)
	}
	conf, err := parse(merged)
	if err != nil {
		return "", fmt.Errorf("parse the merged configuration: %w", err)
	}
	const pipelines = "service::pipelines"
	known, _ := own.Get(pipelines).(map[string]any)
	all, ok := conf.Get(pipelines).(map[string]any)
	if !ok {
		return merged, nil
	}
	of, _, _ := strings.Cut(processor, "/")
	for name, p := range all {
		theirs, ok := p.(map[string]any)
		if _, isOwn := known[name]; isOwn || !ok {
			continue
		}
		receivers, _ := theirs["receivers"].([]any)
		processors, _ := theirs["processors"].([]any)
		same := func(id any) bool { return id == of || strings.HasPrefix(fmt.Sprint(id), of+"/") }
		if slices.Contains(receivers, any(receiver)) && !slices.ContainsFunc(processors, same) {
			theirs["processors"] = append(slices.Clip(processors), processor)
		}
	}
	changed := confmap.NewFromStringMap(map[string]any{"service": map[string]any{"pipelines": all}})
	if err := conf.Merge(changed); err != nil {
		return "", fmt.Errorf("merge the pipelines: %w", err)
	}
	return marshal(conf.ToStringMap())
}

// Merge returns base with the YAML of extra over it, as the collector merges several files: maps are joined, everything
// else is replaced. Only the list service.extensions is joined too, so that none of base's is lost. An error speaks of
// extra.
func Merge(base, extra string) (string, error) {
	conf, err := parse(base)
	if err != nil {
		return "", fmt.Errorf("parse the own configuration: %w", err)
	}
	over, err := parse(extra)
	if err != nil {
		return "", err
	}
	const extensions = "service::extensions"
	own, _ := conf.Get(extensions).([]any)
	if err := conf.Merge(over); err != nil {
		return "", fmt.Errorf("merge: %w", err)
	}
	if theirs, ok := over.Get(extensions).([]any); ok {
		for _, id := range theirs {
			if !slices.Contains(own, id) {
				own = append(own, id)
			}
		}
		joined := confmap.NewFromStringMap(map[string]any{"service": map[string]any{"extensions": own}})
		if err := conf.Merge(joined); err != nil {
			return "", fmt.Errorf("merge the extensions: %w", err)
		}
	}
	return marshal(conf.ToStringMap())
}
