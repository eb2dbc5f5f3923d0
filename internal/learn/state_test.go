package learn

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// warning is an incident of a kind in the team shop.
func warning(name, kind string) Incident {
	return Incident{Name: name, Team: "shop", Kind: kind, Case: Case{Severity: SeverityWarning, Subject: "Deployment", Source: "Alertmanager", Hour: 9, Symptoms: 1}}
}

// taught returns a state after judgements of one kind in shop, an hour apart.
func taught(kind string, signals ...Signal) State {
	var s State
	for i, signal := range signals {
		s, _ = s.Learn(Feedback{Incident: warning(fmt.Sprintf("%s-%d", kind, i), kind), By: "ann", Signal: signal, Shown: Push, At: monday.Add(time.Duration(i) * time.Hour)})
	}
	return s
}

func repeat(signal Signal, n int) []Signal {
	out := make([]Signal, n)
	for i := range out {
		out[i] = signal
	}
	return out
}

func ask(t *testing.T, s State, in Incident, q Question) Advice {
	t.Helper()
	h, ok := in.Holdable()
	require.True(t, ok)
	settings := Defaults()
	settings.Explore = Upward(0, 0)
	return NewModel(s, settings).Advise(h, q)
}

func TestAdviceFollowsWhatPeopleSay(t *testing.T) {
	at := monday.AddDate(0, 0, 1)
	for name, c := range map[string]struct {
		state   State
		plain   Action
		floor   Action
		after   time.Duration
		action  Action
		reason  Reason
		message string
	}{
		"nothing is known":                         {State{}, Push, Quiet, 0, Push, ReasonPlain, "Nothing was learned of PodCrashLooping in shop (learned state 0)"},
		"one word is good for the digest, no more": {taught("PodCrashLooping", Noise), Push, Quiet, 0, Digest, ReasonTaughtNoise, "Noise in 1 of 1 judgement of PodCrashLooping in shop, last on 2026-03-02; kept for the digest (learned state 1)"},
		"one deed is too little":                   {taught("PodCrashLooping", Silenced), Push, Quiet, 0, Push, ReasonFewJudgements, "Noise in 1 of 1 judgement of PodCrashLooping in shop, last on 2026-03-02 (1 from what people did): too few to change what the plain rules say (learned state 1)"},
		"noise again and again":                    {taught("PodCrashLooping", repeat(Noise, 8)...), Push, Quiet, 0, Quiet, ReasonTaughtNoise, "Noise in 8 of 8 judgements of PodCrashLooping in shop, last on 2026-03-02; kept quiet (learned state 8)"},
		"an explicit route is never gone below":    {taught("PodCrashLooping", repeat(Noise, 8)...), Push, Push, 0, Push, ReasonFloor, "Noise in 8 of 8 judgements of PodCrashLooping in shop, last on 2026-03-02, but its route names it (learned state 8)"},
		"a floor of the digest":                    {taught("PodCrashLooping", repeat(Noise, 8)...), Push, Digest, 0, Digest, ReasonFloor, "but its route names it"},
		"it mattered, as the plain rules thought":  {taught("PodCrashLooping", repeat(Mattered, 8)...), Push, Quiet, 0, Push, ReasonPlain, "Mattered in 8 of 8 judgements of PodCrashLooping in shop, last on 2026-03-02, as the plain rules say (learned state 8)"},
		"it mattered more than the rules thought":  {taught("PodCrashLooping", repeat(Mattered, 8)...), Quiet, Quiet, 0, Push, ReasonTaughtImportant, "so it is louder than the plain rules say"},
		"people who ignore teach little":           {taught("PodCrashLooping", repeat(Ignored, 4)...), Push, Quiet, 0, Push, ReasonFewJudgements, "(4 from what people did)"},
		"after a year it counts no more":           {taught("PodCrashLooping", repeat(Noise, 8)...), Push, Quiet, 365 * 24 * time.Hour, Push, ReasonFewJudgements, "too few"},
		"a new opinion overtakes an old one":       {taught("PodCrashLooping", append(repeat(Noise, 6), repeat(Mattered, 6)...)...), Push, Quiet, 0, Push, "", "6 of 12"},
	} {
		t.Run(name, func(t *testing.T) {
			a := ask(t, c.state, warning("new", "PodCrashLooping"), Question{Plain: c.plain, Floor: c.floor, Now: at.Add(c.after)})
			assert.Equal(t, c.action, a.Action)
			if c.reason != "" {
				assert.Equal(t, c.reason, a.Reason)
			}
			assert.Contains(t, a.Message, c.message)
		})
	}
}

