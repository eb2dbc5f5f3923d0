package weights_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kubebot/kubebot/internal/rca"
	"github.com/kubebot/kubebot/internal/rca/detectors"
	"github.com/kubebot/kubebot/internal/rca/weights"
)

// documents hold the versions 2 and 1, told apart by the command that made them.
func documents(t testing.TB, pinned string) map[string]string {
	t.Helper()
	out := map[string]string{weights.PinnedKey: pinned, weights.IndexKey: `{"versions":[{"number":2},{"number":1}]}`}
	for n, key := range map[string]string{"one": weights.Key(1), "two": weights.Key(2)} {
		text, err := json.Marshal(rca.Model{Version: rca.ModelVersion, Command: n, Weights: map[string]float64{"cpu.saturation": 1}})
		if err != nil {
			t.Fatal(err)
		}
		out[key] = string(text)
	}
	first := detectors.All()[0]
	out[weights.Key(2)] = strings.ReplaceAll(out[weights.Key(2)], "cpu.saturation", first.Name+"."+first.Features[0].Name)
	out[weights.Key(1)] = strings.ReplaceAll(out[weights.Key(1)], "cpu.saturation", first.Name+"."+first.Features[0].Name)
	return out
}

func TestChoice(t *testing.T) {
	for name, c := range map[string]struct {
		pinned  string
		change  func(map[string]string)
		want    string
		problem string
	}{
		"nothing kept":                 {"", func(d map[string]string) { clear(d) }, weights.BuiltIn, ""},
		"the latest":                   {"", nil, "2", ""},
		"rolled back":                  {"1", nil, "1", ""},
		"rolled back to the beginning": {"BuiltIn\n", nil, weights.BuiltIn, ""},
		"one that is not kept":         {"7", nil, weights.BuiltIn, "Version 7 of the weights is not kept"},
		"a broken list":                {"", func(d map[string]string) { d[weights.IndexKey] = "{" }, weights.BuiltIn, "can't be read"},
		"a document that is missing":   {"", func(d map[string]string) { delete(d, weights.Key(2)) }, weights.BuiltIn, "Version 2 of the weights does not fit"},
		"a feature nobody measures": {"", func(d map[string]string) {
			d[weights.Key(2)] = `{"version":1,"weights":{"gone.away":1}}`
		}, weights.BuiltIn, "Version 2 of the weights does not fit"},
	} {
		t.Run(name, func(t *testing.T) {
			d := documents(t, c.pinned)
			if c.change != nil {
				c.change(d)
			}
			got, err := weights.Choose(d, detectors.All())
			if err != nil {
				t.Fatal(err)
			}
			if got.Name != c.want || got.Model == nil || c.problem == "" != (got.Problem == "") || !strings.Contains(got.Problem, c.problem) {
				t.Errorf("got %s (%q), want %s (%q)", got.Name, got.Problem, c.want, c.problem)
			}
		})
	}
}

func TestAChangeOfTheFilesIsTakenOverWithTheNextQuestion(t *testing.T) {
	dir := t.TempDir()
	live, err := weights.NewLive(dir, detectors.All())
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct{ pinned, want string }{{"", "2"}, {"1", "1"}, {weights.BuiltIn, weights.BuiltIn}, {"", "2"}} {
		for name, text := range documents(t, step.pinned) {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		engine, chosen, err := live.Engine()
		if err != nil || engine == nil || chosen.Name != step.want {
			t.Errorf("pinned %q: got %q, %v, want %s", step.pinned, chosen.Name, err, step.want)
		}
		if again, _, _ := live.Engine(); again != engine {
			t.Error("the same files give another engine")
		}
	}
}

func FuzzChoose(f *testing.F) {
	f.Add("", `{"versions":[{"number":1}]}`, `{"version":1,"weights":{"cpu.x":1}}`)
	f.Add("1", `{}`, ``)
	f.Fuzz(func(t *testing.T, pinned, index, model string) {
		c, err := weights.Choose(map[string]string{weights.PinnedKey: pinned, weights.IndexKey: index, weights.Key(1): model}, detectors.All())
		if err != nil || c.Model == nil || c.Name == "" {
			t.Errorf("got %+v, %v", c, err)
		}
	})
}
