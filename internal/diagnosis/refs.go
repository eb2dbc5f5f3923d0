package diagnosis

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Reference is a reference of a pod template to a ConfigMap, Secret or PersistentVolumeClaim.
type Reference struct {
	Kind, Name string
	// Key within the object; empty when all of it is used.
	Key      string
	Optional bool
	// Use says how: "mounts it as volume config".
	Use string
	// Path is the JSON pointer of the name in the pod template's specification, KeyPath that of the key.
	Path, KeyPath string
	// Field is the path as people write it: spec.template.spec.volumes[config].configMap.name.
	Field string
}

// References lists what a pod template refers to, in the order of its fields.
func References(spec *corev1.PodSpec) []Reference {
	var out []Reference
	for i := range spec.Volumes {
		out = append(out, volumeReferences(&spec.Volumes[i], i)...)
	}
	for i := range spec.InitContainers {
		out = append(out, containerReferences(&spec.InitContainers[i], "init container", fmt.Sprintf("/initContainers/%d", i))...)
	}
	for i := range spec.Containers {
		out = append(out, containerReferences(&spec.Containers[i], "container", fmt.Sprintf("/containers/%d", i))...)
	}
	for i, s := range spec.ImagePullSecrets {
		out = append(out, Reference{Kind: "Secret", Name: s.Name, Optional: true, Use: "pulls its images with it",
			Path: fmt.Sprintf("/imagePullSecrets/%d/name", i), Field: "imagePullSecrets"})
	}
	return out
}

func volumeReferences(v *corev1.Volume, i int) []Reference {
	path, field, use := fmt.Sprintf("/volumes/%d", i), fmt.Sprintf("volumes[%s]", v.Name), "mounts it as volume "+v.Name
	var out []Reference
	if s := v.ConfigMap; s != nil {
		out = append(out, withItems(Reference{Kind: "ConfigMap", Name: s.Name, Optional: isTrue(s.Optional), Use: use,
			Path: path + "/configMap/name", Field: field + ".configMap.name"}, s.Items, path+"/configMap", field)...)
	}
	if s := v.Secret; s != nil {
		out = append(out, withItems(Reference{Kind: "Secret", Name: s.SecretName, Optional: isTrue(s.Optional), Use: use,
			Path: path + "/secret/secretName", Field: field + ".secret.secretName"}, s.Items, path+"/secret", field)...)
	}
	if s := v.PersistentVolumeClaim; s != nil {
		out = append(out, Reference{Kind: "PersistentVolumeClaim", Name: s.ClaimName, Use: use,
			Path: path + "/persistentVolumeClaim/claimName", Field: field + ".persistentVolumeClaim.claimName"})
	}
	if v.Projected == nil {
		return out
	}
	for j, s := range v.Projected.Sources {
		at := fmt.Sprintf("%s/projected/sources/%d", path, j)
		if c := s.ConfigMap; c != nil {
			out = append(out, withItems(Reference{Kind: "ConfigMap", Name: c.Name, Optional: isTrue(c.Optional), Use: use,
				Path: at + "/configMap/name", Field: field + ".projected.configMap.name"}, c.Items, at+"/configMap", field)...)
		}
		if c := s.Secret; c != nil {
			out = append(out, withItems(Reference{Kind: "Secret", Name: c.Name, Optional: isTrue(c.Optional), Use: use,
				Path: at + "/secret/name", Field: field + ".projected.secret.name"}, c.Items, at+"/secret", field)...)
		}
	}
	return out
}

// withItems adds a reference for every key that a volume picks.
func withItems(whole Reference, items []corev1.KeyToPath, path, field string) []Reference {
	out := []Reference{whole}
	for i, item := range items {
		r := whole
		r.Key, r.KeyPath, r.Field = item.Key, fmt.Sprintf("%s/items/%d/key", path, i), field+".items.key"
		out = append(out, r)
	}
	return out
}

func containerReferences(c *corev1.Container, noun, path string) []Reference {
	var out []Reference
	list, _, _ := strings.Cut(path[1:], "/")
	for i, e := range c.EnvFrom {
		at, field := fmt.Sprintf("%s/envFrom/%d", path, i), fmt.Sprintf("%s[%s].envFrom", list, c.Name)
		use := fmt.Sprintf("takes the environment of %s %s from it", noun, c.Name)
		if s := e.ConfigMapRef; s != nil {
			out = append(out, Reference{Kind: "ConfigMap", Name: s.Name, Optional: isTrue(s.Optional), Use: use,
				Path: at + "/configMapRef/name", Field: field + ".configMapRef.name"})
		}
		if s := e.SecretRef; s != nil {
			out = append(out, Reference{Kind: "Secret", Name: s.Name, Optional: isTrue(s.Optional), Use: use,
				Path: at + "/secretRef/name", Field: field + ".secretRef.name"})
		}
	}
	for i, e := range c.Env {
		if e.ValueFrom == nil {
			continue
		}
		at, field := fmt.Sprintf("%s/env/%d/valueFrom", path, i), fmt.Sprintf("%s[%s].env[%s].valueFrom", list, c.Name, e.Name)
		use := fmt.Sprintf("sets %s of %s %s from it", e.Name, noun, c.Name)
		if s := e.ValueFrom.ConfigMapKeyRef; s != nil {
			out = append(out, Reference{Kind: "ConfigMap", Name: s.Name, Key: s.Key, Optional: isTrue(s.Optional), Use: use,
				Path: at + "/configMapKeyRef/name", KeyPath: at + "/configMapKeyRef/key", Field: field + ".configMapKeyRef"})
		}
		if s := e.ValueFrom.SecretKeyRef; s != nil {
			out = append(out, Reference{Kind: "Secret", Name: s.Name, Key: s.Key, Optional: isTrue(s.Optional), Use: use,
				Path: at + "/secretKeyRef/name", KeyPath: at + "/secretKeyRef/key", Field: field + ".secretKeyRef"})
		}
	}
	return out
}

func isTrue(b *bool) bool { return b != nil && *b }

// References lists what the workload refers to; a StatefulSet also to the claims that it makes itself.
func (f *Facts) References() []Reference {
	return References(&f.Workload.Template.Spec)
}

// Near returns the name most like another one, if it is like enough to be meant.
func Near(name string, names []string) string {
	best, at := "", len(name)/4+2 // two letters swapped count as two
	for _, n := range names {
		if d := distance(name, n); d < at && n != name {
			best, at = n, d
		}
	}
	return best
}

// distance is the Levenshtein distance of two names.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			next := min(row[j]+1, row[j-1]+1, diagonal+cost)
			diagonal, row[j] = row[j], next
		}
	}
	return row[len(b)]
}
