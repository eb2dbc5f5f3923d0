package loki

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/testutil/golden"
	"github.com/kubebot/kubebot/internal/testutil/s3test"
)

// What the schema of its configuration takes is not yet what works: a real Loki signs in, and writes lines and their index.
func TestARealLokiWritesToABucket(t *testing.T) {
	program := golden.Program(t, "loki")
	bucket := s3test.Start(t, "logs")
	ref := func(key string) *v1alpha1.SecretKeyRef { return &v1alpha1.SecretKeyRef{Name: "minio", Key: key} }
	base := startLoki(t, program, v1alpha1.LokiSpec{ObjectStorage: &v1alpha1.ObjectStorage{
		Bucket: "logs", Endpoint: bucket.Host, Encryption: v1alpha1.SwitchDisabled, AccessKeySecret: ref("access"), SecretKeySecret: ref("secret"),
	}})
	push(t, base, "checkout", "a line for the bucket")
	flushed, err := http.Post(base+"/flush", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	flushed.Body.Close()
	chunk := func(key string) bool { return strings.HasPrefix(key, "fake/") }
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		keys, refused := bucket.Keys()
		if len(refused) > 0 {
			t.Fatalf("requests without the access key, or for another bucket: %v", refused)
		}
		if slices.ContainsFunc(keys, chunk) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("no lines are in the bucket, which has %v", keys)
		}
	}
	if lines := query(t, base, `{service_name="checkout"}`); !slices.Contains(lines, "a line for the bucket") {
		t.Errorf("the lines are %v", lines)
	}
}
