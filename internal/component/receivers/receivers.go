// Package receivers mounts the Secrets that receivers name into the pods that send to them. Everything here is pure.
package receivers

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
)

// Field is the path of the receivers in the KubeBot.
const Field = "spec.alerting.receivers"

// Ref is a reference to a key of a Secret, with its path in the KubeBot.
type Ref struct {
	Path string
	v1alpha1.SecretKeyRef
}

// Check refuses names that no Secret can have: they become paths and volumes. The error is an InvalidError.
func (r Ref) Check() error {
	switch {
	case len(validation.IsDNS1123Subdomain(r.Name)) > 0:
		return &component.InvalidError{Field: r.Path + ".name",
			Message: fmt.Sprintf("%q can't be the name of a Secret: use lower-case letters, digits, - and .", r.Name)}
	case len(validation.IsConfigMapKey(r.Key)) > 0:
		return &component.InvalidError{Field: r.Path + ".key",
			Message: fmt.Sprintf("%q can't be a key of a Secret: use letters, digits, -, _ and . (not .. at the beginning)", r.Key)}
	}
	return nil
}

// Refs are the references of all receivers, in the order of the spec.
func Refs(list []v1alpha1.Receiver) []Ref {
	var refs []Ref
	for i, r := range list {
		path := fmt.Sprintf("%s[%d].", Field, i)
		add := func(field string, ref *v1alpha1.SecretKeyRef) {
			if ref != nil {
				refs = append(refs, Ref{path + field, *ref})
			}
		}
		if r.Slack != nil {
			add("slack.tokenSecret", &r.Slack.TokenSecret)
			add("slack.caSecret", r.Slack.CASecret)
			if i := r.Slack.Interactions; i != nil {
				add("slack.interactions.appTokenSecret", i.AppTokenSecret)
				add("slack.interactions.signingSecret", i.SigningSecret)
			}
		}
		if r.Webhook != nil {
			add("webhook.urlSecret", r.Webhook.URLSecret)
			add("webhook.signingSecret", r.Webhook.SigningSecret)
			add("webhook.caSecret", r.Webhook.CASecret)
		}
		if r.Teams != nil {
			add("teams.urlSecret", &r.Teams.URLSecret)
			add("teams.caSecret", r.Teams.CASecret)
		}
		if r.PagerDuty != nil {
			add("pagerDuty.routingKeySecret", &r.PagerDuty.RoutingKeySecret)
			add("pagerDuty.caSecret", r.PagerDuty.CASecret)
		}
		if r.Email != nil {
			add("email.passwordSecret", r.Email.PasswordSecret)
			add("email.caSecret", r.Email.CASecret)
		}
		if r.OpsGenie != nil {
			add("opsGenie.apiKeySecret", &r.OpsGenie.APIKeySecret)
			add("opsGenie.caSecret", r.OpsGenie.CASecret)
		}
	}
	return refs
}

// Mounts are, of each Secret that refs name, the keys that are named, as files <dir>/<secret>/<key>. They are optional:
// a missing one keeps no pod from starting, and a new one appears in the running pod.
func Mounts(refs []Ref, dir string) ([]corev1.Volume, []corev1.VolumeMount) {
	var volumes []corev1.Volume
	var mounts []corev1.VolumeMount
	for _, s := range secrets(refs) {
		var items []corev1.KeyToPath
		for _, key := range s.keys {
			items = append(items, corev1.KeyToPath{Key: key, Path: key})
		}
		volumes = append(volumes, corev1.Volume{Name: volumeName(s.name), VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{
			SecretName: s.name, Items: items, Optional: new(true),
		}}})
		mounts = append(mounts, corev1.VolumeMount{Name: volumeName(s.name), MountPath: dir + "/" + s.name, ReadOnly: true})
	}
	return volumes, mounts
}

// volumeName is made of a hash, because a Secret's name may be longer than a volume's and have dots.
func volumeName(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return "receiver-" + hex.EncodeToString(sum[:6])
}

// secret is a Secret with the keys that receivers use.
type secret struct {
	name string
	keys []string
}

// secrets are the Secrets that refs name, sorted, each once.
func secrets(refs []Ref) []secret {
	keys := map[string][]string{}
	for _, ref := range refs {
		keys[ref.Name] = append(keys[ref.Name], ref.Key)
	}
	var list []secret
	for name, used := range keys {
		slices.Sort(used)
		list = append(list, secret{name, slices.Compact(used)})
	}
	slices.SortFunc(list, func(a, b secret) int { return strings.Compare(a.name, b.name) })
	return list
}
