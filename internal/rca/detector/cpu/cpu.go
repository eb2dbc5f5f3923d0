// Package cpu finds workloads that use up their CPU.
package cpu

import (
	"fmt"

	"github.com/kubebot/kubebot/internal/rca"
)

// Detector compares CPU use against its limit, and throttling, with the time before.
func Detector() rca.Detector {
	return rca.Detector{
		Name: "cpu",
		Doc:  "CPU use relative to the limit, and throttling, risen since the onset.",
		Features: []rca.Feature{
			{Name: "rise", Doc: "share of the free CPU before that is used now"},
			{Name: "saturation", Doc: "how far use exceeds 60 % of the limit, if it rose"},
			{Name: "throttled", Doc: "rise of the share of throttled periods"},
		},
		Detect: detect,
	}
}

func detect(v *rca.View) []rca.Finding {
	var out []rca.Finding
	for _, s := range v.Services {
		f := rca.Finding{Workload: s.Name, Kind: rca.KindCPU, Values: map[string]float64{}}
		if u := v.ShiftUp(s.Series, rca.SeriesCPUUtilization); u.OK && u.Now > u.Base+max(0.03, 3*u.Spread) {
			rise := rca.Clamp((u.Now - u.Base) / max(0.05, 1-u.Base))
			f.Values["rise"] = rise
			f.Values["saturation"] = rise * rca.Clamp((u.Now-0.6)/0.4)
			f.Evidence = append(f.Evidence, rca.Evidence{
				Text:   fmt.Sprintf("CPU use rose from %.0f %% to %.0f %% of the limit", 100*u.Base, 100*u.Now),
				Before: u.Base, Now: u.Now, Unit: "1",
			})
		}
		if t := v.ShiftUp(s.Series, rca.SeriesCPUThrottled); t.OK && t.Now > t.Base+max(0.05, 3*t.Spread) {
			f.Values["throttled"] = rca.Clamp(t.Now - t.Base)
			f.Evidence = append(f.Evidence, rca.Evidence{
				Text:   fmt.Sprintf("CPU throttled in %.0f %% of the periods, before %.0f %%", 100*t.Now, 100*t.Base),
				Before: t.Base, Now: t.Now, Unit: "1",
			})
		}
		if len(f.Evidence) > 0 {
			out = append(out, f)
		}
	}
	return out
}
