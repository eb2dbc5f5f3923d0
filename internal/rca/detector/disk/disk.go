// Package disk finds workloads whose volumes fill up.
package disk

import (
	"fmt"

	"github.com/kubebot/kubebot/internal/rca"
)

// Detector compares the fill of volumes with the time before.
func Detector() rca.Detector {
	return rca.Detector{
		Name: "disk",
		Doc:  "Volume fill risen since the onset, or nearly full.",
		Features: []rca.Feature{
			{Name: "full", Doc: "how far the fill exceeds 90 %"},
			{Name: "rise", Doc: "share of the free space before that is used now"},
		},
		Detect: detect,
	}
}

func detect(v *rca.View) []rca.Finding {
	var out []rca.Finding
	for _, s := range v.Services {
		u := v.ShiftUp(s.Series, rca.SeriesDiskUtilization)
		if !u.OK || u.Now < 0.9 && u.Now < u.Base+max(0.05, 4*u.Spread) {
			continue
		}
		out = append(out, rca.Finding{
			Workload: s.Name, Kind: rca.KindDisk,
			Values: map[string]float64{"full": rca.Clamp((u.Now - 0.9) / 0.1), "rise": rca.Clamp((u.Now - u.Base) / max(0.02, 1-u.Base))},
			Evidence: []rca.Evidence{{
				Text:   fmt.Sprintf("volume filled from %.0f %% to %.0f %%", 100*u.Base, 100*u.Now),
				Before: u.Base, Now: u.Now, Unit: "1",
			}},
		})
	}
	return out
}
