package document

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"text/template"
	"text/template/parse"
	"time"

	"github.com/kubebot/kubebot/api/v1alpha1"
)

// maxRendered bounds the body that a template writes: more than the document of 500 alerts needs.
const maxRendered = 2 << 20

// errTooLong ends a template that writes without end.
var errTooLong = fmt.Errorf("the template writes more than %d MiB", maxRendered>>20)

// functions are what templates have besides those of text/template.
var functions = template.FuncMap{
	"json": func(value any) (string, error) {
		data, err := json.Marshal(value)
		return string(data), err
	},
	"upper": strings.ToUpper,
	"lower": strings.ToLower,
	"join":  func(sep string, list []string) string { return strings.Join(list, sep) },
}

// Template writes a body from a document.
type Template struct{ parsed *template.Template }

// ParseTemplate reads a template and tries it on documents of each kind, so that a field that does not exist is found
// before the first incident. The error names the line.
func ParseTemplate(text string) (*Template, error) {
	parsed, err := template.New("bodyTemplate").Option("missingkey=zero").Funcs(functions).Parse(text)
	if err != nil {
		return nil, explain(err)
	}
	for _, t := range parsed.Templates() {
		if t.Tree != nil {
			if err := bounded(t.Tree, t.Root); err != nil {
				return nil, err
			}
		}
	}
	t := &Template{parsed: parsed}
	for _, example := range examples() {
		if _, err := t.Render(example); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// Render writes the body.
func (t *Template) Render(doc Document) ([]byte, error) {
	out := &limited{}
	if err := t.parsed.Execute(out, doc); err != nil {
		return nil, explain(err)
	}
	return out.Bytes(), nil
}

// limited is a buffer that refuses to grow without end.
type limited struct{ bytes.Buffer }

// Write implements io.Writer.
func (l *limited) Write(p []byte) (int, error) {
	if l.Len()+len(p) > maxRendered {
		return 0, errTooLong
	}
	return l.Buffer.Write(p)
}

// bounded refuses what could keep a process busy without writing: loops over numbers.
func bounded(tree *parse.Tree, node parse.Node) error {
	switch n := node.(type) {
	case *parse.ListNode:
		if n == nil {
			return nil
		}
		for _, child := range n.Nodes {
			if err := bounded(tree, child); err != nil {
				return err
			}
		}
	case *parse.RangeNode:
		for _, command := range n.Pipe.Cmds {
			for _, arg := range command.Args {
				switch a := arg.(type) {
				case *parse.FieldNode, *parse.ChainNode:
				case *parse.VariableNode:
					if len(a.Ident) > 1 {
						continue
					}
					return rangeOf(tree, n)
				default:
					return rangeOf(tree, n)
				}
			}
		}
		return errors.Join(bounded(tree, n.List), bounded(tree, n.ElseList))
	case *parse.IfNode:
		return errors.Join(bounded(tree, n.List), bounded(tree, n.ElseList))
	case *parse.WithNode:
		return errors.Join(bounded(tree, n.List), bounded(tree, n.ElseList))
	case *parse.TemplateNode:
		return fmt.Errorf("line %d: templates that call templates are not supported", n.Line)
	}
	return nil
}

func rangeOf(tree *parse.Tree, n *parse.RangeNode) error {
	_, snippet := tree.ErrorContext(n)
	return fmt.Errorf("line %d: range goes over the document's own lists only, such as .Incident.Alerts, not over %s", n.Line, snippet)
}

// position is how text/template begins its errors.
var position = regexp.MustCompile(`^template: bodyTemplate:(\d+)(?::\d+)?: (?:executing "bodyTemplate" at )?`)

// explain says an error of text/template with the line first.
func explain(err error) error {
	if errors.Is(err, errTooLong) {
		return errTooLong
	}
	text := err.Error()
	if m := position.FindStringSubmatch(text); m != nil {
		return fmt.Errorf("line %s: %s", m[1], text[len(m[0]):])
	}
	return err
}

// examples are documents with everything and with as little as there can be.
func examples() []Document {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	full := Document{
		Version: Version, Key: "2c4f1e9a-oncall-1", Transition: v1alpha1.TransitionResolved, Sequence: 2, At: at, Text: "All alerts ended.",
		Incident: Incident{
			Namespace: "kubebot", Name: "main-7f3a-1", Cluster: "prod",
			Subject:  Subject{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "shop", Name: "checkout", Display: "Deployment shop/checkout"},
			Severity: v1alpha1.SeverityCritical, State: v1alpha1.IncidentResolved, Title: "checkout fails", Cause: "A rollout", StartedAt: &at, ResolvedAt: &at,
			Causes: []Cause{{
				Object: Subject{Kind: "Deployment", Name: "catalog", Display: "Deployment shop/catalog"},
				Kind:   "config", ScorePercent: 90, Sentence: "A rollout",
				Evidence: []Evidence{{From: "Logs", Text: "an error"}}, Links: []Link{{Title: "Dashboard", URL: "https://grafana.example.com"}},
				Fix: &Fix{Explanation: "Undo it", Commands: []string{"kubectl rollout undo"}},
			}},
			Alerts: []Alert{{Fingerprint: "a1", Name: "HTTPErrorsHigh", Severity: v1alpha1.SeverityCritical, State: v1alpha1.AlertResolved,
				StartsAt: at, EndsAt: &at, Labels: map[string]string{"namespace": "shop"}, Summary: "40% fail"}},
		},
	}
	return []Document{full, {Version: Version, Transition: v1alpha1.TransitionOpened, Incident: Incident{State: v1alpha1.IncidentOpen, Alerts: []Alert{}}}}
}
