package learn

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var monday = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// Generators of small worlds, so that cells get several judgements.
var (
	anyTeam   = rapid.SampledFrom([]string{"shop", "data", ""})
	anyKind   = rapid.SampledFrom([]string{"PodCrashLooping", "JobFailed", "Ünïcode<\"\\>"})
	anyAction = rapid.SampledFrom(Actions[:])
	anySignal = rapid.SampledFrom(Signals[:])
)

func drawCase(t *rapid.T) Case {
	return Case{
		Severity: rapid.SampledFrom([]string{SeverityCritical, SeverityWarning, SeverityInfo}).Draw(t, "severity"),
		Subject:  rapid.SampledFrom([]string{"Deployment", "Job"}).Draw(t, "subject"), Source: "Alertmanager",
		Hour: rapid.IntRange(-1, 200).Draw(t, "hour"), Recurrence: rapid.IntRange(-1, 5).Draw(t, "recurrence"),
		Seconds: rapid.Int64Range(-1, 4000).Draw(t, "seconds"), Symptoms: rapid.IntRange(-1, 9).Draw(t, "symptoms"),
		Cause: rapid.Bool().Draw(t, "cause"),
	}
}

func drawIncident(t *rapid.T) Incident {
	return Incident{
		Name: fmt.Sprintf("main-%d", rapid.IntRange(0, 40).Draw(t, "name")), Team: anyTeam.Draw(t, "team"), Kind: anyKind.Draw(t, "kind"), Case: drawCase(t),
	}
}

func drawFeedback(t *rapid.T) Feedback {
	return Feedback{
		Incident: drawIncident(t), By: rapid.SampledFrom([]string{"", "ann", "bob"}).Draw(t, "by"), Signal: anySignal.Draw(t, "signal"),
		At:    monday.Add(time.Duration(rapid.IntRange(0, 60*24*14).Draw(t, "minute")) * time.Minute),
		Shown: anyAction.Draw(t, "shown"), Permille: rapid.IntRange(-5, 1005).Draw(t, "permille"),
	}
}

func drawState(t *rapid.T) State {
	var s State
	for _, f := range rapid.SliceOfN(rapid.Custom(drawFeedback), 0, 60).Draw(t, "history") {
		s, _ = s.Learn(f)
	}
	return s
}

// settings are the defaults, or such as explore as much as an Explorer can.
func drawSettings(t *rapid.T) Settings {
	s := Defaults()
	switch rapid.IntRange(0, 2).Draw(t, "explorer") {
	case 1:
		s.Explore = func([len(Actions)]float64, Action, float64) [len(Actions)]float64 { return [...]float64{1, 1, 1} }
	case 2:
		s.Explore = func([len(Actions)]float64, Action, float64) [len(Actions)]float64 { return [...]float64{1, 0, 0} }
	}
	return s
}

func TestCriticalCannotBeAskedAbout(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawIncident(t)
		in.Severity = rapid.SampledFrom([]string{SeverityCritical, "", "Critical", "fatal"}).Draw(t, "other")
		if _, ok := in.Holdable(); ok {
			t.Fatalf("an incident of severity %q may be held back", in.Severity)
		}
	})
}

func TestAdviceKeepsToTheGuardRails(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawState(t)
		m := NewModel(s, drawSettings(t))
		in := drawIncident(t)
		in.Severity = SeverityWarning
		h, ok := in.Holdable()
		if !ok {
			t.Fatal("a warning may not be held back")
		}
		q := Question{Plain: anyAction.Draw(t, "plain"), Floor: anyAction.Draw(t, "floor"), Now: monday.AddDate(0, 0, rapid.IntRange(0, 400).Draw(t, "day"))}
		a := m.Advise(h, q)
		if a.Action < q.Floor {
			t.Fatalf("%s is below the floor %s", a.Action, q.Floor)
		}
		if a.Permille < 1 || a.Permille > 1000 || a.Message == "" || len(a.Message) > 512 || a.Revision != s.Revision {
			t.Fatalf("incomplete advice: %+v", a)
		}
		if again := m.Advise(h, q); again != a {
			t.Fatalf("asked again, %+v became %+v", a, again)
		}
		if a.Reason == ReasonExplored && a.Action == Quiet {
			t.Fatal("exploring kept an incident quiet")
		}
		cheapest, _ := m.cheapest(m.believe(h.incident, q.Now), q.Plain)
		if a.Action == Quiet && cheapest != Quiet {
			t.Fatalf("it is quiet, although %s is the cheapest", cheapest)
		}
		at, found := s.find(in.Team, in.Kind)
		if (!found || len(s.Cells[at].Judgements) == 0) && a.Action != max(q.Plain, q.Floor) {
			t.Fatalf("%s differs from the plain rules without a judgement", a.Action)
		}
	})
}

func TestTooFewJudgementsChangeNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s State
		weight := 0.0
		for _, f := range rapid.SliceOfN(rapid.Custom(drawFeedback), 0, 20).Draw(t, "history") {
			f.Incident.Team, f.Incident.Kind = "shop", "JobFailed"
			next, changed := s.Learn(f)
			if w := f.Signal.weight(); changed && weight+w < min(Defaults().ForDigest, Defaults().ForPush) {
				s, weight = next, weight+w
			}
		}
		in := drawIncident(t)
		in.Severity, in.Team, in.Kind = SeverityInfo, "shop", "JobFailed"
		h, _ := in.Holdable()
		q := Question{Plain: anyAction.Draw(t, "plain"), Now: monday.AddDate(0, 0, 15)}
		if a := NewModel(s, Defaults()).Advise(h, q); a.Action != q.Plain {
			t.Fatalf("%d judgements of the weight %g made %s of %s", len(s.Cells), weight, a.Action, q.Plain)
		}
	})
}

func TestPinBeatsWhatWasLearned(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, err := drawState(t).PinTo(Pin{Team: "shop", Kind: Any, Action: Digest, By: "ann"})
		require.NoError(t, err)
		s, err = s.PinTo(Pin{Team: Any, Kind: "JobFailed", Action: anyAction.Draw(t, "pin")})
		require.NoError(t, err)
		in := drawIncident(t)
		in.Severity, in.Team = SeverityWarning, "shop"
		h, _ := in.Holdable()
		a := NewModel(s, Defaults()).Advise(h, Question{Plain: Push, Now: monday})
		want := Digest
		if in.Kind == "JobFailed" {
			want = s.Pins[0].Action
		}
		if a.Action != want || a.Reason != ReasonPinned {
			t.Fatalf("%s for the reason %s, want the pin %s", a.Action, a.Reason, want)
		}
	})
}

func TestForgettingAJudgementLeavesNoTrace(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawState(t)
		f := drawFeedback(t)
		f.Incident.Name = "main-other"
		f.At = monday.AddDate(0, 0, 20)
		with, changed := s.Learn(f)
		if !changed {
			t.Fatal("a new judgement changed nothing")
		}
		without, changed := with.Forget("main-other", f.At.Add(time.Hour))
		if !changed {
			t.Fatal("the judgement could not be forgotten")
		}
		if at, found := s.find(f.Incident.Team, f.Incident.Kind); found && len(s.Cells[at].Judgements) == maxJudgements {
			t.Skip("the cell was full, so that its oldest judgement had to go")
		}
		in := drawIncident(t)
		in.Severity = SeverityWarning
		h, _ := in.Holdable()
		q := Question{Plain: Push, Now: f.At.Add(2 * time.Hour)}
		before, after := NewModel(s, Defaults()).Advise(h, q), NewModel(without, Defaults()).Advise(h, q)
		if before.Action != after.Action || before.Reason != after.Reason || before.Chance != after.Chance || before.Permille != after.Permille {
			t.Fatalf("%+v became %+v", before, after)
		}
		if _, changed := without.Learn(f); changed {
			t.Fatal("the forgotten judgement was learned again")
		}
	})
}

func TestSameHistoryGivesTheSameBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		history := rapid.SliceOfN(rapid.Custom(drawFeedback), 0, 60).Draw(t, "history")
		var a, b State
		for _, f := range history {
			a, _ = a.Learn(f)
		}
		for i, f := range history {
			next, changed := b.Learn(f)
			if again, twice := next.Learn(f); twice {
				t.Fatalf("a judgement was learned twice: %+v in %+v", f, again)
			}
			if b = next; changed && i%7 == 0 { // a restart
				text, err := b.Encode()
				require.NoError(t, err)
				b, err = Parse(text)
				require.NoError(t, err)
			}
		}
		one, err := a.Encode()
		require.NoError(t, err)
		two, err := b.Encode()
		require.NoError(t, err)
		assert.Equal(t, string(one), string(two))
		if len(one) > a.bytesAtMost() {
			t.Fatalf("%d bytes were taken for at most %d", len(one), a.bytesAtMost())
		}
	})
}

func TestLearningLeavesTheOldStateAsItWas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawState(t)
		before, err := s.Encode()
		require.NoError(t, err)
		_, _ = s.Learn(drawFeedback(t))
		_, _ = s.Forget("main-1", monday)
		_, _ = s.ResetCells(Any, "JobFailed", monday)
		_, err = s.PinTo(Pin{Team: Any, Kind: Any})
		require.NoError(t, err)
		after, err := s.Encode()
		require.NoError(t, err)
		assert.Equal(t, string(before), string(after))
	})
}
