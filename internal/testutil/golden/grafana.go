package golden

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/kubebot/kubebot/internal/component"
)

// Grafana returns the home folder of a real Grafana: GRAFANA names it, and bin/grafana is in it. Grafana is no Go module,
// so without it a test is skipped, in CI too.
func Grafana(t *testing.T) string {
	t.Helper()
	home := os.Getenv("GRAFANA")
	if home == "" {
		t.Skip("GRAFANA IS NOT SET, so no real Grafana was asked: let it name the home folder of one (with bin/grafana and conf)")
	}
	if _, err := os.Stat(filepath.Join(home, "bin", "grafana")); err != nil {
		t.Fatalf("GRAFANA names %s, which is not the home folder of a Grafana: %v", home, err)
	}
	return home
}

// StartGrafana runs a real Grafana until the test ends, with settings as environment variables, and returns its base
// URL. It listens on loopback only.
func StartGrafana(t *testing.T, home string, settings map[string]string) string {
	t.Helper()
	for name, value := range settings {
		t.Setenv(name, value)
	}
	dir := t.TempDir()
	for name, value := range map[string]string{"GF_PATHS_DATA": dir, "GF_PATHS_LOGS": dir, "GF_PATHS_PLUGINS": filepath.Join(dir, "plugins")} {
		if settings[name] == "" {
			t.Setenv(name, value)
		}
	}
	return Start(t, dir, filepath.Join(home, "bin", "grafana"), "/api/health", func(address string) []string {
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			t.Fatal(err)
		}
		t.Setenv("GF_SERVER_HTTP_ADDR", host)
		t.Setenv("GF_SERVER_HTTP_PORT", port)
		return []string{"server", "--homepath=" + home}
	})
}

// AskAs gets a URL with a user name and password.
func AskAs(t *testing.T, url, user, password string) component.Answer {
	t.Helper()
	request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.SetBasicAuth(user, password)
	resp, err := http.DefaultClient.Do(request)
	if err != nil {
		return component.Answer{Err: err.Error()}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return component.Answer{Err: err.Error()}
	}
	return component.Answer{Status: resp.StatusCode, Body: body}
}
