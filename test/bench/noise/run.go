package noise

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/alertmanager/types"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubebot/kubebot/api/v1alpha1"
)

// Ways to tell people of the same week.
const (
	WayPlain   = "Alertmanager, plain grouping"
	WayBare    = "KubeBot without analysis and learning"
	WayAnalyse = "KubeBot, nobody answers"
	WayFull    = "KubeBot, people answer 3 in 10 pushes"
)

// Ways are all of them.
var Ways = []string{WayPlain, WayBare, WayAnalyse, WayFull}

// answered is how often people say of a push whether it mattered.
const answered = 0.3

// Play lets a week pass through one way; with KubeBot, what is not critical is pushed once it has lasted for pushAfter. It
// is to be called in a bubble of testing/synctest, whose clock begins at the week's start or before: the code under test
// sees that clock and waits for it as in production.
func Play(w *Week, way string, pushAfter time.Duration) (Score, error) {
	time.Sleep(time.Until(w.Start))
	if way == WayPlain {
		return playPlain(w)
	}
	return playKubeBot(w, way, pushAfter)
}

// event is the begin or end of an alert.
type event struct {
	at     time.Time
	alert  *Alert
	firing bool
}

// feed gives the week's alerts to an Alertmanager, each at its time. What is for information alone nobody routes to people,
// so plain grouping does not see it; KubeBot records it.
func feed(w *Week, am *alertmanager, information bool) error {
	var events []event
	for _, a := range w.Alerts {
		if a.information() && !information {
			continue
		}
		events = append(events, event{a.Start, a, true}, event{a.End, a, false})
	}
	slices.SortStableFunc(events, func(a, b event) int { return cmp.Compare(a.at.UnixNano(), b.at.UnixNano()) })
	for _, e := range events {
		if !e.at.Before(w.End()) {
			break
		}
		time.Sleep(time.Until(e.at))
		if err := am.put(context.Background(), e.alert, e.firing); err != nil {
			return err
		}
	}
	time.Sleep(time.Until(w.End()))
	return nil
}

func playPlain(w *Week) (Score, error) {
	c := newCounter(WayPlain, w)
	am, stop, err := startAlertmanager(plain, false, func(_ context.Context, alerts []*types.Alert) {
		var signs []sign
		for _, a := range alerts {
			signs = append(signs, sign{a.Fingerprint().String(), a.StartsAt})
		}
		c.push("", signs)
	})
	if err != nil {
		return Score{}, err
	}
	defer stop()
	err = feed(w, am, false)
	return c.finish(w), err
}

func playKubeBot(w *Week, way string, pushAfter time.Duration) (Score, error) {
	c := newCounter(way, w)
	b, stop, err := startBot(kubebotOptions{
		week: w, analyse: way != WayBare, learn: way != WayBare, to: c, pushAfter: pushAfter,
		severities: []v1alpha1.Severity{v1alpha1.SeverityCritical, v1alpha1.SeverityWarning},
	})
	if err != nil {
		return Score{}, err
	}
	defer stop()
	faults := &faults{}
	if way == WayFull {
		people := people{bot: b, random: rand.New(rand.NewPCG(11, uint64(len(w.Alerts)))), faults: faults}
		c.react = people.see
	}
	am, stopAhead, err := startAlertmanager(ahead, true, func(ctx context.Context, alerts []*types.Alert) { faults.add(b.take(ctx, alerts)) })
	if err != nil {
		return Score{}, err
	}
	defer stopAhead()
	if err := feed(w, am, true); err != nil {
		return Score{}, err
	}
	return c.finish(w), faults.first()
}

// faults keeps the first thing that went wrong in the simulation itself.
type faults struct {
	mu  sync.Mutex
	err error
}

func (f *faults) add(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil {
		f.err = err
	}
}

func (f *faults) first() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// people read what is pushed: most of what matters they acknowledge within a quarter of an hour, and some of all they judge.
type people struct {
	bot    *bot
	mu     sync.Mutex
	random *rand.Rand
	faults *faults
}

func (p *people) see(incident string, episodes []*Episode) {
	p.mu.Lock()
	matters := slices.ContainsFunc(episodes, func(e *Episode) bool { return e.Matters })
	after := 2*time.Minute + time.Duration(p.random.Int64N(int64(13*time.Minute)))
	acknowledge, judge := matters && p.random.Float64() < 0.8, p.random.Float64() < answered
	p.mu.Unlock()
	if !acknowledge && !judge {
		return
	}
	go func() {
		time.Sleep(after)
		p.faults.add(p.bot.edit(context.Background(), incident, func(s *v1alpha1.IncidentSpec) {
			if acknowledge && s.Acknowledge == nil {
				s.Acknowledge = &v1alpha1.Request{By: "ann"}
			}
			if judge {
				s.Feedback = append(s.Feedback, judgement(matters))
			}
		}))
	}()
}

func judgement(matters bool) v1alpha1.Feedback {
	verdict := v1alpha1.FeedbackNoise
	if matters {
		verdict = v1alpha1.FeedbackMattered
	}
	return v1alpha1.Feedback{Verdict: verdict, By: "ann", At: metav1.NewTime(time.Now().UTC().Truncate(time.Second))}
}

// Report is what the measurement writes.
type Report struct {
	Seed     uint64 `json:"seed"`
	Days     int    `json:"days"`
	Alerts   int    `json:"alerts"`
	Mattered int    `json:"alertsMattered"`
	// Troubles by kind.
	Troubles map[string]int `json:"troubles"`
	Ways     []Score        `json:"ways"`
}

// Describe counts what a week holds, without what is only for information.
func Describe(w *Week, seed uint64) Report {
	r := Report{Seed: seed, Days: w.Days, Troubles: map[string]int{}}
	for _, a := range w.Alerts {
		if a.information() {
			continue
		}
		if r.Alerts++; a.Matters() {
			r.Mattered++
		}
	}
	for _, e := range w.Episodes {
		r.Troubles[fmt.Sprintf("%s, %s", e.Kind, map[bool]string{true: "matters", false: "noise"}[e.Matters])]++
	}
	return r
}
