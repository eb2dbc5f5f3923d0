package dashboards

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kubebot/kubebot/internal/dashboards/config"
	"github.com/kubebot/kubebot/internal/testutil/golden"
	"github.com/kubebot/kubebot/test/grafana"
)

func get(t *testing.T, url string) string {
	t.Helper()
	resp, err := http.Get(url) //nolint:noctx // the test's own server
	if err != nil {
		return ""
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// eventually waits until the report is as wanted; a minute is far more than it takes.
func eventually(t *testing.T, base string, want func(config.Report) bool) {
	t.Helper()
	var r config.Report
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		r = config.Report{}
		if json.Unmarshal([]byte(get(t, base+config.StatusPath)), &r) == nil && want(r) {
			return
		}
	}
	t.Fatalf("the report stays %+v", r)
}

// The process starts before its configuration is right, follows it without a restart, and tells of it.
func TestTheProcessFollowsItsConfiguration(t *testing.T) {
	server := grafana.New()
	server.AddToken("glsa_token", grafana.Admin)
	api := httptest.NewServer(server.Handler())
	defer api.Close()
	dir := t.TempDir()
	write := func(name, content string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(config.TokenFile, "glsa_token")
	address := golden.FreeAddress(t)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- Run(ctx, Options{ConfigFile: filepath.Join(dir, "config.yaml"), CredentialsDir: dir, ExtraDir: dir, Listen: address, Registry: prometheus.NewRegistry()})
	}()
	base := "http://" + address
	eventually(t, base, func(r config.Report) bool {
		return r.Trouble == config.Failed && strings.Contains(r.Message, "read the configuration")
	})

	c := config.Config{URL: api.URL, Prefix: "kubebot-0123abcd-", ClusterName: "test", Secrets: config.Secrets{Token: &config.Ref{Name: "grafana", Key: "token"}},
		Stores: config.Stores{Prometheus: "http://prometheus:9090"}}
	for _, loki := range []string{"", "http://loki:3100"} {
		c.Stores.Loki = loki
		text, err := c.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		hash, err := c.Hash()
		if err != nil {
			t.Fatal(err)
		}
		write("config.yaml", text)
		eventually(t, base, func(r config.Report) bool {
			return r.Trouble == "" && r.ConfigHash == hash && r.DataSources == len(c.Options().Stores)
		})
	}
	if metrics := get(t, base+"/metrics"); !strings.Contains(metrics, `kubebot_dashboards_writes_total{action="create",kind="datasource"} 2`) {
		t.Errorf("metrics:\n%s", metrics)
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("the process ends with %v", err)
	}
}
