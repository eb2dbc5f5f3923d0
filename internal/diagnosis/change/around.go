package change

import (
	"encoding/json"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubebot/kubebot/internal/diagnosis"
	"github.com/kubebot/kubebot/internal/mask"
)

// rights compares what a container may do, and which volumes it sees.
func rights(at string, o, n *corev1.Container) []Change {
	out := fields(at+".securityContext", "", tree(o.SecurityContext), tree(n.SecurityContext))
	mounts := func(c *corev1.Container) map[string]any {
		all := map[string]any{}
		for _, m := range c.VolumeMounts {
			all[m.MountPath] = tree(m)
		}
		return all
	}
	was, is := mounts(o), mounts(n)
	for _, path := range keys(was, is) {
		switch a, b := was[path], is[path]; {
		case a == nil || b == nil:
			out = append(out, Change{at + ".volumeMounts[" + path + "]", name(a), name(b)})
		default:
			out = append(out, fields(at+".volumeMounts["+path+"]", "", a, b)...)
		}
	}
	return out
}

// name is that of the volume of a mount.
func name(mount any) string {
	if m, ok := mount.(map[string]any); ok {
		return text("name", m["name"])
	}
	return ""
}

// surroundings compares what the pod gives all of its containers: account, rights and volumes. Volumes that came or went
// with a ConfigMap, Secret or claim are told as references.
func surroundings(old, now *corev1.PodSpec) []Change {
	out := fields("securityContext", "", tree(old.SecurityContext), tree(now.SecurityContext))
	if old.ServiceAccountName != now.ServiceAccountName {
		out = append(out, Change{"serviceAccountName", old.ServiceAccountName, now.ServiceAccountName})
	}
	volumes := func(spec *corev1.PodSpec) map[string]any {
		all := map[string]any{}
		for _, v := range spec.Volumes {
			all[v.Name] = v
		}
		return all
	}
	was, is := volumes(old), volumes(now)
	for _, volume := range keys(was, is) {
		a, _ := was[volume].(corev1.Volume)
		b, _ := is[volume].(corev1.Volume)
		if !slices.Equal(referred(a), referred(b)) {
			continue
		}
		out = append(out, source("volumes["+volume+"]", tree(a.VolumeSource), tree(b.VolumeSource))...)
	}
	return out
}

// source compares what two volumes are made from: their types, and what is in one type.
func source(at string, a, b any) []Change {
	was, is := types(a), types(b)
	if was != is {
		return []Change{{at, was, is}}
	}
	out := fields(at, "", a, b)
	for i, c := range out {
		if drivers.MatchString(c.Field) {
			out[i].Old, out[i].New = hidden(c.Old), hidden(c.New)
		}
	}
	return out
}

// drivers are the fields in which a volume's driver gets options of its own, which may be secrets under any name.
var drivers = regexp.MustCompile(`\.(?:csi\.volumeAttributes|flexVolume\.options)\b`)

// types are what a volume is: emptyDir, csi and so on.
func types(source any) string {
	of, _ := source.(map[string]any)
	return strings.Join(keys(of, nil), ", ")
}

func hidden(s string) string {
	if s == "" {
		return ""
	}
	return mask.Hidden
}

// referred are the objects that a volume holds.
func referred(v corev1.Volume) []string {
	var out []string
	for _, r := range diagnosis.References(&corev1.PodSpec{Volumes: []corev1.Volume{v}}) {
		out = append(out, r.Kind+" "+r.Name)
	}
	return out
}

// fields are the changes from one tree to another, down to single values; key is that of the two in what holds them.
func fields(at, key string, a, b any) []Change {
	if reflect.DeepEqual(a, b) {
		return nil
	}
	was, aTree := a.(map[string]any)
	is, bTree := b.(map[string]any)
	if key != "" && (a == nil || b == nil) || a != nil && !aTree || b != nil && !bTree {
		return []Change{{at, text(key, a), text(key, b)}}
	}
	var out []Change
	for _, k := range keys(was, is) {
		out = append(out, fields(at+"."+k, k, was[k], is[k])...)
	}
	return out
}

// keys are those of both, sorted.
func keys(a, b map[string]any) []string {
	all := maps.Clone(a)
	if all == nil {
		all = map[string]any{}
	}
	maps.Copy(all, b)
	return slices.Sorted(maps.Keys(all))
}

// tree is a value as JSON has it; nil for none.
func tree(v any) any {
	data, err := json.Marshal(v)
	var out any
	if err != nil || json.Unmarshal(data, &out) != nil {
		return nil
	}
	return out
}

// text is a value in a sentence, with secrets masked.
func text(key string, v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return mask.Value(key, v)
	}
	data, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return mask.Value(key, string(data))
}
