package why

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/kubebot/kubebot/internal/diagnosis"
	"github.com/kubebot/kubebot/internal/enrich"
)

func printJSON(out io.Writer, a Answer) error {
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(a); err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	return nil
}

// print writes the answer as text, 100 columns wide.
func print(out io.Writer, a Answer, all bool) error {
	var b strings.Builder
	if a.Causes != nil || len(a.Sources) > 0 {
		writeCauses(&b, a)
	}
	if len(a.Causes) == 0 || all {
		writeAnswer(&b, a, a.Checks, all)
	}
	for _, next := range a.Followed {
		if len(a.Causes) > 0 && !all {
			break // the causes hold what was found on the way
		}
		b.WriteString("\nFollowed to ")
		writeAnswer(&b, next, a.Checks, all)
	}
	if len(a.Unread) > 0 {
		b.WriteString("\nCould not be read (a cause may hide there):\n")
		for _, u := range a.Unread {
			fmt.Fprintf(&b, "  %s: %s\n", what(u, a.Object.Namespace), u.Reason)
		}
	}
	if _, err := io.WriteString(out, b.String()); err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	return nil
}

func writeAnswer(b *strings.Builder, a Answer, checks []Check, all bool) {
	b.WriteString(heading(a) + "\n")
	shown := choose(a.Findings, all)
	if len(shown) == 0 {
		b.WriteString("\nNothing stands out: objects, events and the last log lines show no trouble.\n")
	}
	for i, f := range shown {
		writeFinding(b, i+1, f, checks)
	}
	if hidden := len(a.Findings) - len(shown); hidden > 0 {
		fmt.Fprintf(b, "\n%s more with --all.\n", diagnosis.Plural(hidden, "finding"))
	}
}

// writeCauses writes what the state of objects and telemetry say together: the same as the Incident holds.
func writeCauses(b *strings.Builder, a Answer) {
	b.WriteString(heading(a))
	if a.Incident != "" {
		b.WriteString(" (incident " + a.Incident + ")")
	}
	b.WriteString("\n")
	if a.Judged != "" {
		b.WriteString("\nJudged: " + a.Judged + ".\n")
	}
	if len(a.Causes) == 0 || a.Causes[0].ScorePercent < enrich.StandsOut {
		b.WriteString("\nNo cause stands out.\n")
	}
	for i, c := range a.Causes {
		fmt.Fprintf(b, "\n%d. %s\n", i+1, wrap(fmt.Sprintf("%s. [%s, score %.2f]", c.Sentence, c.Kind, float64(c.ScorePercent)/100), 3))
		for _, e := range c.Evidence {
			fmt.Fprintf(b, "   - %s\n", wrap(string(e.From)+": "+e.Text, 5))
		}
		for _, l := range c.Links {
			fmt.Fprintf(b, "   %s: %s\n", l.Title, l.URL) // one line, to be opened
		}
		if len(c.Path) > 1 {
			fmt.Fprintf(b, "   Path: %s\n", strings.Join(c.Path, " > "))
		}
		if c.Fix != nil {
			fmt.Fprintf(b, "   Fix: %s\n", wrap(c.Fix.Explanation, 8))
			for _, command := range c.Fix.Commands {
				fmt.Fprintf(b, "     %s\n", command)
				writeChecks(b, command, a.Checks)
			}
			for _, f := range every(a) {
				if strings.Contains(c.Sentence, f.Sentence) && c.Object.Name == f.Object.Name {
					writeLeftOut(b, f.Fix)
				}
			}
		}
	}
	for _, s := range a.Sources {
		if s.Message != "" && s.Name != enrich.SourceKubernetes {
			fmt.Fprintf(b, "\n%s: %s\n", s.Name, s.Message)
		}
	}
}

// writeChecks writes what the API server says to a command.
func writeChecks(b *strings.Builder, command string, checks []Check) {
	for _, check := range checks {
		switch {
		case check.Command != command:
		case check.Result == Accepted:
			b.WriteString("       (the API server would accept it)\n")
		case check.Result == Refused:
			fmt.Fprintf(b, "       (the API server refuses it: %s)\n", check.Says)
		default:
			fmt.Fprintf(b, "       (not checked: %s)\n", check.Says)
		}
	}
}

// writeLeftOut writes why a fix lacks a command, without the command: it must not be copied.
func writeLeftOut(b *strings.Builder, fix diagnosis.Fix) {
	for _, x := range fix.LeftOut {
		fmt.Fprintf(b, "     %s\n", wrap("(a command was left out: "+x.Reason+")", 5))
	}
}

func heading(a Answer) string {
	text := a.Object.String()
	if a.Object.Namespace != "" {
		text += " in namespace " + a.Object.Namespace
	}
	w := a.Workload
	if w == nil {
		return text
	}
	if *w != a.Object {
		text += ", of " + w.String()
	}
	switch w.Kind {
	case "CronJob", "Job":
		return text + ": " + diagnosis.Plural(a.pods, "pod")
	}
	return text + fmt.Sprintf(": %d of %s ready", a.ready, diagnosis.Plural(int(a.desired), "pod"))
}

// choose leaves out symptoms that a cause explains: all of them behind a cause that is likely, else all but the first.
func choose(findings []diagnosis.Finding, all bool) []diagnosis.Finding {
	if all {
		return findings
	}
	var out []diagnosis.Finding
	for _, f := range findings {
		explained := len(out) > 0 && out[0].Score >= diagnosis.ScoreLikely
		if f.Symptom && (explained || len(out) > 0 && out[len(out)-1].Symptom) || explained && f.Score < diagnosis.ScorePossible || len(out) == 5 {
			continue
		}
		out = append(out, f)
	}
	return out
}

func writeFinding(b *strings.Builder, n int, f diagnosis.Finding, checks []Check) {
	title := fmt.Sprintf("%s, score %.2f", f.Kind, f.Score)
	if f.Symptom {
		title = "symptom"
	}
	fmt.Fprintf(b, "\n%d. %s\n", n, wrap(f.Sentence+". ["+title+"]", 3))
	for _, e := range f.Evidence {
		fmt.Fprintf(b, "   - %s\n", wrap(e, 5))
	}
	fmt.Fprintf(b, "   Fix: %s\n", wrap(f.Fix.Explanation, 8))
	for _, c := range f.Fix.Commands {
		fmt.Fprintf(b, "     %s\n", c) // one line, to be copied
		writeChecks(b, c, checks)
	}
	writeLeftOut(b, f.Fix)
}

// width of the text in columns.
const width = 100

// wrap breaks a text at blanks and indents what follows the first line.
func wrap(text string, indent int) string {
	var b strings.Builder
	column := indent
	for i, word := range strings.Fields(text) {
		switch {
		case i == 0:
		case column+1+len(word) > width:
			b.WriteString("\n" + strings.Repeat(" ", indent))
			column = indent
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += len(word)
	}
	return b.String()
}

// what names what is unread as seen from a namespace.
func what(u diagnosis.Unread, from string) string {
	if u.Name != "" {
		return u.Words(from)
	}
	text := u.Kind + "s"
	if u.Kind == "NetworkPolicy" || u.Kind == "StorageClass" || u.Kind == "IngressClass" || u.Kind == "Ingress" {
		text = strings.NewReplacer("Policys", "Policies", "Classs", "Classes", "Ingresss", "Ingresses").Replace(text)
	}
	if u.Namespace != "" {
		text += " of namespace " + u.Namespace
	}
	return text
}
