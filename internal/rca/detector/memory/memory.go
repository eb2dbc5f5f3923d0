// Package memory finds workloads that run out of memory.
package memory

import (
	"fmt"

	"github.com/kubebot/kubebot/internal/rca"
)

// Detector compares memory use against its limit, and restarts, with the time before.
func Detector() rca.Detector {
	return rca.Detector{
		Name: "memory",
		Doc:  "Memory use relative to the limit risen since the onset, and restarts.",
		Features: []rca.Feature{
			{Name: "rise", Doc: "share of the free memory before that is used now"},
			{Name: "pressure", Doc: "how far use exceeds 85 % of the limit, if it rose"},
			{Name: "restarts", Doc: "restarts since the onset of a workload whose memory rose"},
		},
		Detect: detect,
	}
}

func detect(v *rca.View) []rca.Finding {
	var out []rca.Finding
	for _, s := range v.Services {
		u := v.ShiftUp(s.Series, rca.SeriesMemoryUtilization)
		if !u.OK || u.Now < u.Base+max(0.05, 4*u.Spread) {
			continue
		}
		rise := rca.Clamp((u.Now - u.Base) / max(0.05, 1-u.Base))
		f := rca.Finding{Workload: s.Name, Kind: rca.KindMemory, Values: map[string]float64{
			"rise": rise, "pressure": rise * rca.Clamp((u.Now-0.85)/0.15),
		}}
		f.Evidence = append(f.Evidence, rca.Evidence{
			Text:   fmt.Sprintf("memory use rose from %.0f %% to %.0f %% of the limit", 100*u.Base, 100*u.Now),
			Before: u.Base, Now: u.Now, Unit: "1",
		})
		if r := v.ShiftUp(s.Series, rca.SeriesRestarts); r.OK && r.Now >= r.Base+0.5 {
			f.Values["restarts"] = 1
			f.Evidence = append(f.Evidence, rca.Evidence{
				Text: fmt.Sprintf("%.0f restarts since the onset", r.Now-r.Base), Before: r.Base, Now: r.Now, Unit: "{restart}",
			})
		}
		out = append(out, f)
	}
	return out
}
