package interact

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/alert"
)

// Matcher of a silence, as Alertmanager's API v2 has it.
type Matcher struct {
	Name    string `json:"name"`
	Value   string `json:"value"`
	IsRegex bool   `json:"isRegex"`
	IsEqual bool   `json:"isEqual"`
}

// maxValues is how many values of a label a matcher lists; a label with more is left out.
const maxValues = 20

// fleeting labels name one instance of a workload. They are left out where the workload is named, so that the silence
// holds for the pods of tomorrow too.
var fleeting = map[string]bool{
	alert.LabelPod: true, alert.LabelContainer: true, "instance": true, "uid": true, "id": true, "pod_ip": true, "endpoint": true,
	"container_id": true, "replicaset": true, "reason": true, "prometheus": true, "prometheus_replica": true,
}

// common labels tell nothing of what an alert is about.
var common = map[string]bool{alert.LabelName: true, alert.LabelSeverity: true, "job": true, "cluster": true}

// cutMark ends a value that was cut when it was stored: it can't be matched.
const cutMark = "…"

// Matchers are those of the silence of an Incident: the labels that all of its firing alerts from Alertmanager have,
// each with the values that occur, so a warning's silence does not hold for what becomes critical. None when no alert
// came from there, because nothing could be silenced then, and none when different alerts have nothing in common but
// their names, because that would silence others too.
func Matchers(inc *v1alpha1.Incident) []Matcher {
	values, n := map[string]map[string]int{}, 0
	for i := range inc.Status.Alerts {
		a := &inc.Status.Alerts[i]
		if a.Source == v1alpha1.AlertSourceWatch || a.State != v1alpha1.AlertFiring {
			continue
		}
		n++
		labels := maps.Clone(a.Labels)
		if labels == nil {
			labels = map[string]string{}
		}
		labels[alert.LabelName] = a.Name
		for name, value := range labels {
			if values[name] == nil {
				values[name] = map[string]int{}
			}
			values[name][value]++
		}
	}
	owned := len(values[alert.LabelWorkload]) == 1 && total(values[alert.LabelWorkload]) == n
	var list []Matcher
	telling := n == 1
	for _, name := range slices.Sorted(maps.Keys(values)) {
		found := values[name]
		if total(found) < n || len(found) > maxValues || owned && fleeting[name] || wasCut(found) {
			continue
		}
		telling = telling || !common[name]
		list = append(list, matcher(name, slices.Sorted(maps.Keys(found))))
	}
	if n == 0 || !telling {
		return nil
	}
	return list
}

func wasCut(values map[string]int) bool {
	for v := range values {
		if strings.HasSuffix(v, cutMark) {
			return true
		}
	}
	return false
}

func total(counts map[string]int) int {
	n := 0
	for _, c := range counts {
		n += c
	}
	return n
}

func matcher(name string, values []string) Matcher {
	if len(values) == 1 {
		return Matcher{Name: name, Value: values[0], IsEqual: true}
	}
	for i := range values {
		values[i] = regexp.QuoteMeta(values[i])
	}
	return Matcher{Name: name, Value: strings.Join(values, "|"), IsRegex: true, IsEqual: true}
}