func TestKindsAndTeamsShareWhatTheyLearn(t *testing.T) {
	s := taught("PodCrashLooping", repeat(Noise, 10)...)
	other := warning("new", "PodCrashLooping")
	other.Team = "data"
	far := warning("new", "CertificateExpiring")
	far.Team = "data"
	chance := func(in Incident) int {
		return ask(t, s, in, Question{Plain: Push, Now: monday.AddDate(0, 0, 1)}).Chance
	}
	own, shared, apart := chance(warning("new", "PodCrashLooping")), chance(other), chance(far)
	assert.Less(t, own, shared)
	assert.Less(t, shared, apart)
}

func TestUndoing(t *testing.T) {
	s := taught("PodCrashLooping", repeat(Noise, 8)...)
	now := monday.AddDate(0, 0, 1)
	q := Question{Plain: Push, Now: now}
	reset, n := s.ResetCells("shop", Any, now)
	assert.Equal(t, 8, n)
	assert.Equal(t, s.Revision+1, reset.Revision)
	assert.Equal(t, ReasonPlain, ask(t, reset, warning("new", "PodCrashLooping"), q).Reason)
	_, changed := reset.Learn(Feedback{Incident: warning("PodCrashLooping-3", "PodCrashLooping"), By: "ann", Signal: Noise, At: monday.Add(3 * time.Hour)})
	assert.False(t, changed, "a judgement from before the reset came back")
	_, changed = reset.Learn(Feedback{Incident: warning("later", "PodCrashLooping"), By: "ann", Signal: Noise, At: now.Add(time.Second)})
	assert.True(t, changed)

	_, n = s.ResetCells("data", Any, now)
	assert.Zero(t, n)
	_, changed = s.Forget("unknown", now)
	assert.False(t, changed)

	pinned, err := s.PinTo(Pin{Team: "shop", Kind: "PodCrashLooping", Action: Push, By: "ann"})
	require.NoError(t, err)
	assert.Equal(t, "ann pinned PodCrashLooping in shop to Push", ask(t, pinned, warning("new", "PodCrashLooping"), q).Message)
	free, ok := pinned.Unpin("shop", "PodCrashLooping")
	assert.True(t, ok)
	assert.Equal(t, ReasonTaughtNoise, ask(t, free, warning("new", "PodCrashLooping"), q).Reason)
	_, ok = free.Unpin("shop", "PodCrashLooping")
	assert.False(t, ok)
	_, err = s.PinTo(Pin{Team: "shop"})
	assert.ErrorContains(t, err, "a team and a kind")
}

func TestOnePersonHasOneWordAndDeedsCountOnlyWithoutWords(t *testing.T) {
	f := func(by string, signal Signal, minute int) Feedback {
		return Feedback{Incident: warning("one", "JobFailed"), By: by, Signal: signal, At: monday.Add(time.Duration(minute) * time.Minute)}
	}
	signals := func(feedback ...Feedback) []Signal {
		var s State
		for _, f := range feedback {
			s, _ = s.Learn(f)
		}
		var out []Signal
		for _, j := range s.Cells[0].Judgements {
			out = append(out, j.Signal)
		}
		return out
	}
	assert.Equal(t, []Signal{Mattered}, signals(f("ann", Noise, 1), f("ann", Mattered, 2)), "the later word of a person counts")
	assert.Equal(t, []Signal{Noise}, signals(f("ann", Noise, 2), f("ann", Mattered, 1)))
	assert.Equal(t, []Signal{Noise, Mattered}, signals(f("ann", Noise, 1), f("bob", Mattered, 2)), "two persons may differ")
	assert.Equal(t, []Signal{Noise}, signals(f("", Acknowledged, 1), f("ann", Noise, 2)))
	assert.Equal(t, []Signal{Noise}, signals(f("ann", Noise, 1), f("", Acknowledged, 2)))
	assert.Equal(t, []Signal{Acknowledged}, signals(f("", Acknowledged, 1), f("", Ignored, 2)))
	assert.Equal(t, []Signal{Silenced}, signals(f("", Ignored, 1), f("", Silenced, 2)))
}

