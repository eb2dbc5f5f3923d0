package alertmanager

import (
	"errors"
	"testing"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
)

func TestBuildRefusesWhatTheSchemaCannot(t *testing.T) {
	for field, spec := range map[string]v1alpha1.AlertmanagerSpec{
		"spec.metrics.alertmanager.image":                  {PodSettings: v1alpha1.PodSettings{Image: "Not An Image"}},
		"spec.metrics.alertmanager.retention":              {Retention: "1m1h"},
		"spec.metrics.alertmanager.storage.size":           {Storage: v1alpha1.StorageSpec{Size: new(resource.MustParse("0"))}},
		"spec.metrics.alertmanager.storage.ephemeralLimit": {Storage: v1alpha1.StorageSpec{EphemeralLimit: new(resource.MustParse("-1Gi"))}},
		"spec.metrics.alertmanager.external.url":           {Mode: v1alpha1.ModeExternal, External: &v1alpha1.ExternalEndpoint{URL: "http://user:pass@am.example.com"}},
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
