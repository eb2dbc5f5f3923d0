package noise

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/alert"
	"github.com/kubebot/kubebot/internal/notify"
)

// Score is what came of one way to tell people.
type Score struct {
	Way string `json:"way"`
	// Pushes are messages that people are notified of, PushesMattered those that tell of something that mattered, PushesNews
	// those of them that tell of such a trouble first.
	Pushes         int `json:"pushes"`
	PushesMattered int `json:"pushesMattered"`
	PushesNews     int `json:"pushesNews"`
	// Quiet are messages that notify nobody: edits and replies in a thread. Digests are messages that tell of several.
	Quiet   int `json:"quiet"`
	Digests int `json:"digests"`
	// Alerts that a push told of, and those of them that mattered.
	AlertsPushed         int `json:"alertsPushed"`
	AlertsPushedMattered int `json:"alertsPushedMattered"`
	// Mattered are the troubles that mattered, Told those that a push told of, InDigest those that only a digest told of,
	// Missed the rest; MissedCritical those of it with a critical alert.
	Mattered       int      `json:"mattered"`
	Told           int      `json:"told"`
	InDigest       int      `json:"inDigest"`
	Missed         int      `json:"missed"`
	MissedCritical int      `json:"missedCritical"`
	MissedKinds    []string `json:"missedKinds,omitempty"`
	// ByKind are the pushes by the first kind of trouble that each tells of.
	ByKind map[string]int `json:"byKind"`
	// MedianSeconds from the first alert of a trouble that mattered to the first push of it.
	MedianSeconds float64 `json:"medianSeconds"`
}

// counter counts messages.
type counter struct {
	mu sync.Mutex
	// alerts by fingerprint, in time.
	alerts   map[string][]*Alert
	score    Score
	pushed   map[*Alert]bool
	told     map[*Episode]time.Time
	digested map[*Episode]bool
	// react is called with each push of an Incident.
	react func(incident string, episodes []*Episode)
}

func newCounter(way string, w *Week) *counter {
	c := &counter{
		score:  Score{Way: way, ByKind: map[string]int{}},
		alerts: map[string][]*Alert{}, pushed: map[*Alert]bool{}, told: map[*Episode]time.Time{}, digested: map[*Episode]bool{},
	}
	for _, a := range w.Alerts {
		fp := alert.Fingerprint(a.Labels)
		c.alerts[fp] = append(c.alerts[fp], a)
	}
	return c
}

// sign names one firing of an alert in a message.
type sign struct {
	fingerprint string
	start       time.Time
}

// find returns the alerts that a message names.
func (c *counter) find(signs []sign) []*Alert {
	var list []*Alert
	for _, s := range signs {
		for _, a := range c.alerts[s.fingerprint] {
			if a.Start.Unix() == s.start.Unix() {
				list = append(list, a)
			}
		}
	}
	return list
}

func episodesOf(alerts []*Alert) []*Episode {
	var list []*Episode
	for _, a := range alerts {
		for _, e := range a.Episodes {
			if !slices.Contains(list, e) {
				list = append(list, e)
			}
		}
	}
	return list
}

// push counts a message that notifies people.
func (c *counter) push(incident string, signs []sign) {
	c.mu.Lock()
	alerts := c.find(signs)
	episodes := episodesOf(alerts)
	c.score.Pushes++
	for _, a := range alerts {
		c.pushed[a] = true
	}
	mattered, news, kind := false, false, ""
	for _, e := range episodes {
		if _, known := c.told[e]; !known {
			c.told[e] = time.Now()
			news = news || e.Matters
		}
		if mattered = mattered || e.Matters; kind == "" || kind == "throttling" || e.Matters {
			kind = e.Kind
		}
	}
	c.score.ByKind[kind]++
	if mattered {
		c.score.PushesMattered++
	}
	if news {
		c.score.PushesNews++
	}
	react := c.react
	c.mu.Unlock()
	if react != nil {
		react(incident, episodes)
	}
}

// Send takes KubeBot's messages as Slack does: a first message notifies people, as do a return and what becomes critical, which
// are sent to the channel; what follows edits the message and is a reply in its thread.
func (c *counter) Send(_ context.Context, msg notify.Message) notify.Result {
	id := msg.Head
	if id.ID == "" {
		id = notify.Ref{Channel: "C1", ID: fmt.Sprint("m-", msg.Key)}
	}
	switch {
	case msg.Digest != nil:
		c.digest(msg)
	case msg.Head.ID == "" || msg.Loud() && msg.Incident.Status.DuplicateOf == "":
		c.push(msg.Incident.Name, signsOf(msg.Incident))
	default:
		c.mu.Lock()
		c.score.Quiet++
		c.mu.Unlock()
	}
	return notify.Result{Outcome: notify.Delivered, Word: "Delivered", Head: id}
}

// Check has no complaint.
func (c *counter) Check(context.Context) (reason, message string) { return "", "" }

func (c *counter) digest(msg notify.Message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.score.Digests++
	for _, inc := range msg.Digest {
		for _, e := range episodesOf(c.find(signsOf(inc))) {
			c.digested[e] = true
		}
	}
}

func signsOf(inc *v1alpha1.Incident) []sign {
	var list []sign
	for _, a := range inc.Status.Alerts {
		list = append(list, sign{a.Fingerprint, a.StartsAt.Time})
	}
	return list
}

// finish sums up.
func (c *counter) finish(w *Week) Score {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.score
	for a := range c.pushed {
		s.AlertsPushed++
		if a.Matters() {
			s.AlertsPushedMattered++
		}
	}
	first := map[*Episode]time.Time{}
	for _, a := range w.Alerts {
		for _, e := range a.Episodes {
			if at, ok := first[e]; !ok || a.Start.Before(at) {
				first[e] = a.Start
			}
		}
	}
	var waits []time.Duration
	for _, e := range w.Episodes {
		began, fired := first[e]
		if !e.Matters || !fired {
			continue
		}
		s.Mattered++
		at, told := c.told[e]
		switch {
		case told:
			s.Told++
			waits = append(waits, max(at.Sub(began), 0))
		case c.digested[e]:
			s.InDigest++
		default:
			s.Missed++
			s.MissedKinds = append(s.MissedKinds, fmt.Sprintf("%s in %s at %s", e.Kind, e.Team, e.Start.Format(time.RFC3339)))
			if e.Critical {
				s.MissedCritical++
			}
		}
	}
	slices.Sort(waits)
	if n := len(waits); n > 0 {
		s.MedianSeconds = waits[n/2].Seconds()
	}
	return s
}
