// Package change finds workloads that were altered shortly before the trouble began.
package change

import (
	"fmt"
	"math"
	"time"

	"github.com/kubebot/kubebot/internal/rca"
)

// halfLife is how long before the onset a change counts half.
const halfLife = 15 * time.Minute

// Detector weighs changes by how shortly they came before the onset.
func Detector() rca.Detector {
	return rca.Detector{
		Name: "change",
		Doc:  "Rollouts, images and configuration changed shortly before the onset.",
		Features: []rca.Feature{
			{Name: "recent", Doc: "1 for a change right before the onset, 1/2 at fifteen minutes"},
		},
		Detect: detect,
	}
}

var kinds = map[string]rca.Kind{"config": rca.KindConfig, "image": rca.KindCode}

func detect(v *rca.View) []rca.Finding {
	type key struct {
		workload string
		kind     rca.Kind
	}
	onset := v.Steps[v.Onset]
	best := map[key]int{}
	var out []rca.Finding
	for _, c := range v.Changes {
		age := time.Duration(onset.Start - c.Time)
		if c.Time >= onset.End || c.Workload == "" {
			continue
		}
		kind, ok := kinds[c.Kind]
		if !ok {
			kind = rca.KindConfig
		}
		f := rca.Finding{
			Workload: c.Workload, Kind: kind,
			Values: map[string]float64{"recent": math.Exp2(-float64(max(0, age)) / float64(halfLife))},
			Evidence: []rca.Evidence{{
				Text: fmt.Sprintf("%s changed %.0f min before the onset: %s", c.Kind, max(0, age.Minutes()), c.Summary),
				Now:  age.Seconds(), Unit: "s",
			}},
		}
		k := key{c.Workload, kind}
		if i, ok := best[k]; !ok {
			best[k] = len(out)
			out = append(out, f)
		} else if f.Values["recent"] > out[i].Values["recent"] {
			out[i] = f
		}
	}
	return out
}
