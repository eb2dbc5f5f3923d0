package apply

import (
	"bytes"
	"encoding/json"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kubebot/kubebot/internal/naming"
)

// Drifted tells whether applying desired would change live: a field of desired has another value or is missing, is no
// longer KubeBot's by live's managed fields, or KubeBot still owns a field that desired no longer sets. Fields that
// others set and desired does not are none of its business. It may call an object drifted that is not, where the API
// server writes a value in another form; it never misses a difference.
func Drifted(desired, live *unstructured.Unstructured) bool {
	entry := ownEntry(live)
	if entry == nil || entry.APIVersion != desired.GetAPIVersion() {
		return true
	}
	var fields map[string]any
	if err := json.Unmarshal(entry.FieldsV1.GetRawBytes(), &fields); err != nil {
		return true
	}
	return !sameMap(content(desired), live.Object, fields)
}

// ownEntry returns the managed fields that KubeBot applied, or nil.
func ownEntry(live *unstructured.Unstructured) *metav1.ManagedFieldsEntry {
	for _, entry := range live.GetManagedFields() {
		if entry.Manager == naming.FieldManager && entry.Operation == metav1.ManagedFieldsOperationApply &&
			entry.Subresource == "" && entry.FieldsV1 != nil {
			return &entry
		}
	}
	return nil
}

// content returns desired without what managed fields never list: its kind, name and namespace.
func content(desired *unstructured.Unstructured) map[string]any {
	out := make(map[string]any, len(desired.Object))
	for key, value := range desired.Object {
		switch key {
		case "apiVersion", "kind":
		case "metadata":
			meta := map[string]any{}
			for k, v := range value.(map[string]any) {
				if k != "name" && k != "namespace" {
					meta[k] = v
				}
			}
			if len(meta) > 0 {
				out[key] = meta
			}
		default:
			out[key] = value
		}
	}
	return out
}

// same compares a wanted value with the live one; fields are the managed fields below it.
func same(want, live any, fields map[string]any) bool {
	if leaf(fields) {
		return covers(want, live)
	}
	switch w := want.(type) {
	case map[string]any:
		l, ok := live.(map[string]any)
		return ok && sameMap(w, l, fields)
	case []any:
		l, ok := live.([]any)
		return ok && sameList(w, l, fields)
	}
	return equal(want, live)
}

func leaf(fields map[string]any) bool {
	_, self := fields["."]
	return len(fields) == 0 || len(fields) == 1 && self
}

func sameMap(want, live, fields map[string]any) bool {
	for owned := range fields {
		if name, ok := strings.CutPrefix(owned, "f:"); ok {
			if _, wanted := want[name]; !wanted {
				return false
			}
		}
	}
	for name, value := range want {
		below, owned := fields["f:"+name].(map[string]any)
		got, found := live[name]
		if !owned || !found || !same(value, got, below) {
			return false
		}
	}
	return true
}

// sameList compares lists whose items the API server merges by key ("k:") or as a set ("v:").
func sameList(want, live []any, fields map[string]any) bool {
	matched := 0
	for path, below := range fields {
		kind, raw, _ := strings.Cut(path, ":")
		if kind == "." {
			continue
		}
		var key any
		if err := json.Unmarshal([]byte(raw), &key); err != nil {
			return false
		}
		w, wanted := pick(want, kind, key)
		l, found := pick(live, kind, key)
		children, _ := below.(map[string]any)
		if !wanted || !found || !same(w, l, children) {
			return false
		}
		matched++
	}
	return matched == len(want)
}

// pick returns the item of a list that a managed-fields key names. A key field that the item leaves out counts as
// equal: the API server has filled in its default.
func pick(items []any, kind string, key any) (any, bool) {
	for _, item := range items {
		if kind == "v" {
			if equal(item, key) {
				return item, true
			}
			continue
		}
		m, isMap := item.(map[string]any)
		keys, hasKeys := key.(map[string]any)
		if !isMap || !hasKeys {
			return nil, false
		}
		if hasKey(m, keys) {
			return item, true
		}
	}
	return nil, false
}

func hasKey(item, keys map[string]any) bool {
	for name, value := range keys {
		if got, ok := item[name]; ok && !equal(got, value) {
			return false
		}
	}
	return true
}

// covers compares values that are owned as a whole; the API server may have added defaults inside.
func covers(want, live any) bool {
	switch w := want.(type) {
	case map[string]any:
		l, ok := live.(map[string]any)
		if !ok {
			return false
		}
		for key, value := range w {
			if got, found := l[key]; !found || !covers(value, got) {
				return false
			}
		}
		return true
	case []any:
		l, ok := live.([]any)
		if !ok || len(w) != len(l) {
			return false
		}
		for i := range w {
			if !covers(w[i], l[i]) {
				return false
			}
		}
		return true
	}
	return equal(want, live)
}

// equal compares two values by their JSON, because the same number may be an int64 or a float64.
func equal(a, b any) bool {
	left, err := json.Marshal(a)
	if err != nil {
		return false
	}
	right, err := json.Marshal(b)
	return err == nil && bytes.Equal(left, right)
}
