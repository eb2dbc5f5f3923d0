package diagnosis

import (
	"encoding/json"
	"strings"
)

// Kubectl writes a kubectl command for a namespace (none when empty), with every argument quoted for a POSIX shell
// where that is needed.
func Kubectl(namespace string, args ...string) string {
	words := []string{"kubectl"}
	if namespace != "" {
		words = append(words, "-n", Quote(namespace))
	}
	for _, a := range args {
		words = append(words, Quote(a))
	}
	return strings.Join(words, " ")
}

// Quote quotes a word for a POSIX shell if it needs it.
func Quote(word string) string {
	plain := word != "" && strings.IndexFunc(word, func(r rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=./:,@%+", r)
	}) < 0
	if plain {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// Operation is one operation of a JSON patch.
type Operation struct {
	Op   string `json:"op"`
	Path string `json:"path"`
	// From is the pointer of what a copy copies.
	From  string `json:"from,omitempty"`
	Value any    `json:"value,omitempty"`
}

// Replace replaces a value where it still is the old one: the place may be another element of its list by then.
func Replace(path string, old, value any) []Operation {
	return []Operation{{Op: "test", Path: path, Value: old}, {Op: "replace", Path: path, Value: value}}
}

// JSONPatch makes a JSON patch of an object.
func JSONPatch(o Object, operations ...Operation) Patch {
	body, err := json.Marshal(operations)
	if err != nil {
		panic("marshal patch: " + err.Error()) // only plain values are put into operations
	}
	return Patch{Object: o, Type: "json", Body: string(body)}
}

// FixBy makes a fix from patches, their commands first and then the others.
func FixBy(explanation string, patches []Patch, commands ...string) Fix {
	fix := Fix{Explanation: explanation, Patches: patches}
	for _, p := range patches {
		fix.Commands = append(fix.Commands, p.Command())
	}
	fix.Commands = append(fix.Commands, commands...)
	return fix
}
