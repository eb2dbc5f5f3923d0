package diagnosis

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Scale sets how many pods a workload shall have.
func Scale(w Object, replicas int) Patch {
	return Patch{
		Object: w, Type: "merge", Body: fmt.Sprintf(`{"spec":{"replicas":%d}}`, replicas), Subresource: "scale",
		As: Kubectl(w.Namespace, "scale", w.Arg(), fmt.Sprintf("--replicas=%d", replicas)),
	}
}

// Resume lets the rollout of a paused workload go on.
func Resume(w Object) Patch {
	return Patch{Object: w, Type: "merge", Body: `{"spec":{"paused":null}}`, As: Kubectl(w.Namespace, "rollout", "resume", w.Arg())}
}

// SetImage gives a container of the workload another image.
func (w Workload) SetImage(container, image string) Patch {
	return w.set(container, map[string]any{"image": image}, "image", w.Arg(), container+"="+image)
}

// SetResource gives a container of the workload a limit or a request; list is limits or requests.
func (w Workload) SetResource(container, list, resource, quantity string) Patch {
	return w.set(container, map[string]any{"resources": map[string]any{list: map[string]any{resource: quantity}}},
		"resources", w.Arg(), "-c", container, fmt.Sprintf("--%s=%s=%s", list, resource, quantity))
}

// SetResources gives a container of the workload limits and requests; what it has of others stays.
func (w Workload) SetResources(container string, r corev1.ResourceRequirements) Patch {
	args := []string{"resources", w.Arg(), "-c", container}
	lists := map[string]any{}
	for _, list := range []struct {
		name   string
		values corev1.ResourceList
	}{{"limits", r.Limits}, {"requests", r.Requests}} {
		var words []string
		for _, name := range slices.Sorted(maps.Keys(list.values)) {
			q := list.values[name]
			words = append(words, fmt.Sprintf("%s=%s", name, q.String()))
		}
		if len(words) > 0 {
			args, lists[list.name] = append(args, "--"+list.name+"="+strings.Join(words, ",")), list.values
		}
	}
	return w.set(container, map[string]any{"resources": lists}, args...)
}

// SetEnv gives an environment variable of a container of the workload another value.
func (w Workload) SetEnv(container, name, value string) Patch {
	return w.set(container, map[string]any{"env": []any{map[string]any{"name": name, "value": value}}},
		"env", w.Arg(), "-c", container, name+"="+value)
}

// set is what kubectl set sends to change fields of one container.
func (w Workload) set(container string, fields map[string]any, args ...string) Patch {
	list := "containers"
	for _, c := range w.Template.Spec.InitContainers {
		if c.Name == container {
			list = "initContainers"
		}
	}
	fields["name"] = container
	var body any = map[string]any{list: []any{fields}}
	for _, field := range slices.Backward(strings.Split(strings.TrimPrefix(w.SpecPath(""), "/"), "/")) {
		body = map[string]any{field: body}
	}
	text, err := json.Marshal(body)
	if err != nil {
		panic("marshal patch: " + err.Error()) // only plain values are in it
	}
	return Patch{Object: w.Object, Type: "strategic", Body: string(text), As: Kubectl(w.Namespace, append([]string{"set"}, args...)...)}
}
