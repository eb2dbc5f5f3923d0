package loki

import (
	"errors"
	"testing"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/testutil/golden"
)

func input(s v1alpha1.LokiSpec) component.Input {
	kb := &v1alpha1.KubeBot{ObjectMeta: metav1.ObjectMeta{Name: "main", Namespace: "kubebot"}}
	kb.Spec.Logs.Loki = s
	return golden.Input(kb)
}

func TestBuildRefusesWhatTheSchemaCannot(t *testing.T) {
	keys := func(access, secret string) *v1alpha1.ObjectStorage {
		return &v1alpha1.ObjectStorage{
			Bucket: "logs", Region: "eu-1", AccessKeySecret: &v1alpha1.SecretKeyRef{Name: access, Key: "a"}, SecretKeySecret: &v1alpha1.SecretKeyRef{Name: "s", Key: secret},
		}
	}
	for field, spec := range map[string]v1alpha1.LokiSpec{
		"spec.logs.loki.image":                              {PodSettings: v1alpha1.PodSettings{Image: "grafana/loki:"}},
		"spec.logs.loki.retention":                          {Retention: "12h"},
		"spec.logs.loki.storage.size":                       {Storage: v1alpha1.StorageSpec{Size: new(resource.MustParse("0"))}},
		"spec.logs.loki.storage.ephemeralLimit":             {Storage: v1alpha1.StorageSpec{EphemeralLimit: new(resource.MustParse("-1"))}},
		"spec.logs.loki.objectStorage.region":               {ObjectStorage: &v1alpha1.ObjectStorage{Bucket: "logs"}},
		"spec.logs.loki.objectStorage.accessKeySecret.name": {ObjectStorage: keys("Not_A_Name", "k")},
		"spec.logs.loki.objectStorage.secretKeySecret.key":  {ObjectStorage: keys("s", "..")},
		"spec.logs.loki.external.url": {Mode: v1alpha1.ModeExternal, External: &v1alpha1.ExternalLoki{
			ExternalEndpoint: v1alpha1.ExternalEndpoint{URL: "http://user@loki.example.com"},
		}},
	} {
		t.Run(field, func(t *testing.T) {
			_, err := Component{}.Build(input(spec))
			var invalid *component.InvalidError
			if !errors.As(err, &invalid) || invalid.Field != field {
				t.Errorf("Build: %v, want an InvalidError of %s", err, field)
			}
		})
	}
}

func TestALongNameFitsIntoTheLabelsOfPods(t *testing.T) {
	in := input(v1alpha1.LokiSpec{})
	in.KubeBot.Name = "a-kubebot-with-a-name-of-just-fifty-three-characters-"
	if got := setName(in.KubeBot); len(got) > 52 {
		t.Errorf("the StatefulSet is called %s, which with the hash of a revision is longer than a label's 63 characters", got)
	}
}
