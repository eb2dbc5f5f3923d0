package learn

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// Version of the document.
const Version = 1

// MaxBytes bounds the document; a ConfigMap holds at most 1 MiB, and the project keeps objects under 256 KiB.
const MaxBytes = 240 << 10

// Bounds of the state.
const (
	maxCells      = 256
	maxJudgements = 12 // per cell; older ones hardly count (Settings.Fade)
	fewJudgements = 4  // per cell: no cell loses these for space while another has more
	maxForgotten  = 16 // per cell
	maxPins       = 64
)

// State is what people taught: the document. The zero value is a state that knows nothing. Its methods return a new
// State and leave the old one as it was.
type State struct {
	// Version of the document's form.
	Version int `json:"version"`
	// Revision counts the changes.
	Revision int64 `json:"revision"`
	// Since: judgements of incidents that were judged up to here and are not in the state were evicted for space, and are
	// not taken again.
	Since time.Time `json:"since,omitzero"`
	// Cells are the judgements by team and kind of alert, in that order.
	Cells []Cell `json:"cells,omitempty"`
	// Pins are what users fixed, in the order of team and kind.
	Pins []Pin `json:"pins,omitempty"`
}

// Cell is one kind of alert in one team.
type Cell struct {
	Team string `json:"team"`
	Kind string `json:"kind"`
	// Since: judgements up to then that are not here were dropped, by a reset or for newer ones, and are not taken again.
	Since time.Time `json:"since,omitzero"`
	// Judgements, the oldest first.
	Judgements []Judgement `json:"judgements,omitempty"`
	// Forgotten are incidents whose judgements were taken back, the oldest first.
	Forgotten []Forgotten `json:"forgotten,omitempty"`
}

// Forgotten names an incident whose judgements up to a time were taken back.
type Forgotten struct {
	Incident string    `json:"incident"`
	At       time.Time `json:"at"`
}

// Any stands in a pin for every team or every kind.
const Any = "*"

// Pin fixes what is done with one kind of alert in one team, whatever was or will be learned.
type Pin struct {
	// Team, or * for every team.
	Team string `json:"team"`
	// Kind, or * for every kind.
	Kind string `json:"kind"`
	// Action that is taken.
	Action Action `json:"action"`
	// By is who pinned it.
	By string `json:"by,omitempty"`
}

// Learn adds a judgement. What the same person said before about the incident is replaced when it is older, and what was
// only done about it does not count beside what was said. It returns false, and the same state, where nothing changes:
// a judgement that is known already, older than a reset, or taken back. So feedback may be given again and again.
func (s State) Learn(f Feedback) (State, bool) {
	j := f.judgement()
	if !f.Signal.valid() || j.Incident == "" || j.At.IsZero() {
		return s, false
	}
	in := f.Incident.normal()
	at, found := s.find(in.Team, in.Kind)
	cell := Cell{Team: in.Team, Kind: in.Kind}
	if found {
		cell = s.Cells[at]
	}
	next, changed := cell.learn(j)
	if !changed || !j.At.After(s.Since) {
		return s, false
	}
	return s.with(next).bounded(), true
}

// learn returns the cell with a judgement, and whether that is another one.
func (c Cell) learn(j Judgement) (Cell, bool) {
	if !j.At.After(c.Since) {
		return c, false
	}
	for _, f := range c.Forgotten {
		if f.Incident == j.Incident && !j.At.After(f.At) {
			return c, false
		}
	}
	kept := make([]Judgement, 0, len(c.Judgements)+1)
	for _, old := range c.Judgements {
		if old.Incident != j.Incident {
			kept = append(kept, old)
			continue
		}
		switch {
		case old.Signal.Explicit() && !j.Signal.Explicit():
			return c, false
		case !old.Signal.Explicit() && j.Signal.Explicit():
			continue
		case old.By != j.By:
			kept = append(kept, old)
		case !newer(j, old):
			return c, false
		}
	}
	if len(kept) >= maxJudgements && byTime(j, kept[0]) < 0 {
		return c, false
	}
	c.Judgements = append(kept, j)
	slices.SortStableFunc(c.Judgements, byTime)
	if len(c.Judgements) > maxJudgements {
		c = c.shorter()
	}
	return c, true
}

