package jaeger

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/testutil/golden"
)

// indexed starts a service that answers as Elasticsearch does to who has the password, and returns its address and the
// bodies that it was given to index.
func indexed(t *testing.T, version, tagline string) (string, <-chan string) {
	t.Helper()
	bodies := make(chan string, 100)
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "12345" || password != "hunter22" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Elastic-Product", "Elasticsearch") // Elasticsearch's own client wants it
		answer := `{"acknowledged": true}`
		switch {
		case r.URL.Path == "/":
			answer = `{"name": "n", "cluster_name": "c", "version": {"number": "` + version + `"}, "tagline": "` + tagline + `"}`
		case strings.HasSuffix(r.URL.Path, "_bulk"):
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Errorf("read what is to be indexed: %v", err)
			}
			bodies <- string(body)
			answer = `{"took": 1, "errors": false, "items": []}`
		}
		_, _ = io.WriteString(w, answer) // a client that went away says so itself
	}))
	t.Cleanup(service.Close)
	return service.URL, bodies
}

// What the schema of its configuration takes is not yet what works: a real Jaeger signs in, with a user name that is a
// number, and writes a span.
func TestARealJaegerWritesToElasticsearchAndOpenSearch(t *testing.T) {
	program := golden.Program(t, "jaeger")
	for name, version := range map[string]string{"You Know, for Search": "8.15.0", "The OpenSearch Project: https://opensearch.org/": "2.17.0"} {
		t.Run(version, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, passwordFile), []byte("hunter22"), 0o600); err != nil {
				t.Fatal(err)
			}
			t.Setenv(variableUser, "12345")
			address, bodies := indexed(t, version, name)
			ref := func(key string) v1alpha1.SecretKeyRef { return v1alpha1.SecretKeyRef{Name: "elastic", Key: key} }
			s := startJaeger(t, program, dir, v1alpha1.JaegerSpec{Elasticsearch: &v1alpha1.Elasticsearch{
				ExternalEndpoint: v1alpha1.ExternalEndpoint{URL: address},
				BasicAuth:        &v1alpha1.BasicAuth{UsernameSecret: ref("user"), PasswordSecret: ref("password")},
			}})
			send(t, s.otlp)
			for deadline := time.After(time.Minute); ; {
				select {
				case body := <-bodies:
					if strings.Contains(body, `"serviceName":"payment"`) {
						return
					}
				case <-deadline:
					t.Fatal("no span is indexed")
				}
			}
		})
	}
}
