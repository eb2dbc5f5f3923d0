package trial

import (
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/kubebot/kubebot/internal/mask"
	"github.com/kubebot/kubebot/internal/truncate"
)

const (
	// wordsLength is how much of a program's words a message holds, in bytes.
	wordsLength = 600
	// leastSecret is the length from which the value of a setting with a secret's name is looked for in the words.
	leastSecret = 4
)

// words makes of what the program said a text for a condition: explained, without secrets, and short.
func (s Subject) words(input, said string) string {
	text := strings.Join(strings.Fields(s.Explain(input, said)), " ")
	if text == "" {
		text = "it says nothing of why"
	}
	for _, secret := range secrets(input) {
		text = strings.ReplaceAll(text, secret, mask.Hidden)
	}
	return truncate.Ellipsis(mask.Text(text), wordsLength)
}

// secrets are the values in a user's YAML whose keys say that they are secret.
func secrets(input string) []string {
	var doc yaml.Node
	if yaml.Unmarshal([]byte(input), &doc) != nil {
		return nil
	}
	var found []string
	var walk func(key string, n *yaml.Node)
	walk = func(key string, n *yaml.Node) {
		switch n.Kind {
		case yaml.MappingNode:
			for i := 0; i+1 < len(n.Content); i += 2 {
				walk(n.Content[i].Value, n.Content[i+1])
			}
		case yaml.ScalarNode:
			if len(n.Value) >= leastSecret && mask.Value(key, n.Value) == mask.Hidden {
				found = append(found, n.Value)
			}
		default:
			for _, item := range n.Content {
				walk(key, item)
			}
		}
	}
	walk("", &doc)
	return found
}