// shorter drops the oldest judgement.
func (c Cell) shorter() Cell {
	if at := c.Judgements[0].At; at.After(c.Since) {
		c.Since = at
	}
	c.Judgements = slices.Clone(c.Judgements[1:])
	return c
}

// newer tells whether a judgement replaces another of the same person or kind about the same incident. What was done
// is replaced by what says more, so that acknowledging counts although the incident was ignored afterwards.
func newer(j, old Judgement) bool {
	if !j.Signal.Explicit() && j.Signal.weight() != old.Signal.weight() {
		return j.Signal.weight() > old.Signal.weight()
	}
	return j.At.After(old.At)
}

func byTime(a, b Judgement) int {
	return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Incident, b.Incident), cmp.Compare(a.By, b.By))
}

// Forget takes back the judgements of an incident up to a time. It returns false where there are none.
func (s State) Forget(incident string, now time.Time) (State, bool) {
	for _, c := range s.Cells {
		kept := slices.DeleteFunc(slices.Clone(c.Judgements), func(j Judgement) bool { return j.Incident == incident })
		if len(kept) == len(c.Judgements) {
			continue
		}
		c.Judgements = kept
		c.Forgotten = append(slices.Clone(c.Forgotten), Forgotten{Incident: incident, At: second(now)})
		c.Forgotten = c.Forgotten[max(len(c.Forgotten)-maxForgotten, 0):]
		return s.with(c).bounded(), true
	}
	return s, false
}

// ResetCells drops what was learned of the cells that match; * matches every team or kind. Judgements up to now are not
// taken again. It returns how many judgements were dropped.
func (s State) ResetCells(team, kind string, now time.Time) (State, int) {
	next, dropped := s, 0
	for _, c := range s.Cells {
		if !match(team, c.Team) || !match(kind, c.Kind) || len(c.Judgements) == 0 {
			continue
		}
		dropped += len(c.Judgements)
		next = next.with(Cell{Team: c.Team, Kind: c.Kind, Since: second(now)})
	}
	if dropped > 0 {
		next.Revision = s.Revision + 1
	}
	return next, dropped
}

// PinTo fixes the action of a cell; * stands for every team or kind. It replaces the pin of the same team and kind.
func (s State) PinTo(p Pin) (State, error) {
	p = Pin{Team: cut(p.Team, maxName), Kind: cut(p.Kind, maxKind), Action: min(p.Action, Push), By: cut(p.By, maxName)}
	if p.Team == "" || p.Kind == "" {
		return s, errors.New("a pin needs a team and a kind of alert; * stands for every one")
	}
	pins := slices.DeleteFunc(slices.Clone(s.Pins), func(o Pin) bool { return o.Team == p.Team && o.Kind == p.Kind })
	if len(pins) >= maxPins {
		return s, fmt.Errorf("there are %d pins already: remove one", maxPins)
	}
	s.Pins = append(pins, p)
	s.Revision++
	s.order()
	return s.bounded(), nil
}

// Unpin removes a pin. It returns false where there is none.
func (s State) Unpin(team, kind string) (State, bool) {
	pins := slices.DeleteFunc(slices.Clone(s.Pins), func(o Pin) bool { return o.Team == team && o.Kind == kind })
	if len(pins) == len(s.Pins) {
		return s, false
	}
	s.Pins = pins
	s.Revision++
	return s, true
}

func match(pattern, name string) bool { return pattern == Any || pattern == name }

// pin returns the pin of a cell: the one that names the kind and the team, then the kind, then the team.
func (s State) pin(team, kind string) (Pin, bool) {
	for _, want := range [][2]string{{team, kind}, {Any, kind}, {team, Any}, {Any, Any}} {
		for _, p := range s.Pins {
			if p.Team == want[0] && p.Kind == want[1] {
				return p, true
			}
		}
	}
	return Pin{}, false
}

func (s State) find(team, kind string) (int, bool) {
	return slices.BinarySearchFunc(s.Cells, Cell{Team: team, Kind: kind}, byCell)
}

