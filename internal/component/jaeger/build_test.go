package jaeger

import (
	"errors"
	"testing"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/testutil/golden"
)

func input(s v1alpha1.JaegerSpec) component.Input {
	kb := &v1alpha1.KubeBot{ObjectMeta: metav1.ObjectMeta{Name: "main", Namespace: "kubebot"}}
	kb.Spec.Traces.Jaeger = s
	return golden.Input(kb)
}

func TestBuildRefusesWhatTheSchemaCannot(t *testing.T) {
	elastic := func(url, user string) *v1alpha1.Elasticsearch {
		return &v1alpha1.Elasticsearch{
			ExternalEndpoint: v1alpha1.ExternalEndpoint{URL: url},
			BasicAuth: &v1alpha1.BasicAuth{
				UsernameSecret: v1alpha1.SecretKeyRef{Name: user, Key: "user"}, PasswordSecret: v1alpha1.SecretKeyRef{Name: "elastic", Key: ".."},
			},
		}
	}
	for field, spec := range map[string]v1alpha1.JaegerSpec{
		"spec.traces.jaeger.image":                                       {PodSettings: v1alpha1.PodSettings{Image: "jaeger:"}},
		"spec.traces.jaeger.retention":                                   {Retention: "0h"},
		"spec.traces.jaeger.storage.size":                                {Storage: v1alpha1.StorageSpec{Size: new(resource.MustParse("0"))}},
		"spec.traces.jaeger.elasticsearch.url":                           {Elasticsearch: elastic("https://user:pass@elastic.example.com", "elastic")},
		"spec.traces.jaeger.elasticsearch.basicAuth.usernameSecret.name": {Elasticsearch: elastic("https://elastic.example.com", "A B")},
		"spec.traces.jaeger.elasticsearch.basicAuth.passwordSecret.key":  {Elasticsearch: elastic("https://elastic.example.com", "elastic")},
		"spec.traces.jaeger.external.url": {Mode: v1alpha1.ModeExternal, External: &v1alpha1.ExternalJaeger{
			ExternalEndpoint: v1alpha1.ExternalEndpoint{URL: "http://user@jaeger.example.com"}, OTLPEndpoint: "jaeger.example.com:4317",
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

func TestTheEmbeddedStoreHasOneWriter(t *testing.T) {
	if got := replicas(v1alpha1.JaegerSpec{Replicas: new(int32(3))}); got != 1 {
		t.Errorf("%d replicas would write to the embedded store", got)
	}
}
