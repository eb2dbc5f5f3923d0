package dataset

import (
	"fmt"
	"slices"
)

// Seconds that a quiet window keeps from the faults around it.
const (
	quietBefore = 130 // the alarm of a quiet window comes this long before the next stated fault
	quietMargin = 75  // stated times are good to about a minute
	quietAfter  = 420 // a fault is over this long after its start
	quietSteps  = 180 // the engine looks this far back from the alarm
)

// petshopQuiet is how many quiet windows are cut from each fault-free PetShop recording.
const petshopQuiet = 10

// Quiet makes cases of times without any fault, to count false alarms: the stretch before a Nezha fault, and rows of the
// fault-free PetShop recordings.
func Quiet(cases []Case) []Case {
	var out []Case
	petshops := map[string]bool{}
	for _, c := range cases {
		if c.IsPetShop() {
			if c.NormalFile != "" && c.Target != nil && !petshops[c.NormalFile+c.Target.Metric] {
				petshops[c.NormalFile+c.Target.Metric] = true
				for i := range petshopQuiet {
					q := c
					q.ID = fmt.Sprintf("quiet-%s-%d", c.ID, i)
					q.AbnormalFile = c.NormalFile
					q.quietRow = 40 + 55*i
					q.Truth = nil
					out = append(out, q)
				}
			}
			continue
		}
		q := c
		q.ID, q.Truth = "quiet-"+c.ID, nil
		start := c.AbnormalWindow[0] - quietBefore
		q.InjectTS = start
		q.AbnormalWindow = [2]float64{start, c.AbnormalWindow[0] - quietMargin}
		q.NormalWindow = slices.Clone(c.NormalWindow)
		busy := len(c.NormalWindow) < 2 || c.NormalWindow[0] > start-quietSteps-60
		for _, w := range c.ExcludeWindows {
			busy = busy || w[0]+quietAfter > start-quietSteps
		}
		if !busy {
			out = append(out, q)
		}
	}
	return out
}
