package certificate

import (
	"testing"

	"github.com/kubebot/kubebot/internal/diagnosis"
	"github.com/kubebot/kubebot/internal/diagnosis/diagnosistest"
)

func TestDetector(t *testing.T) { diagnosistest.Check(t, Detector) }

func TestAServerThatLinesDoNotNameIsPutIn(t *testing.T) {
	pay := diagnosis.Object{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "shop", Name: "pay"}
	for file, want := range map[string]string{
		"expired-grpc":         "The certificate that Deployment pay presents to Deployment web has expired: it was valid until 2026-11-20T00:00:00Z",
		"expired-curl":         "The certificate that Deployment pay presents to Deployment web has expired",
		"expired":              "", // named by the line itself
		"expired-of-a-service": "",
		"refused-by-clients":   "",
		"untrusted-grpc":       "", // mended at the caller
	} {
		found := diagnosis.Run(diagnosistest.Load(t, "testdata/"+file+".yaml"), []diagnosis.Detector{Detector})
		if len(found) != 1 {
			t.Fatalf("%s: %d findings", file, len(found))
		}
		got, ok := PresentedBy(found[0], pay)
		if ok != (want != "") || ok && (got.Sentence != want || got.Object != pay) {
			t.Errorf("%s: got %t %s: %s", file, ok, got.Object, got.Sentence)
		}
	}
}
