package dashboards

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kubebot/kubebot/internal/testutil/golden"
)

// promtool is Prometheus' own parser.
func TestPrometheusParsesEveryQuery(t *testing.T) {
	tool := golden.Program(t, "promtool")
	rules := []map[string]string{}
	for i, q := range Queries(options(), sample()) {
		if q.Store == Prometheus {
			rules = append(rules, map[string]string{"record": fmt.Sprintf("query:%d", i), "expr": q.Expr})
		}
	}
	if len(rules) < 50 {
		t.Fatalf("%d queries of Prometheus", len(rules))
	}
	dir := t.TempDir()
	file := encode(t, map[string]any{"groups": []any{map[string]any{"name": "dashboards", "rules": rules}}})
	if err := os.WriteFile(filepath.Join(dir, "rules.yaml"), file, 0o600); err != nil {
		t.Fatal(err)
	}
	golden.Run(t, dir, tool, "check", "rules", "--lint=none", "rules.yaml")
}

// Loki formats a query that it can parse and answers 400 to another.
func TestLokiParsesEveryQuery(t *testing.T) {
	base := startLoki(t)
	checked := 0
	for _, q := range Queries(options(), sample()) {
		if q.Store != Loki {
			continue
		}
		checked++
		if answer := golden.Ask(t, base+"/loki/api/v1/format_query?query="+url.QueryEscape(q.Expr)); answer.Status != 200 {
			t.Errorf("%s/%s: Loki refuses %s: %s", q.Dashboard, q.Panel, q.Expr, answer.Body)
		}
	}
	if answer := golden.Ask(t, base+"/loki/api/v1/format_query?query="+url.QueryEscape(`{a=`)); answer.Status == 200 {
		t.Error("Loki's answer to a query that is none is 200: the check checks nothing")
	}
	if checked < 15 {
		t.Errorf("%d queries of Loki", checked)
	}
}

// startLoki starts a Loki that keeps what it is sent for as long as the test runs, and returns its address.
func startLoki(t *testing.T) string {
	t.Helper()
	program := golden.Program(t, "loki")
	dir := t.TempDir()
	return golden.Start(t, dir, program, "/loki/api/v1/status/buildinfo", func(address string) []string {
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			t.Fatal(err)
		}
		config := map[string]any{
			"auth_enabled": false,
			"server":       map[string]any{"http_listen_address": host, "grpc_listen_address": host, "grpc_listen_port": 0},
			"common":       map[string]any{"path_prefix": dir, "replication_factor": 1, "instance_addr": host, "ring": map[string]any{"kvstore": map[string]any{"store": "inmemory"}}},
			"schema_config": map[string]any{"configs": []any{map[string]any{"from": "2024-01-01", "store": "tsdb", "object_store": "filesystem", "schema": "v13",
				"index": map[string]any{"prefix": "index_", "period": "24h"}}}},
			"storage_config": map[string]any{"filesystem": map[string]any{"directory": filepath.Join(dir, "chunks")}},
			"frontend":       map[string]any{"address": host},
			"analytics":      map[string]any{"reporting_enabled": false},
		}
		file := filepath.Join(dir, "loki.yaml")
		if err := os.WriteFile(file, encode(t, config), 0o600); err != nil {
			t.Fatal(err)
		}
		return []string{"-config.file=" + file, "-server.http-listen-port=" + port}
	})
}

// What an event is about leads to the dashboard of its workload.
func TestLokiFindsTheWorkloadOfAnEvent(t *testing.T) {
	base := startLoki(t)
	now := time.Now()
	want := map[string]string{}
	var values []any
	for object, workload := range map[string]string{
		"Pod checkout-5d8f7c9b6d-abcde":      "checkout",
		"Pod node-agent-x7k2p":               "node-agent",
		"Pod main-loki-0":                    "main-loki",
		"Pod report-29123456-x1y2z":          "report",
		"Pod alone":                          "alone",
		"ReplicaSet checkout-5d8f7c9b6d":     "checkout",
		"Job report-29123456":                "report",
		"Job migrate":                        "migrate",
		"Deployment web-api":                 "web-api",
		"HorizontalPodAutoscaler checkout":   "",
		"PersistentVolumeClaim data-store-0": "",
	} {
		kind, name, _ := strings.Cut(object, " ")
		want[object] = ""
		if workload != "" {
			want[object] = "shop&var-workload=" + workload
		}
		values = append(values, []any{strconv.FormatInt(now.UnixNano()+int64(len(values)), 10), "it happened",
			map[string]string{"k8s_object_kind": kind, "k8s_object_namespace": "shop", "k8s_object_name": name, "k8s_event_reason": "Tested"}})
	}
	body := encode(t, map[string]any{"streams": []any{map[string]any{"stream": map[string]string{"service_name": "kubernetes-events"}, "values": values}}})
	deadline := now.Add(time.Minute) // its parts find each other some moments after it answers
	for status := 0; status != http.StatusNoContent; time.Sleep(50 * time.Millisecond) {
		answer, err := http.Post(base+"/loki/api/v1/push", "application/json", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if status = answer.StatusCode; time.Now().After(deadline) {
			t.Fatalf("Loki does not take the events: %s", answer.Status)
		}
	}
	var out struct {
		Data struct {
			Result []struct {
				Stream map[string]string `json:"stream"`
			} `json:"result"`
		} `json:"data"`
	}
	query := base + "/loki/api/v1/query_range?limit=100&query=" + url.QueryEscape("{"+eventStream+"}"+ofWhat)
	if err := json.Unmarshal(golden.Ask(t, query).Body, &out); err != nil {
		t.Fatal(err)
	}
	if len(out.Data.Result) != len(want) {
		t.Errorf("%d events, want %d", len(out.Data.Result), len(want))
	}
	for _, r := range out.Data.Result {
		object := r.Stream["k8s_object_kind"] + " " + r.Stream["k8s_object_name"]
		if r.Stream[labelWorkload] != want[object] {
			t.Errorf("%s leads to %q, want %q", object, r.Stream[labelWorkload], want[object])
		}
	}
}
