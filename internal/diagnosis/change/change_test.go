package change

import (
	"slices"
	"testing"

	"github.com/kubebot/kubebot/internal/diagnosis/diagnosistest"
)

func TestDetector(t *testing.T) { diagnosistest.Check(t, Detector) }

func TestDiffNamesAllThatDecidesHowContainersRun(t *testing.T) {
	f := diagnosistest.Load(t, "testdata/account-and-volumes.yaml")
	present, before := f.Revisions()
	var got []string
	for _, c := range Diff(&before.Spec, &present.Spec) {
		got = append(got, c.String())
	}
	want := []string{
		"containers[log] (removed: registry.example.com/log:v1)",
		"containers[app].volumeMounts[/login].readOnly (added: true)",
		"containers[app].volumeMounts[/tmp] (removed: tmp)",
		"containers[app].volumeMounts[/var/tmp] (added: tmp)",
		"securityContext.fsGroup from 1000 to 2000",
		"serviceAccountName from default to web",
		"volumes[login].secret.defaultMode from 420 to 256",
		"volumes[tmp].emptyDir.sizeLimit (added: 1Mi)",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}