func TestStateStaysBounded(t *testing.T) {
	var s State
	long := strings.Repeat("x", 300)
	for i := range 700 {
		for k := range 3 {
			in := warning(fmt.Sprintf("%04d-%d-%s", i, k, long), fmt.Sprintf("Kind%03d<%s", i%300, long))
			s, _ = s.Learn(Feedback{Incident: in, By: long, Signal: Noise, At: monday.Add(time.Duration(3*i+k) * time.Minute)})
		}
	}
	text, err := s.Encode()
	require.NoError(t, err)
	assert.LessOrEqual(t, len(text), MaxBytes)
	assert.LessOrEqual(t, len(s.Cells), maxCells)
	last, found := s.find("shop", cut("Kind099<"+long, maxKind))
	require.True(t, found, "the cell that was used last was evicted")
	assert.GreaterOrEqual(t, len(s.Cells[last].Judgements), 3)
	_, found = s.find("shop", cut("Kind100<"+long, maxKind))
	assert.False(t, found, "the cell that was used least recently is still there")
	_, changed := s.Learn(Feedback{Incident: warning("old", "Kind000"), By: "ann", Signal: Noise, At: monday})
	assert.False(t, changed, "what was evicted came back")
}

func TestParseSaysWhatIsWrong(t *testing.T) {
	for text, want := range map[string]string{
		`{"version":2}`:                 "version is 2",
		`{}`:                            "version is 0",
		`{"version":1,"revision":-1}`:   "revision",
		`{"version":1,"x":1}`:           "unknown field",
		`{"version":1} {}`:              "something follows",
		`[`:                             "unexpected EOF",
		strings.Repeat(" ", MaxBytes+1): "at most",
		`{"version":1,"revision":0,"cells":[{"team":"a","kind":"b"},{"team":"a","kind":"b"}]}`:                                                                                              "twice",
		`{"version":1,"revision":0,"cells":[{"team":"a","kind":"b","judgements":[{"incident":"i","signal":"Loved","at":"2026-03-02T00:00:00Z","shown":"Push","case":{"severity":"x"}}]}]}`:  `"Loved" is not a signal`,
		`{"version":1,"revision":0,"cells":[{"team":"a","kind":"b","judgements":[{"incident":"i","signal":"Noise","at":"2026-03-02T00:00:00Z","shown":"Shout","case":{"severity":"x"}}]}]}`: `"Shout" is not an action`,
		`{"version":1,"revision":0,"pins":[{"team":"","kind":"b","action":"Push"}]}`:                                                                                                        "a name is missing",
	} {
		_, err := Parse([]byte(text))
		assert.ErrorContains(t, err, want)
	}
	s, err := Parse([]byte(" \n"))
	require.NoError(t, err)
	assert.Equal(t, State{Version: Version}, s)
}

func FuzzParse(f *testing.F) {
	for _, s := range []State{{}, taught("JobFailed", Noise, Mattered, Ignored)} {
		pinned, err := s.PinTo(Pin{Team: Any, Kind: "JobFailed", Action: Digest, By: "ann"})
		require.NoError(f, err)
		forgotten, _ := pinned.Forget("JobFailed-1", monday)
		text, err := forgotten.Encode()
		require.NoError(f, err)
		f.Add(text)
	}
	f.Add([]byte(`{"version":1,"revision":9,"since":"0001-01-01T00:00:00+23:59","cells":[{"team":"","kind":"\u2028","forgotten":[{"incident":"<","at":"9999-12-31T23:59:59-23:59"}]}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := Parse(text)
		if err != nil {
			return
		}
		one, err := s.Encode()
		require.NoError(t, err)
		require.LessOrEqual(t, len(one), MaxBytes)
		again, err := Parse(one)
		require.NoError(t, err, "what Encode wrote was refused: %s", one)
		two, err := again.Encode()
		require.NoError(t, err)
		require.Equal(t, string(one), string(two))
		if h, ok := warning("new", "JobFailed").Holdable(); ok && len(text) < 4<<10 {
			a := NewModel(s, Defaults()).Advise(h, Question{Plain: Push, Floor: Push, Now: monday})
			require.Equal(t, Push, a.Action)
		}
	})
}
