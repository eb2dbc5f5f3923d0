package fluentbit

import (
	_ "embed"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/kubebot/kubebot/internal/component"
)

const filtersField = field + ".extraFilters"

//go:embed schema.txt
var schemaText string

// plugins are the properties of each plugin of a kind, from schema.txt.
func plugins(kind string) map[string][]string {
	all := map[string][]string{}
	for line := range strings.Lines(schemaText) {
		words := strings.Fields(line)
		if len(words) > 1 && words[0] == kind {
			all[words[1]] = words[2:]
		}
	}
	return all
}

// yamlLine finds the line in an error of the YAML parser, which can't be had in another way.
var yamlLine = regexp.MustCompile(`line (\d+)`)

// parseFilters reads the user's filters. The error is an InvalidError that names the line and what to do. What only the
// program knows, such as whether a pattern is right, a trial finds out.
func parseFilters(text string) ([]*yaml.Node, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		where := "it"
		if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
			where = "line " + m[1]
		}
		return nil, invalid("%s is not YAML: %s", where, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if len(doc.Content) == 0 {
		return nil, nil
	}
	list := doc.Content[0]
	if list.Kind != yaml.SequenceNode {
		return nil, invalid("line %d: this must be a list of filters: begin each with - name: and the filter's name", list.Line)
	}
	filters := make([]*yaml.Node, 0, len(list.Content))
	for _, item := range list.Content {
		f, err := parseFilter(item)
		if err != nil {
			return nil, err
		}
		filters = append(filters, f)
	}
	return filters, nil
}

// parseFilter takes a filter with its properties in the order in which they are written, which some filters obey.
func parseFilter(item *yaml.Node) (*yaml.Node, error) {
	if item.Kind != yaml.MappingNode {
		return nil, invalid("line %d: a filter must be a mapping: begin it with - name: and the filter's name", item.Line)
	}
	f := &yaml.Node{Kind: yaml.MappingNode}
	lines := map[string]int{}
	var named string
	for i := 0; i+1 < len(item.Content); i += 2 {
		key, value := item.Content[i], item.Content[i+1]
		if key.Kind != yaml.ScalarNode {
			return nil, invalid("line %d: the name of a property must be a word", key.Line)
		}
		property := strings.ToLower(key.Value)
		if lines[property] != 0 {
			return nil, invalid("line %d: %s is there twice: give several values as a list", key.Line, property)
		}
		v, err := parseValue(property, value)
		if err != nil {
			return nil, err
		}
		if property == "name" {
			named = strings.ToLower(v.Value)
		}
		lines[property] = key.Line
		f.Content = append(f.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: property}, v)
	}
	return f, checkFilter(item.Line, named, lines)
}

// parseValue takes a scalar or a list of scalars, as they are written, without comments.
func parseValue(property string, value *yaml.Node) (*yaml.Node, error) {
	switch value.Kind {
	case yaml.ScalarNode:
		if value.Tag == "!!null" {
			return nil, invalid("line %d: %s has no value: give one or take the line out", value.Line, property)
		}
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: value.Tag, Value: value.Value}, nil
	case yaml.SequenceNode:
		list := &yaml.Node{Kind: yaml.SequenceNode}
		for _, v := range value.Content {
			if v.Kind != yaml.ScalarNode || v.Tag == "!!null" {
				return nil, invalid("line %d: a value of %s must be a text or a number", v.Line, property)
			}
			list.Content = append(list.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: v.Tag, Value: v.Value})
		}
		if len(list.Content) > 0 {
			return list, nil
		}
	}
	return nil, invalid("line %d: the value of %s must be a text, a number or a list of them", value.Line, property)
}

// checkFilter compares a filter with what the program has. The lines are those of its properties.
func checkFilter(line int, name string, lines map[string]int) error {
	if name == "" {
		return invalid("line %d: a filter needs a name, such as name: grep", line)
	}
	known := plugins("filter")
	properties, ok := known[name]
	if !ok {
		return invalid("line %d: Fluent Bit has no filter %s: take one of %s", lines["name"], name, strings.Join(slices.Sorted(maps.Keys(known)), ", "))
	}
	for _, property := range slices.SortedFunc(maps.Keys(lines), func(a, b string) int { return lines[a] - lines[b] }) {
		if property != "name" && !slices.Contains(properties, property) {
			return invalid("line %d: the filter %s has no property %s: take one of %s", lines[property], name, property, strings.Join(properties, ", "))
		}
	}
	if lines["match"] == 0 && lines["match_regex"] == 0 {
		return invalid("line %d: the filter %s says nothing of which lines it is for: add match: %s*", line, name, tagPrefix)
	}
	return nil
}

func invalid(format string, args ...any) error {
	return &component.InvalidError{Field: filtersField, Message: fmt.Sprintf(format, args...)}
}
