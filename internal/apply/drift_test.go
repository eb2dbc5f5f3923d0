package apply

import (
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

func parse(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	u := &unstructured.Unstructured{}
	raw, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := u.UnmarshalJSON(raw); err != nil {
		t.Fatal(err)
	}
	return u
}

const wanted = `
apiVersion: apps/v1
kind: Deployment
metadata:
  name: a
  namespace: b
  labels: {app: a}
spec:
  selector: {matchLabels: {app: a}}
  template:
    spec:
      containers:
      - name: web
        image: web:1
        args: [--a, --b]
        resources: {}
        ports: [{name: http, containerPort: 80}]
      tolerations: [{operator: Exists}]
`

// managed are the fields that the API server lists after an apply of wanted.
const managed = `{"f:metadata":{"f:labels":{"f:app":{}}},"f:spec":{"f:selector":{},"f:template":{"f:spec":{
"f:containers":{"k:{\"name\":\"web\"}":{".":{},"f:name":{},"f:image":{},"f:args":{},"f:resources":{},
"f:ports":{"k:{\"containerPort\":80,\"protocol\":\"TCP\"}":{".":{},"f:containerPort":{},"f:name":{}}}}},
"f:tolerations":{}}}}}`

// stored returns the live object: wanted with the API server's defaults, changed by edit, and the managed fields.
func stored(t *testing.T, fields string, edit func(*unstructured.Unstructured)) *unstructured.Unstructured {
	t.Helper()
	live := parse(t, wanted)
	live.SetResourceVersion("7")
	live.SetAnnotations(map[string]string{"somebody": "else"})
	container := containers(live)[0].(map[string]any)
	container["imagePullPolicy"] = "IfNotPresent"
	container["ports"].([]any)[0].(map[string]any)["protocol"] = "TCP"
	live.Object["spec"].(map[string]any)["replicas"] = int64(5)
	if edit != nil {
		edit(live)
	}
	var raw any
	if err := yaml.Unmarshal([]byte(fields), &raw); err != nil {
		t.Fatal(err)
	}
	entry := map[string]any{"manager": "kubebot", "operation": "Apply", "apiVersion": "apps/v1", "fieldsType": "FieldsV1", "fieldsV1": raw}
	live.Object["metadata"].(map[string]any)["managedFields"] = []any{entry}
	return live
}

func containers(u *unstructured.Unstructured) []any {
	spec := u.Object["spec"].(map[string]any)["template"].(map[string]any)["spec"].(map[string]any)
	return spec["containers"].([]any)
}

func TestDrifted(t *testing.T) {
	web := func(u *unstructured.Unstructured) map[string]any { return containers(u)[0].(map[string]any) }
	for _, test := range []struct {
		name   string
		live   func(*unstructured.Unstructured)
		want   func(*unstructured.Unstructured)
		fields func(string) string
		drift  bool
	}{
		{name: "defaults of the API server"},
		{name: "a sidecar of somebody else", live: func(u *unstructured.Unstructured) {
			spec := u.Object["spec"].(map[string]any)["template"].(map[string]any)["spec"].(map[string]any)
			spec["containers"] = append([]any{map[string]any{"name": "sidecar", "image": "s:1"}}, containers(u)...)
		}},
		{name: "a label of somebody else", live: func(u *unstructured.Unstructured) { u.SetLabels(map[string]string{"app": "a", "team": "b"}) }},
		{name: "another image", live: func(u *unstructured.Unstructured) { web(u)["image"] = "web:2" }, drift: true},
		{name: "an argument more", live: func(u *unstructured.Unstructured) { web(u)["args"] = []any{"--a", "--b", "--c"} }, drift: true},
		{name: "a label that is gone", live: func(u *unstructured.Unstructured) { u.SetLabels(nil) }, drift: true},
		{name: "a container that is gone", live: func(u *unstructured.Unstructured) { web(u)["name"] = "other" }, drift: true},
		{name: "a port that is gone", live: func(u *unstructured.Unstructured) { web(u)["ports"] = []any{} }, drift: true},
		{name: "wanted anew", want: func(u *unstructured.Unstructured) { web(u)["workingDir"] = "/" }, drift: true},
		{name: "no longer wanted", want: func(u *unstructured.Unstructured) { delete(web(u), "args") }, drift: true},
		{name: "a list item no longer wanted", want: func(u *unstructured.Unstructured) { web(u)["ports"] = []any{} }, drift: true},
		{name: "another selector, owned as a whole", want: func(u *unstructured.Unstructured) {
			u.Object["spec"].(map[string]any)["selector"] = map[string]any{"matchLabels": map[string]any{"app": "b"}}
		}, drift: true},
		{name: "taken by somebody who set the same", fields: func(string) string { return `{"f:metadata":{"f:labels":{"f:app":{}}}}` }, drift: true},
		{name: "fields that can't be read", fields: func(string) string { return `[]` }, drift: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			desired, fields := parse(t, wanted), managed
			if test.want != nil {
				test.want(desired)
			}
			if test.fields != nil {
				fields = test.fields(fields)
			}
			if got := Drifted(desired, stored(t, fields, test.live)); got != test.drift {
				t.Errorf("drifted is %v", got)
			}
		})
	}
	t.Run("never applied", func(t *testing.T) {
		live := stored(t, managed, nil)
		live.SetManagedFields(nil)
		if !Drifted(parse(t, wanted), live) {
			t.Error("not drifted")
		}
	})
	t.Run("applied in another version", func(t *testing.T) {
		desired := parse(t, wanted)
		desired.SetAPIVersion("apps/v2")
		if !Drifted(desired, stored(t, managed, nil)) {
			t.Error("not drifted")
		}
	})
}

func FuzzDrifted(f *testing.F) {
	f.Add([]byte(managed))
	f.Add([]byte(`{"f:spec":{"f:template":{"f:spec":{"f:containers":{"k:1":{},"v:{}":{},":":{}}}}}}`))
	f.Fuzz(func(t *testing.T, fields []byte) {
		live := parse(t, wanted)
		desired := parse(t, wanted)
		var tree map[string]any
		if yaml.Unmarshal(fields, &tree) == nil {
			sameMap(content(desired), live.Object, tree) // must not panic, whatever the fields are
		}
	})
}
