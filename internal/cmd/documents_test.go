package cmd

import (
	"os"
	"regexp"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// What people call by hand has a page with every command and flag of it.
func TestPagesNameEveryFlag(t *testing.T) {
	pages := map[string]string{"why": "why.md", "learned": "learning.md"}
	for _, c := range New().Commands() {
		name, ok := pages[c.Name()]
		if !ok {
			continue
		}
		delete(pages, c.Name())
		page, err := os.ReadFile("../../docs/" + name)
		if err != nil {
			t.Fatalf("read the page of %s: %v", c.Name(), err)
		}
		has := func(what string) {
			if !regexp.MustCompile(`(^|[^\w-])` + what + `($|[^\w-])`).Match(page) {
				t.Errorf("docs/%s does not name %s", name, what)
			}
		}
		for _, c := range append([]*cobra.Command{c}, c.Commands()...) {
			has(c.Name())
			c.LocalFlags().VisitAll(func(f *pflag.Flag) {
				if f.Shorthand != "" {
					has("-" + f.Shorthand)
				} else {
					has("--" + f.Name)
				}
			})
		}
	}
	if len(pages) > 0 {
		t.Errorf("there are no commands for the pages %v", pages)
	}
}
