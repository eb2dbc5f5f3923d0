package sim

import (
	"container/heap"
	"slices"

	"github.com/kubebot/kubebot/internal/learn"
)

// rolling is over how many decisions the share that was right is taken.
const rolling = 60

// Score is what a policy cost, over one or, as means, over several worlds.
type Score struct {
	Policy string `json:"policy"`
	User   string `json:"user"`
	// Incidents that were decided about.
	Incidents float64 `json:"incidents"`
	// Regret is the sum of the costs (learn.Costs, a needless push is 1) of all decisions: one who knows what will matter
	// has none. Weekly has it per week.
	Regret float64   `json:"regret"`
	Weekly []float64 `json:"weekly"`
	// Pushed, PushedNoise: incidents that were pushed, and those of them that did not matter.
	Pushed      float64 `json:"pushed"`
	PushedNoise float64 `json:"pushedNoise"`
	// Missed mattered and were quiet; Late mattered and were only in the digest.
	Missed float64 `json:"missed"`
	Late   float64 `json:"late"`
	// MissedCritical were critical and not pushed.
	MissedCritical float64 `json:"missedCritical"`
	// Judgements is how often people said whether an incident mattered.
	Judgements float64 `json:"judgements"`
	// UntilRight is the median over the worlds of how many judgements there were when first 90 % of the last 60 decisions
	// about incidents that are not critical were right (pushed if and only if it mattered). Reached is the share of the
	// worlds in which that came; UntilRight is -1 where it came in none.
	UntilRight float64 `json:"judgementsUntilRight"`
	Reached    float64 `json:"reached"`
	// RightAtEnd is that share over the last quarter of the time.
	RightAtEnd float64 `json:"rightAtEnd"`
}

// run lets a policy decide about a world.
func run(p Policy, u User, events []event, weeks int) Score {
	costs := learn.Defaults().Costs
	s := Score{User: u.Name, Incidents: float64(len(events)), Weekly: make([]float64, weeks), UntilRight: -1}
	var waiting queue
	var recent []bool
	late := start.AddDate(0, 0, 7*weeks).Sub(start) * 3 / 4
	lateAll, lateRight := 0.0, 0.0
	for _, e := range events {
		in := e.incident
		for len(waiting) > 0 && !waiting[0].At.After(e.opened) {
			f := heap.Pop(&waiting).(learn.Feedback)
			if f.Signal.Explicit() {
				s.Judgements++
			}
			p.Hear(f)
		}
		action, permille := p.Decide(e)
		cost := costs.Noise[action]
		if e.matters {
			cost = costs.Mattered[action]
		}
		s.Regret += cost
		s.Weekly[int(e.opened.Sub(start).Hours()/(7*24))] += cost
		s.count(e, action)
		if in.Severity != learn.SeverityCritical {
			right := (action == learn.Push) == e.matters
			recent = append(recent, right)
			if s.UntilRight < 0 && len(recent) >= rolling && share(recent[len(recent)-rolling:]) >= 0.9 {
				s.UntilRight, s.Reached = s.Judgements, 1
			}
			if e.opened.Sub(start) >= late {
				lateAll++
				if right {
					lateRight++
				}
			}
		}
		if f, ok := u.react(e, action, permille); ok {
			heap.Push(&waiting, f)
		}
	}
	s.RightAtEnd = lateRight / max(lateAll, 1)
	return s
}

func (s *Score) count(e event, action learn.Action) {
	switch {
	case action == learn.Push:
		s.Pushed++
		if !e.matters {
			s.PushedNoise++
		}
	case e.matters && action == learn.Quiet:
		s.Missed++
	case e.matters:
		s.Late++
	}
	if e.incident.Severity == learn.SeverityCritical && action != learn.Push {
		s.MissedCritical++
	}
}

func share(right []bool) float64 {
	n := 0
	for _, r := range right {
		if r {
			n++
		}
	}
	return float64(n) / float64(len(right))
}

// queue is feedback by time.
type queue []learn.Feedback

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].At.Before(q[j].At) }
func (q queue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)        { *q = append(*q, x.(learn.Feedback)) }
func (q *queue) Pop() any {
	old := *q
	last := old[len(old)-1]
	*q = old[:len(old)-1]
	return last
}

// Simulate lets each contender decide about the same worlds of each user, one world per seed, and returns the means.
func Simulate(contenders []Contender, users []User, weeks int, seeds []uint64) []Score {
	var out []Score
	for _, u := range users {
		worlds := make([][]event, len(seeds))
		for i, seed := range seeds {
			worlds[i] = world(u, weeks, seed)
		}
		for _, c := range contenders {
			scores := make([]Score, len(seeds))
			for i := range seeds {
				scores[i] = run(c.New(), u, worlds[i], weeks)
			}
			mean := average(scores)
			mean.Policy = c.Name
			out = append(out, mean)
		}
	}
	return out
}

// average returns the means, and the median of UntilRight over the worlds that reached it.
func average(scores []Score) Score {
	out := Score{User: scores[0].User, Weekly: make([]float64, len(scores[0].Weekly)), UntilRight: -1}
	n := float64(len(scores))
	var until []float64
	for _, s := range scores {
		for i, v := range s.Weekly {
			out.Weekly[i] += v / n
		}
		for _, f := range []struct {
			sum *float64
			of  float64
		}{
			{&out.Incidents, s.Incidents}, {&out.Regret, s.Regret}, {&out.Pushed, s.Pushed}, {&out.PushedNoise, s.PushedNoise},
			{&out.Missed, s.Missed}, {&out.Late, s.Late}, {&out.MissedCritical, s.MissedCritical}, {&out.Judgements, s.Judgements},
			{&out.Reached, s.Reached}, {&out.RightAtEnd, s.RightAtEnd},
		} {
			*f.sum += f.of / n
		}
		if s.UntilRight >= 0 {
			until = append(until, s.UntilRight)
		}
	}
	if len(until) > 0 {
		slices.Sort(until)
		out.UntilRight = until[len(until)/2]
	}
	return out
}
