package archive

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component/otelcol"
	"github.com/kubebot/kubebot/internal/testutil/golden"
	"github.com/kubebot/kubebot/internal/testutil/otelcoltest"
	"github.com/kubebot/kubebot/internal/testutil/s3test"
)

// configuration is what Build writes for a bucket.
func configuration(t *testing.T, bucket v1alpha1.ObjectStorage) string {
	t.Helper()
	kb := &v1alpha1.KubeBot{ObjectMeta: metav1.ObjectMeta{Name: "main", Namespace: "kubebot"}}
	kb.Spec.ClusterName = "prod-eu"
	kb.Spec.Analysis.Archive.ObjectStorage = &bucket
	objects, err := Component{}.Build(golden.Input(kb))
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range objects {
		if m, ok := o.(*corev1.ConfigMap); ok && otelcol.Text(m.Data) != "" {
			return otelcol.Text(m.Data)
		}
	}
	t.Fatal("no configuration is built")
	return ""
}

// What the schema of its configuration takes is not yet what works: a real collector signs in and writes what comes in.
func TestARealArchiveWritesToABucket(t *testing.T) {
	program := golden.Program(t, otelcoltest.Program)
	bucket := s3test.Start(t, "telemetry")
	ref := func(key string) *v1alpha1.SecretKeyRef { return &v1alpha1.SecretKeyRef{Name: "minio", Key: key} }
	text := configuration(t, v1alpha1.ObjectStorage{
		Bucket: "telemetry", Endpoint: bucket.Host, Encryption: v1alpha1.SwitchDisabled, AccessKeySecret: ref("access"), SecretKeySecret: ref("secret"),
	})
	dir, otlp := t.TempDir(), golden.FreeAddress(t)
	t.Setenv(otelcol.VariablePodIP, "127.0.0.1")
	golden.Start(t, dir, program, "/", func(health string) []string {
		_, metrics, _ := strings.Cut(golden.FreeAddress(t), ":")
		text = strings.NewReplacer(
			"endpoint: :13133", "endpoint: "+health, "endpoint: :4317", "endpoint: "+otlp, "endpoint: :9091", "endpoint: "+golden.FreeAddress(t),
			"port: 8888", "port: "+metrics, otelcol.DataDir, dir, "flush_timeout: "+uploadInterval.String(), "flush_timeout: 100ms",
		).Replace(text)
		file := filepath.Join(dir, "config.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return []string{"--config=" + file}
	})
	sendLine(t, otlp, "a line for the bucket")
	const logs = "prod-eu/logs/year="
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		keys, refused := bucket.Keys()
		if len(refused) > 0 {
			t.Fatalf("requests without the access key, or for another bucket: %v", refused)
		}
		if i := slices.IndexFunc(keys, func(key string) bool { return strings.HasPrefix(key, logs) }); i >= 0 {
			if got := unpacked(t, bucket.Get(keys[i])); !strings.Contains(got, "a line for the bucket") || !strings.HasPrefix(got, `{"resourceLogs":`) {
				t.Errorf("the object %s holds %s", keys[i], got)
			}
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("no line is in the bucket, which has %v", keys)
		}
	}
}

// sendLine sends a line by OTLP, as the samplers do.
func sendLine(t *testing.T, address, line string) {
	t.Helper()
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	logs := plog.NewLogs()
	logs.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords().AppendEmpty().Body().SetStr(line)
	if _, err := plogotlp.NewGRPCClient(connection).Export(t.Context(), plogotlp.NewExportRequestFromLogs(logs)); err != nil {
		t.Fatalf("send a line: %v", err)
	}
}

// unpacked is an object's text.
func unpacked(t *testing.T, data []byte) string {
	t.Helper()
	reader, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatalf("the object is not gzip, but %s: %v", http.DetectContentType(data), err)
	}
	text, err := io.ReadAll(reader)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
