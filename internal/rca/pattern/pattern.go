// Package pattern mines log statements from log lines: lines that come from one statement get one pattern.
//
// Lines that name their place in the code ("OrderServiceImpl#31", "main.go:120") are grouped by that place and severity.
// Others go through a fixed-depth tree as in Drain (He et al., ICWS 2017): by token count, then by first tokens, then
// to the most similar template; tokens that differ become <*>.
package pattern

import (
	"strings"
)

// Bounds and thresholds of the miner.
const (
	maxTokens   = 48   // further tokens of a line are cut
	maxLine     = 4096 // further bytes of a line are cut
	treeDepth   = 3    // leading tokens that route a line
	similarity  = 0.6  // share of equal tokens that joins a line to a template; Drain's authors use 0.3 to 0.7
	wildcard    = "<*>"
	maxPerTable = 400 // patterns per workload; later ones share one overflow pattern
)

// Overflow is the text of the pattern that takes lines beyond the bound.
const Overflow = "(other lines)"

// Table holds the patterns of one workload. It is not safe for concurrent use.
type Table struct {
	list     []*template
	byPlace  map[string]*template
	tree     map[string][]*template
	overflow *template
	scratch  []string
}

type template struct {
	id       int
	place    string
	severity string
	tokens   []string
}

// NewTable makes an empty table.
func NewTable() *Table {
	return &Table{byPlace: map[string]*template{}, tree: map[string][]*template{}}
}

// Len gives the number of patterns; their identifiers are 0 to Len-1.
func (t *Table) Len() int { return len(t.list) }

// Text gives the template of a pattern.
func (t *Table) Text(id int) string {
	p := t.list[id]
	return strings.Join(p.tokens, " ")
}

// Severity gives the severity of a pattern's lines: trace, debug, info, warn, error, fatal or empty.
func (t *Table) Severity(id int) string { return t.list[id].severity }

// Match gives the identifier of the line's pattern and makes one when there is none.
func (t *Table) Match(line, severity string) int {
	place, sev, tokens := parse(line, t.scratch[:0])
	t.scratch = tokens
	if severity == "" {
		severity = sev
	}
	severity = NormalSeverity(severity)
	if place != "" {
		key := severity + " " + place
		p := t.byPlace[key]
		if p == nil {
			if p = t.add(place, severity, tokens); p != t.overflow {
				t.byPlace[key] = p
			}
			return p.id
		}
		p.generalise(tokens)
		return p.id
	}
	key := routeKey(severity, tokens)
	best, bestSim := (*template)(nil), 0.0
	for _, p := range t.tree[key] {
		if s := p.similar(tokens); s > bestSim {
			best, bestSim = p, s
		}
	}
	if best != nil && bestSim >= similarity {
		best.generalise(tokens)
		return best.id
	}
	p := t.add("", severity, tokens)
	if p != t.overflow {
		t.tree[key] = append(t.tree[key], p)
	}
	return p.id
}

func (t *Table) add(place, severity string, tokens []string) *template {
	if len(t.list) >= maxPerTable {
		if t.overflow == nil {
			t.overflow = &template{id: len(t.list), tokens: []string{Overflow}}
			t.list = append(t.list, t.overflow)
		}
		return t.overflow
	}
	p := &template{id: len(t.list), place: place, severity: severity, tokens: append([]string(nil), tokens...)}
	for i, tok := range p.tokens {
		p.tokens[i] = strings.Clone(tok)
	}
	t.list = append(t.list, p)
	return p
}

// similar gives the share of positions with equal tokens. Lines without any are alike.
func (p *template) similar(tokens []string) float64 {
	if len(p.tokens) != len(tokens) {
		return 0
	}
	if len(tokens) == 0 {
		return 1
	}
	eq := 0
	for i, tok := range tokens {
		if p.tokens[i] == tok {
			eq++
		}
	}
	return float64(eq) / float64(len(tokens))
}

// generalise turns tokens that differ into wildcards, and cuts to the common length.
func (p *template) generalise(tokens []string) {
	if len(tokens) < len(p.tokens) {
		p.tokens = p.tokens[:len(tokens)]
	}
	for i := range p.tokens {
		if p.tokens[i] != tokens[i] {
			p.tokens[i] = wildcard
		}
	}
}

func routeKey(severity string, tokens []string) string {
	var b strings.Builder
	b.WriteString(severity)
	b.WriteByte(' ')
	b.WriteByte(byte('0' + len(tokens)/10))
	b.WriteByte(byte('0' + len(tokens)%10))
	for _, tok := range tokens[:min(treeDepth, len(tokens))] {
		b.WriteByte(' ')
		b.WriteString(tok)
	}
	return b.String()
}
