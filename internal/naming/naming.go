// Package naming gives the names, labels, owners and hashes of managed objects. Everything here is pure.
package naming

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubebot/kubebot/api/v1alpha1"
)

const (
	// FieldManager is KubeBot's field manager in server-side apply.
	FieldManager = "kubebot"
	// LabelName holds the name of the KubeBot that an object belongs to.
	LabelName = "kubebot.io/name"
	// LabelNamespace holds the namespace of that KubeBot.
	LabelNamespace = "kubebot.io/namespace"
	// ComponentTrial is the component of the pods that try a configuration.
	ComponentTrial = "trial"
	// AnnotationRestarted on a pod template says when KubeBot last restarted it.
	AnnotationRestarted = "kubebot.io/restarted-at"
	// LabelComponent holds the component's name.
	LabelComponent = "app.kubernetes.io/component"
	// Finalizer is set on a KubeBot while objects outside its namespace exist.
	Finalizer = "kubebot.io/cleanup"
)

// Object returns the name of an object of a component: the KubeBot's name, a dash, and the suffix.
func Object(kb *v1alpha1.KubeBot, suffix string) string { return kb.Name + "-" + suffix }

// Owner refers to a KubeBot, so that an object goes with the last of its owners.
func Owner(kubeBot, uid string) metav1.OwnerReference {
	return metav1.OwnerReference{APIVersion: v1alpha1.GroupVersion.String(), Kind: "KubeBot", Name: kubeBot, UID: types.UID(uid)}
}

// Controller refers to a KubeBot as the one owner that keeps an object.
func Controller(kubeBot, uid string) metav1.OwnerReference {
	owner := Owner(kubeBot, uid)
	owner.Controller = new(true)
	return owner
}

// Bounded returns name when it has at most limit characters, else its beginning with a hash of the whole. The limit is
// at least 10. StatefulSets need it: their name, a dash and a hash of 10 characters make a label of at most 63.
func Bounded(name string, limit int) string {
	if len(name) <= limit {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return strings.TrimRight(name[:limit-9], "-.") + "-" + hex.EncodeToString(sum[:4])
}

// Labels returns the labels of every object of a component.
func Labels(kb *v1alpha1.KubeBot, component string) map[string]string {
	return map[string]string{
		"app.kubernetes.io/name":       component,
		"app.kubernetes.io/instance":   kb.Name,
		"app.kubernetes.io/managed-by": "kubebot",
		"app.kubernetes.io/part-of":    "kubebot",
		LabelComponent:                 component,
		LabelName:                      kb.Name,
		LabelNamespace:                 kb.Namespace,
	}
}

// Selector returns the labels by which the pods of a component are selected; they never change.
func Selector(kb *v1alpha1.KubeBot, component string) map[string]string {
	return map[string]string{
		"app.kubernetes.io/name": component,
		LabelName:                kb.Name,
		LabelNamespace:           kb.Namespace,
	}
}

// Hash returns the first 16 hexadecimal digits of the SHA-256 of v in JSON.
func Hash(v any) (string, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("hash %T: %w", v, err)
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:8]), nil
}

// Image puts an image under another registry: the host of ref is replaced by registry. An empty registry leaves it.
func Image(ref, registry string) string {
	if registry == "" {
		return ref
	}
	host, rest, found := strings.Cut(ref, "/")
	if !found || !strings.ContainsAny(host, ".:") && host != "localhost" {
		return registry + "/" + ref
	}
	return registry + "/" + rest
}
