package otelcol

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Words of the collector's that say nothing of the configuration.
var (
	// again begins the repetition of an error, with the time, by which the collector ends.
	again = regexp.MustCompile(`(?m)^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d (?:[a-z ]+: )?`)
	// frame is what the collector wraps its errors in.
	frame = regexp.MustCompile(
		`(?:failed to get config: )?cannot unmarshal the configuration: |(?:^|\s)\d+ error\(s\) decoding:|decoding failed due to the following error\(s\):`)
	// offered are names that an error lists as those that would be right.
	offered = regexp.MustCompile(`\(valid values: [^)]*\)|\[[^\]]*\]`)
	// name is where an error names keys: in quotes, in a path such as processors::batch, in a list of keys.
	name = regexp.MustCompile("'[^']+'|\"[^\"]+\"|`[^`]+`|" + `[\w./-]+(?:::[\w./-]+)+|invalid keys: [\w./, -]+`)
	// word is what can be a key or the ID of a component.
	word = regexp.MustCompile(`[\w./-]+`)
)

// Explain makes of what the collector said when it refused a configuration its error alone, behind the line of the user's
// part, of which the error speaks, as far as that can be told.
func Explain(input, said string) string {
	text := said
	if _, after, found := strings.Cut(text, "Error: "); found {
		text = after
		if at := again.FindStringIndex(text); at != nil {
			text = text[:at[0]]
		}
	} else if at := again.FindStringIndex(text); at != nil {
		text = text[at[1]:] // the beginning is lost: only the end of long words is kept
	}
	text = strings.Join(strings.Fields(frame.ReplaceAllString(text, " ")), " ")
	if line := lineOf(input, text); line > 0 {
		return fmt.Sprintf("line %d: %s", line, text)
	}
	return text
}

// lineOf returns the line of the user's key of which an error speaks, or 0: of the keys that the error names, the one of
// which it also names most of the keys above.
func lineOf(input, text string) int {
	var doc yaml.Node
	if yaml.Unmarshal([]byte(input), &doc) != nil || len(doc.Content) == 0 {
		return 0
	}
	named := map[string]bool{}
	for _, names := range name.FindAllString(offered.ReplaceAllString(text, ""), -1) {
		for _, w := range word.FindAllString(names, -1) {
			named[w] = true
			for part := range strings.SplitSeq(w, ".") {
				named[part] = true
			}
		}
	}
	line, best := 0, 0
	var walk func(n *yaml.Node, above []string)
	walk = func(n *yaml.Node, above []string) {
		switch n.Kind {
		case yaml.SequenceNode:
			for _, item := range n.Content {
				walk(item, above)
			}
		case yaml.MappingNode:
			for i := 0; i+1 < len(n.Content); i += 2 {
				key := n.Content[i]
				path := append(slices.Clone(above), key.Value)
				if score := namedIn(path, named); score > best {
					line, best = key.Line, score
				}
				walk(n.Content[i+1], path)
			}
		}
	}
	walk(doc.Content[0], nil)
	return line
}

// namedIn counts the keys of a path that are named. The last one must be; of a component both its kind and its ID must be.
func namedIn(path []string, named map[string]bool) int {
	if !named[path[len(path)-1]] {
		return 0
	}
	score := 0
	for i, key := range path {
		switch {
		case named[key]:
			score++
		case i < 2:
			return 0
		}
	}
	return score
}
