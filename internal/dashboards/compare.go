package dashboards

import (
	"maps"
	"reflect"
)

// ignored are fields of a dashboard that are Grafana's own.
var ignored = []string{"id", "version", "schemaVersion", "iteration"}

// without returns a dashboard's model without Grafana's own fields.
func without(model map[string]any) map[string]any {
	out := maps.Clone(model)
	for _, field := range ignored {
		delete(out, field)
	}
	return out
}

// holds tells whether have has everything that want says. Fields that want does not name may have any value, and a field
// that Grafana leaves out counts as its empty value: KubeBot brings back what it set, and leaves what others added.
func holds(have, want any) bool {
	switch want := want.(type) {
	case map[string]any:
		return holdsMap(have, want)
	case []any:
		have, ok := have.([]any)
		if !ok {
			return len(want) == 0 && isEmpty(have)
		}
		if len(have) != len(want) {
			return false
		}
		for i := range want {
			if !holds(have[i], want[i]) {
				return false
			}
		}
		return true
	}
	return reflect.DeepEqual(have, want) || have == nil && isEmpty(want)
}

func holdsMap(have any, want map[string]any) bool {
	m, ok := have.(map[string]any)
	if !ok {
		return have == nil && isEmpty(want)
	}
	for key, value := range want {
		if !holds(m[key], value) {
			return false
		}
	}
	return true
}

// isEmpty tells whether a JSON value says nothing.
func isEmpty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case bool:
		return !v
	case string:
		return v == ""
	case float64:
		return v == 0
	case []any:
		return len(v) == 0
	case map[string]any:
		for _, inner := range v {
			if !isEmpty(inner) {
				return false
			}
		}
		return true
	}
	return false
}

// merged returns have with the fields of want.
func merged(have, want map[string]any) map[string]any {
	out := map[string]any{}
	maps.Copy(out, have)
	maps.Copy(out, want)
	return out
}
