package dashboards

import (
	"bufio"
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/kubebot/kubebot/internal/testutil/tree"
)

// A name that nothing exports makes an empty panel, which looks like one where all is well. Every name that a panel asks for
// is KubeBot's own, a rule's, or listed with its program in testdata/metrics.txt.
func TestEveryMetricIsExportedBySomebody(t *testing.T) {
	known := listed(t)
	own(t, known)
	asked := map[string]bool{}
	for _, q := range Queries(options(), sample()) {
		if q.Store != Prometheus {
			continue
		}
		for _, name := range metricNames(q.Expr) {
			asked[name] = true
			if !known[name] {
				t.Errorf("%s/%s asks for %s, which nothing that is known exports: %s", q.Dashboard, q.Panel, name, q.Expr)
			}
		}
	}
	if len(asked) < 60 {
		t.Errorf("%d names are asked for, want more: the test reads the queries wrongly", len(asked))
	}
	for name := range listed(t) {
		if !asked[name] {
			t.Errorf("testdata/metrics.txt lists %s, which no panel asks for", name)
		}
	}
}

var (
	// notMetrics are what holds words that are none: text, matchers, ranges, lists of labels.
	notMetrics = regexp.MustCompile(`"[^"]*"|\{[^}]*\}|\[[^\]]*\]|\b(by|without|on|ignoring|group_left|group_right) *\([^)]*\)`)
	words      = regexp.MustCompile(`[a-zA-Z_:][a-zA-Z0-9_:]* *\(?`)
	operators  = map[string]bool{"or": true, "and": true, "unless": true, "bool": true, "group_left": true, "group_right": true}
)

// metricNames are those of a PromQL query: its words that are neither operators nor functions, which a bracket follows.
func metricNames(expr string) []string {
	var names []string
	for _, word := range words.FindAllString(notMetrics.ReplaceAllString(expr, " "), -1) {
		if word = strings.TrimSpace(word); !strings.HasSuffix(word, "(") && !operators[word] {
			names = append(names, word)
		}
	}
	return names
}

// listed are the names of testdata/metrics.txt.
func listed(t *testing.T) map[string]bool {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "metrics.txt"))
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for lines := bufio.NewScanner(bytes.NewReader(data)); lines.Scan(); {
		if line := strings.TrimSpace(lines.Text()); line != "" && !strings.HasPrefix(line, "#") {
			names[line] = true
		}
	}
	return names
}

// own adds the names that KubeBot's source gives its metrics, and those that its rules record.
func own(t *testing.T, names map[string]bool) {
	t.Helper()
	root, err := tree.Root()
	if err != nil {
		t.Fatal(err)
	}
	before := len(names)
	for _, dir := range []string{"internal", "controllers"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				defined(n, names)
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	recorded, err := os.ReadFile(filepath.Join(root, "internal", "component", "rules", "testdata", "default", "want.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^ +(?:- )?record: (.+)$`).FindAllSubmatch(recorded, -1) {
		names[string(m[1])] = true
	}
	if len(names) < before+40 {
		t.Fatalf("%d names of KubeBot's own were found: the test reads the source wrongly", len(names)-before)
	}
}

// defined adds the name of a metric whose options are a composite literal, such as prometheus.HistogramOpts{Name: "..."}.
func defined(n ast.Node, names map[string]bool) {
	options, ok := n.(*ast.CompositeLit)
	if !ok {
		return
	}
	kind, ok := options.Type.(*ast.SelectorExpr)
	if !ok || !strings.HasSuffix(kind.Sel.Name, "Opts") {
		return
	}
	for _, e := range options.Elts {
		field, ok := e.(*ast.KeyValueExpr)
		if !ok || field.Key.(*ast.Ident).Name != "Name" {
			continue
		}
		text, ok := field.Value.(*ast.BasicLit)
		if !ok {
			continue
		}
		name, err := strconv.Unquote(text.Value)
		if err != nil {
			continue
		}
		names[name] = true
		if kind.Sel.Name == "HistogramOpts" {
			names[name+"_bucket"], names[name+"_sum"], names[name+"_count"] = true, true, true
		}
	}
}