func byCell(a, b Cell) int { return cmp.Or(cmp.Compare(a.Team, b.Team), cmp.Compare(a.Kind, b.Kind)) }

// with returns the state with a cell replaced or added, as the next revision.
func (s State) with(c Cell) State {
	s.Cells = slices.Clone(s.Cells)
	if at, found := s.find(c.Team, c.Kind); found {
		s.Cells[at] = c
	} else {
		s.Cells = slices.Insert(s.Cells, at, c)
	}
	s.Version = Version
	s.Revision++
	return s
}

// last is when the cell was used last.
func (c Cell) last() time.Time {
	last := c.Since
	if n := len(c.Judgements); n > 0 && c.Judgements[n-1].At.After(last) {
		last = c.Judgements[n-1].At
	}
	if n := len(c.Forgotten); n > 0 && c.Forgotten[n-1].At.After(last) {
		last = c.Forgotten[n-1].At
	}
	return last
}

// bounded keeps the state within its bounds. First the cell with the most judgements loses its oldest, of several such
// the cell that was used least recently; when all have few, the cells that were used least recently go.
func (s State) bounded() State {
	s.Version = Version
	size := s.bytesAtMost()
	if len(s.Cells) <= maxCells && size <= MaxBytes {
		return s
	}
	s.Cells = slices.Clone(s.Cells)
	for len(s.Cells) > maxCells || size > MaxBytes && len(s.Cells) > 0 {
		longest, oldest := 0, 0
		for i, c := range s.Cells {
			if more := len(c.Judgements) - len(s.Cells[longest].Judgements); more > 0 || more == 0 && c.last().Before(s.Cells[longest].last()) {
				longest = i
			}
			if c.last().Before(s.Cells[oldest].last()) {
				oldest = i
			}
		}
		if len(s.Cells) <= maxCells && len(s.Cells[longest].Judgements) > fewJudgements {
			size -= s.Cells[longest].bytesAtMost()
			s.Cells[longest] = s.Cells[longest].shorter()
			size += s.Cells[longest].bytesAtMost()
			continue
		}
		if last := s.Cells[oldest].last(); last.After(s.Since) {
			s.Since = last
		}
		size -= s.Cells[oldest].bytesAtMost()
		s.Cells = slices.Delete(s.Cells, oldest, oldest+1)
	}
	return s
}

// bytesAtMost bounds the document's size from above without writing it, by at most some ten percent.
func (s State) bytesAtMost() int {
	n := 128
	for _, p := range s.Pins {
		n += quoted(p.Team) + quoted(p.Kind) + quoted(p.By) + 64
	}
	for _, c := range s.Cells {
		n += c.bytesAtMost()
	}
	return n
}

func (c Cell) bytesAtMost() int {
	n := quoted(c.Team) + quoted(c.Kind) + 112
	for i := range c.Judgements {
		j := &c.Judgements[i]
		n += quoted(j.Incident) + quoted(j.By) + len(j.Signal) + quoted(j.Case.Severity) + quoted(j.Case.Subject) + quoted(j.Case.Source) + 232
	}
	for _, f := range c.Forgotten {
		n += quoted(f.Incident) + 64
	}
	return n
}

// quoted bounds how long a string is in JSON.
func quoted(s string) int {
	n := len(s)
	for i := range len(s) {
		if b := s[i]; b < ' ' || b > '~' || b == '"' || b == '\\' || b == '<' || b == '>' || b == '&' {
			n += 5
		}
	}
	return n
}

// order sorts what has an order.
func (s *State) order() {
	slices.SortStableFunc(s.Cells, byCell)
	slices.SortStableFunc(s.Pins, func(a, b Pin) int { return cmp.Or(cmp.Compare(a.Team, b.Team), cmp.Compare(a.Kind, b.Kind)) })
}

// Encode writes the document. The same state gives the same bytes.
func (s State) Encode() ([]byte, error) {
	s.Version = Version
	text, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("write the learned state: %w", err)
	}
	return text, nil
}

