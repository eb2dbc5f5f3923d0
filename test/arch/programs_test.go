package arch

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// asked are the programs that tests ask for by name.
func asked(t *testing.T) []string {
	t.Helper()
	call := regexp.MustCompile(`golden\.Program\(t, "([a-z_-]+)"|Program = "([a-z_-]+)"`)
	var names []string
	err := filepath.WalkDir(filepath.Join("..", "..", "internal"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range call.FindAllStringSubmatch(string(text), -1) {
			names = append(names, m[1]+m[2])
		}
		return nil
	})
	if err != nil {
		t.Fatalf("look for programs: %v", err)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Where every program was built before, nobody would notice that one is built too late.
func TestSetupToolsBuildsWhatUnitTestsAskFor(t *testing.T) {
	run := func(name string, args ...string) string {
		cmd := exec.Command(name, args...)
		cmd.Dir = filepath.Join("..", "..")
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("run %s: %v", name, err)
		}
		return string(out)
	}
	built := strings.Fields(run("make", "-n", "setup-tools"))
	component := map[string]string{}
	for line := range strings.Lines(run("test/components/build", "--list")) {
		f := strings.Fields(line)
		for _, program := range f[2:] {
			component[program] = f[0]
		}
	}
	names := asked(t)
	if !slices.Contains(names, "prometheus") {
		t.Fatalf("the programs that tests ask for were not found: %v", names)
	}
	for _, name := range names {
		if !slices.Contains(built, component[name]) {
			t.Errorf("tests ask for %s, and make setup-tools does not build %q", name, component[name])
		}
	}
}
