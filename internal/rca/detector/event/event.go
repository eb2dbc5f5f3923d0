// Package event finds workloads about which the platform warned.
package event

import (
	"fmt"
	"strings"

	"github.com/kubebot/kubebot/internal/rca"
)

// Detector reads warning events since the look-back; their reasons name the kind of cause.
func Detector() rca.Detector {
	return rca.Detector{
		Name: "event",
		Doc:  "Warnings of the platform about a workload, by what their reason means.",
		Features: []rca.Feature{
			{Name: "warned", Doc: "a warning whose reason names the kind of cause"},
			{Name: "repeated", Doc: "how often; 1/2 at three times"},
		},
		Detect: detect,
	}
}

// reasons maps parts of event reasons and messages, in lower case, to the kind of cause. The first match counts.
var reasons = []struct {
	part string
	kind rca.Kind
}{
	{"oomkill", rca.KindMemory}, {"out of memory", rca.KindMemory},
	{"imagepull", rca.KindImage}, {"errimage", rca.KindImage}, {"invalidimagename", rca.KindImage},
	{"exceeded quota", rca.KindQuota}, {"failedscheduling", rca.KindScheduling},
	{"x509", rca.KindCertificate}, {"certificate", rca.KindCertificate},
	{"no such host", rca.KindDNS}, {"dnsconfig", rca.KindDNS},
	{"diskpressure", rca.KindDisk}, {"no space left", rca.KindDisk}, {"emptydir", rca.KindDisk}, {"ephemeral", rca.KindDisk},
	{"nodenotready", rca.KindNode}, {"memorypressure", rca.KindNode}, {"taintmanagereviction", rca.KindNode},
	{"failedmount", rca.KindConfig}, {"createcontainerconfigerror", rca.KindConfig}, {"not found", rca.KindConfig},
	{"backoff", rca.KindCode}, {"unhealthy", rca.KindCode},
}

func kindOf(e rca.Event) rca.Kind {
	text := strings.ToLower(e.Reason + " " + e.Message)
	for _, r := range reasons {
		if strings.Contains(text, r.part) {
			return r.kind
		}
	}
	return ""
}

func detect(v *rca.View) []rca.Finding {
	type key struct {
		workload string
		kind     rca.Kind
	}
	index := map[key]int{}
	var count []int
	var out []rca.Finding
	for _, e := range v.Events {
		kind := kindOf(e)
		if !e.Warning || kind == "" || e.Workload == "" || e.Time < v.Steps[0].Start || e.Time >= v.Steps[len(v.Steps)-1].End {
			continue
		}
		k := key{e.Workload, kind}
		i, ok := index[k]
		if !ok {
			i = len(out)
			index[k] = i
			count = append(count, 0)
			out = append(out, rca.Finding{Workload: e.Workload, Kind: kind, Values: map[string]float64{"warned": 1}})
		}
		count[i]++
		out[i].Values["repeated"] = rca.Squash(float64(count[i]), 3)
		out[i].Evidence = []rca.Evidence{{
			Text: fmt.Sprintf("%s: %s (%d times)", e.Reason, e.Message, count[i]), Now: float64(count[i]), Unit: "{event}",
		}}
	}
	return out
}