// Parse reads a document, whoever wrote it. It refuses unknown versions, fields, actions and signals, and what is out of
// bounds; no document that Encode wrote is refused. An empty text is the state that knows nothing.
func Parse(text []byte) (State, error) {
	if len(text) > MaxBytes {
		return State{}, fmt.Errorf("read the learned state: it has %d bytes, and at most %d are allowed", len(text), MaxBytes)
	}
	if len(bytes.TrimSpace(text)) == 0 {
		return State{Version: Version}, nil
	}
	var s State
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return State{}, fmt.Errorf("read the learned state: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return State{}, errors.New("read the learned state: something follows the document")
	}
	if err := s.check(); err != nil {
		return State{}, fmt.Errorf("read the learned state: %w", err)
	}
	s.order()
	return s.bounded(), nil
}

func (s *State) check() error {
	if s.Version != Version {
		return fmt.Errorf("its version is %d, and this program reads version %d", s.Version, Version)
	}
	if s.Revision < 0 {
		return fmt.Errorf("its revision is %d", s.Revision)
	}
	s.Since = second(s.Since)
	if len(s.Cells) > maxCells || len(s.Pins) > maxPins {
		return fmt.Errorf("it has %d cells and %d pins, and at most %d and %d are allowed", len(s.Cells), len(s.Pins), maxCells, maxPins)
	}
	known := map[[2]string]bool{}
	for i := range s.Cells {
		c := &s.Cells[i]
		key := [2]string{c.Team, c.Kind}
		if known[key] || c.Team != cut(c.Team, maxName) || c.Kind != cut(c.Kind, maxKind) {
			return fmt.Errorf("cell %q of team %q is there twice or has too long a name", c.Kind, c.Team)
		}
		known[key] = true
		if err := c.check(); err != nil {
			return fmt.Errorf("cell %q of team %q: %w", c.Kind, c.Team, err)
		}
	}
	pins := map[[2]string]bool{}
	for _, p := range s.Pins {
		key := [2]string{p.Team, p.Kind}
		if pins[key] || p.Team == "" || p.Kind == "" || p.Team != cut(p.Team, maxName) || p.Kind != cut(p.Kind, maxKind) || p.By != cut(p.By, maxName) {
			return fmt.Errorf("the pin of %q in %q is there twice, or a name is missing or too long", p.Kind, p.Team)
		}
		pins[key] = true
	}
	return nil
}

func (c *Cell) check() error {
	c.Since = second(c.Since)
	if len(c.Judgements) > maxJudgements || len(c.Forgotten) > maxForgotten {
		return fmt.Errorf("it has %d judgements and %d forgotten ones, and at most %d and %d are allowed",
			len(c.Judgements), len(c.Forgotten), maxJudgements, maxForgotten)
	}
	seen := map[[2]string]bool{}
	for i := range c.Judgements {
		j := &c.Judgements[i]
		j.Case, j.At = j.Case.normal(), second(j.At)
		key := [2]string{j.Incident, j.By}
		switch {
		case j.Incident == "" || j.Incident != cut(j.Incident, maxIncident) || j.By != cut(j.By, maxName):
			return fmt.Errorf("a judgement has no incident, or a name that is too long: %q by %q", j.Incident, j.By)
		case !j.Signal.valid():
			return fmt.Errorf("%q is not a signal", j.Signal)
		case j.At.IsZero():
			return fmt.Errorf("the judgement of %s has no time", j.Incident)
		case j.Permille < 0 || j.Permille >= 1000:
			return fmt.Errorf("the judgement of %s has a probability of %d thousandths", j.Incident, j.Permille)
		case seen[key]:
			return fmt.Errorf("%s is judged twice by %q", j.Incident, j.By)
		}
		seen[key] = true
	}
	slices.SortStableFunc(c.Judgements, byTime)
	for i := range c.Forgotten {
		f := &c.Forgotten[i]
		if f.At = second(f.At); f.Incident == "" || f.Incident != cut(f.Incident, maxIncident) {
			return errors.New("a forgotten incident has no name, or one that is too long")
		}
	}
	slices.SortStableFunc(c.Forgotten, func(a, b Forgotten) int { return a.At.Compare(b.At) })
	return nil
}
