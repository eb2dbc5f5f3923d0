// Package selftime finds workloads that themselves take longer, apart from what they call.
package selftime

import (
	"fmt"
	"math"

	"github.com/kubebot/kubebot/internal/rca"
)

const minCalls = 5

// Detector compares, per operation, the time that no child span covers with the time before.
func Detector() rca.Detector {
	return rca.Detector{
		Name: "selftime",
		Doc:  "Time spent in the workload itself, apart from its calls, risen since the onset.",
		Features: []rca.Feature{
			{Name: "share", Doc: "share of the whole system's extra self time that this workload spends, times ratio (1/2 at doubling)"},
			{Name: "ratio", Doc: "median self time against before on a log scale; 1 at tenfold"},
		},
		Detect: detect,
	}
}

func detect(v *rca.View) []rca.Finding {
	type found struct {
		name          string
		excess, ratio float64
		ev            rca.Evidence
	}
	var all []found
	var total float64
	for _, s := range v.Services {
		f := found{name: s.Name}
		var worst float64
		for _, o := range s.Operations {
			if o.Client || o.Base.Self.N < minCalls || o.Now.Self.N < minCalls {
				continue
			}
			base, now := o.Base.Self.Quantile(0.5), o.Now.Self.Quantile(0.5)
			base90, now90 := o.Base.Self.Quantile(0.9), o.Now.Self.Quantile(0.9)
			extra := float64(o.Now.Calls) * (0.5*(now-base) + 0.5*(now90-base90))
			if extra <= 0 {
				continue
			}
			f.excess += extra
			if extra > worst {
				worst = extra
				f.ratio = math.Log10(max(1, (now+0.5e-3)/(base+0.5e-3)))
				f.ev = rca.Evidence{
					Text: fmt.Sprintf("%s takes %.1f ms by itself (median; 90th percentile %.1f ms), before %.1f ms (%.1f ms)",
						o.Name, 1e3*now, 1e3*now90, 1e3*base, 1e3*base90),
					Before: base, Now: now, Unit: "s",
				}
			}
		}
		if f.excess > 0 {
			all = append(all, f)
			total += f.excess
		}
	}
	var out []rca.Finding
	for _, f := range all {
		out = append(out, rca.Finding{
			Workload: f.name, Except: []rca.Kind{rca.KindNetwork, rca.KindDNS},
			Values:   map[string]float64{"share": f.excess / total * rca.Squash(f.ratio, 0.3), "ratio": f.ratio},
			Evidence: []rca.Evidence{f.ev},
		})
	}
	return out
}
