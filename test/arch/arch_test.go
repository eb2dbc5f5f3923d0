// Package arch holds the import rules of the house.
package arch

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path"
	"strings"
	"testing"
)

const module = "github.com/kubebot/kubebot"

// rule says what the packages under a folder may not import. Prefixes are import paths; those of the module begin with
// a slash.
type rule struct {
	why       string
	packages  string
	forbidden []string
	except    []string
}

var rules = []rule{
	{
		why:       "main.go imports internal/cmd only",
		packages:  "",
		forbidden: []string{"/"},
		except:    []string{"/internal/cmd"},
	},
	{
		why:       "the API imports only the Kubernetes API and apimachinery",
		packages:  "/api",
		forbidden: []string{"/", "sigs.k8s.io/controller-runtime", "k8s.io/client-go", "github.com", "k8s.io/apiextensions-apiserver"},
	},
	{
		why:       "the analysis engine is usable without KubeBot and without Kubernetes",
		packages:  "/internal/rca",
		forbidden: []string{"/api", "/controllers", "/internal", "k8s.io", "sigs.k8s.io"},
		except:    []string{"/internal/rca"},
	},
	{
		why:       "a component is pure: no client, no cluster access, no process",
		packages:  "/internal/component",
		forbidden: []string{"/controllers", "/internal/apply", "/internal/gather", "/internal/cmd", "/internal/ingest", "/internal/notify", "k8s.io/client-go", "net/http", "os/exec"},
	},
	{
		why:       "names and endpoints are pure",
		packages:  "/internal/naming",
		forbidden: []string{"k8s.io/client-go", "net/http", "sigs.k8s.io/controller-runtime"},
	},
	{
		why:       "plain types of alerts depend on the API alone",
		packages:  "/internal/alert",
		forbidden: []string{"/internal", "/controllers", "k8s.io/client-go", "net/http"},
		except:    []string{"/internal/alert"},
	},
	{
		why:       "decisions are pure",
		packages:  "/internal/decide",
		forbidden: []string{"k8s.io/client-go", "net/http", "/internal/notify", "/internal/ingest", "/internal/pipeline"},
		except:    []string{"/internal/pipeline/config"},
	},
	{
		why:       "sinks know nothing of the pipeline",
		packages:  "/internal/notify",
		forbidden: []string{"/internal/pipeline", "/internal/ingest", "/internal/decide", "/controllers", "k8s.io/client-go"},
	},
	{
		why:       "only the composition roots import processes",
		packages:  "/internal",
		forbidden: []string{"/internal/cmd"},
		except:    []string{"/internal/cmd"},
	},
	{
		why:       "controllers build nothing themselves",
		packages:  "/controllers",
		forbidden: []string{"/internal/cmd", "/internal/ingest", "/internal/pipeline", "/internal/notify"},
		except:    []string{"/internal/pipeline/config"},
	},
	{
		why:       "tests stay out of the product",
		packages:  "/internal",
		forbidden: []string{"/test"},
	},
}

type listed struct {
	ImportPath string
	Imports    []string
}

func TestImportRulesOfTheHouse(t *testing.T) {
	packages := list(t)
	if len(packages) < 10 {
		t.Fatalf("go list found %d packages only", len(packages))
	}
	for _, r := range rules {
		t.Run(strings.ReplaceAll(r.why, " ", "_"), func(t *testing.T) {
			matched := 0
			for _, p := range packages {
				if !r.covers(p.ImportPath) {
					continue
				}
				matched++
				for _, imp := range p.Imports {
					if r.forbids(imp) {
						t.Errorf("%s imports %s: %s", p.ImportPath, imp, r.why)
					}
				}
			}
			if matched == 0 {
				t.Errorf("no package is under %q: the rule checks nothing", module+r.packages)
			}
		})
	}
}

func (r rule) covers(pkg string) bool {
	if r.packages == "" {
		return pkg == module
	}
	if r.packages == "/internal" && strings.HasPrefix(pkg, module+"/internal/cmd") {
		return false
	}
	return under(pkg, module+r.packages)
}

func (r rule) forbids(imp string) bool {
	for _, e := range r.except {
		if under(imp, full(e)) {
			return false
		}
	}
	for _, f := range r.forbidden {
		if under(imp, full(f)) {
			return true
		}
	}
	return false
}

func full(p string) string {
	if strings.HasPrefix(p, "/") {
		return path.Clean(module + p)
	}
	return p
}

func under(pkg, folder string) bool { return pkg == folder || strings.HasPrefix(pkg, folder+"/") }

func list(t *testing.T) []listed {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", module+"/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var packages []listed
	dec := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatalf("read go list: %v", err)
		}
		packages = append(packages, p)
	}
}
