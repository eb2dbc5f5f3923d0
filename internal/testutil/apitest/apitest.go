// Package apitest runs a real API server for tests.
package apitest

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/kubebot/kubebot/internal/testutil/tree"
)

// OpenTelemetryOperator is the folder of what KubeBot uses of the OpenTelemetry Operator's CRD, which it does not ship.
const OpenTelemetryOperator = "opentelemetry-operator"

// Main runs the tests of a package with an API server that has the CRDs of the given folders, and calls use with its
// configuration before. Without the programs it skips all of them, except in CI, where that fails. Build them with
// test/components/build kubernetes etcd.
func Main(m *testing.M, use func(*rest.Config), crds ...string) int {
	if fuzzing() {
		return m.Run()
	}
	bin := filepath.Join(tree.Cache(), "bin")
	for _, program := range []string{"kube-apiserver", "etcd"} {
		if _, err := os.Stat(filepath.Join(bin, program)); err != nil {
			fmt.Fprintf(os.Stderr, "SKIP: %s is not in %s: run test/components/build kubernetes etcd\n", program, bin)
			if os.Getenv("CI") == "true" {
				return 1
			}
			return 0
		}
	}
	env := &envtest.Environment{BinaryAssetsDirectory: bin, ErrorIfCRDPathMissing: true}
	// The admission policies of older clusters, beside those of now.
	env.ControlPlane.GetAPIServer().Configure().Append("runtime-config", "admissionregistration.k8s.io/v1beta1=true")
	for _, folder := range crds {
		env.CRDDirectoryPaths = append(env.CRDDirectoryPaths, CRDs(folder))
	}
	config, err := env.Start()
	if err != nil {
		fmt.Fprintf(os.Stderr, "start the API server: %v\n", err)
		return 1
	}
	defer func() {
		if err := env.Stop(); err != nil {
			fmt.Fprintf(os.Stderr, "stop the API server: %v\n", err)
		}
	}()
	config.QPS, config.Burst = 500, 1000
	use(config)
	return m.Run()
}

// Start runs an API server for one test of a package whose others need none. Without the programs it skips the test, except
// in CI, where that fails.
func Start(t *testing.T) *rest.Config {
	t.Helper()
	bin := filepath.Join(tree.Cache(), "bin")
	for _, program := range []string{"kube-apiserver", "etcd"} {
		if _, err := os.Stat(filepath.Join(bin, program)); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatalf("%s is missing: run test/components/build kubernetes etcd: %v", program, err)
			}
			t.Skipf("%s is missing: run test/components/build kubernetes etcd: %v", program, err)
		}
	}
	env := &envtest.Environment{BinaryAssetsDirectory: bin}
	config, err := env.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := env.Stop(); err != nil {
			t.Log(err)
		}
	})
	return config
}

// fuzzing tells whether the process runs a fuzz test alone, as test/fuzz has it, or is a worker of one: fuzz tests are of
// parsers, and a worker that is ended would leave its API server behind.
func fuzzing() bool {
	flag.Parse()
	value := func(name string) string {
		if f := flag.Lookup(name); f != nil {
			return f.Value.String()
		}
		return ""
	}
	return value("test.fuzzworker") == "true" || value("test.fuzz") != "" && value("test.run") == "^$"
}

// CRDs returns where a folder of CRDs is: under config/crd, but for OpenTelemetryOperator.
func CRDs(folder string) string {
	root, err := tree.Root()
	if err != nil {
		panic(err)
	}
	if folder == OpenTelemetryOperator {
		return filepath.Join(root, "internal", "testutil", "apitest", folder)
	}
	return filepath.Join(root, "config", "crd", folder)
}

// Kubeconfig writes the configuration of an API server for a program, and returns the file.
func Kubeconfig(t *testing.T, config *rest.Config) string {
	t.Helper()
	const name = "test"
	out := clientcmdapi.NewConfig()
	out.Clusters[name] = &clientcmdapi.Cluster{Server: config.Host, CertificateAuthorityData: config.CAData}
	out.AuthInfos[name] = &clientcmdapi.AuthInfo{ClientCertificateData: config.CertData, ClientKeyData: config.KeyData}
	out.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name}
	out.CurrentContext = name
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*out, path); err != nil {
		t.Fatal(err)
	}
	return path
}

// Writes records the requests that ask the API server to write, dry runs included, leases and events apart.
type Writes struct {
	mu   sync.Mutex
	seen []string
}

// Wrap returns a configuration whose requests are recorded.
func (w *Writes) Wrap(config *rest.Config) *rest.Config {
	config = rest.CopyConfig(config)
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(req *http.Request) (*http.Response, error) {
			if req.Method != http.MethodGet && !strings.Contains(req.URL.Path, "/leases") && !strings.Contains(req.URL.Path, "/events") {
				w.mu.Lock()
				w.seen = append(w.seen, req.Method+" "+req.URL.Path)
				w.mu.Unlock()
			}
			return next.RoundTrip(req)
		})
	})
	return config
}

// Take returns the writes since the last call.
func (w *Writes) Take() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := w.seen
	w.seen = nil
	return out
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }
