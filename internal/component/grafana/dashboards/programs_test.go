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
	"slices"
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

// push gives Loki lines of one stream, each with the metadata of its own.
func push(t *testing.T, base string, stream map[string]string, lines []map[string]string) {
	t.Helper()
	now := time.Now()
	var values []any
	for i, metadata := range lines {
		values = append(values, []any{strconv.FormatInt(now.UnixNano()+int64(i), 10), "it happened", metadata})
	}
	body := encode(t, map[string]any{"streams": []any{map[string]any{"stream": stream, "values": values}}})
	deadline := now.Add(time.Minute) // its parts find each other some moments after it answers
	for status := 0; status != http.StatusNoContent; time.Sleep(50 * time.Millisecond) {
		answer, err := http.Post(base+"/loki/api/v1/push", "application/json", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if status = answer.StatusCode; time.Now().After(deadline) {
			t.Fatalf("Loki does not take the lines: %s", answer.Status)
		}
	}
}

// streams asks Loki for the labels and metadata of all lines that a query finds.
func streams(t *testing.T, base, query string) []map[string]string {
	t.Helper()
	var out struct {
		Data struct {
			Result []struct {
				Stream map[string]string `json:"stream"`
			} `json:"result"`
		} `json:"data"`
	}
	answer := golden.Ask(t, base+"/loki/api/v1/query_range?limit=100&query="+url.QueryEscape(query))
	if err := json.Unmarshal(answer.Body, &out); err != nil {
		t.Fatalf("read Loki's answer to %s: %v: %s", query, err, answer.Body)
	}
	var found []map[string]string
	for _, r := range out.Data.Result {
		found = append(found, r.Stream)
	}
	return found
}

// queriesOf returns those of a panel, with variables replaced.
func queriesOf(t *testing.T, dashboard, panel string, values map[string]string) []string {
	t.Helper()
	var found []string
	for _, q := range Queries(options(), values) {
		if q.Dashboard == dashboard && q.Panel == panel {
			found = append(found, q.Expr)
		}
	}
	if len(found) == 0 {
		t.Fatalf("the dashboard %s has no panel %s", dashboard, panel)
	}
	return found
}

// queryOf returns the first of a panel.
func queryOf(t *testing.T, dashboard, panel string, values map[string]string) string {
	t.Helper()
	return queriesOf(t, dashboard, panel, values)[0]
}

// What an event is about leads to the dashboard of its workload, and the events there and of a service are its own alone.
func TestLokiFindsTheWorkloadOfAnEvent(t *testing.T) {
	base := startLoki(t)
	want := map[string]string{}
	var lines []map[string]string
	for object, workload := range map[string]string{
		"Pod checkout-5d8f7c9b6d-bcdfg":         "checkout",
		"Pod checkout-v2.1-5d8f7c9b6d-bcdfg":    "checkout-v2.1",
		"Pod node-agent-x7k2p":                  "node-agent",
		"Pod main-loki-0":                       "main-loki",
		"Pod report-29123456-x4h2z":             "report",
		"Pod alone":                             "alone",
		"Pod alone-proxy":                       "alone-proxy",
		"ReplicaSet checkout-5d8f7c9b6d":        "checkout",
		"Job report-29123456":                   "report",
		"Job migrate":                           "migrate",
		"Deployment web-api":                    "web-api",
		"HorizontalPodAutoscaler checkout":      "",
		"HorizontalPodAutoscaler checkout-v2.1": "",
		"PersistentVolumeClaim data-store-0":    "",
	} {
		kind, name, _ := strings.Cut(object, " ")
		want[object] = ""
		if workload != "" {
			want[object] = "shop&var-workload=" + workload
		}
		lines = append(lines, map[string]string{"k8s_object_kind": kind, "k8s_object_namespace": "shop", "k8s_object_name": name, "k8s_event_reason": "Tested"})
	}
	push(t, base, map[string]string{"service_name": "kubernetes-events"}, lines)
	found := streams(t, base, "{"+eventStream+"}"+ofWhat)
	if len(found) != len(want) {
		t.Errorf("%d events, want %d", len(found), len(want))
	}
	for _, s := range found {
		object := s["k8s_object_kind"] + " " + s["k8s_object_name"]
		if s[labelWorkload] != want[object] {
			t.Errorf("%s leads to %q, want %q", object, s[labelWorkload], want[object])
		}
	}
	for chosen, want := range map[string][]string{
		"checkout":      {"HorizontalPodAutoscaler checkout", "Pod checkout-5d8f7c9b6d-bcdfg", "ReplicaSet checkout-5d8f7c9b6d"},
		"checkout-v2.1": {"HorizontalPodAutoscaler checkout-v2.1", "Pod checkout-v2.1-5d8f7c9b6d-bcdfg"},
		"checkout-v2x1": nil, "alone": {"Pod alone"}, "main-loki-0": {"Pod main-loki-0"},
	} {
		for _, board := range []string{"workload", "service"} {
			var got []string
			for _, s := range streams(t, base, queryOf(t, board, "Events", map[string]string{"namespace": "shop", "workload": chosen, "service": chosen})) {
				got = append(got, s["k8s_object_kind"]+" "+s["k8s_object_name"])
			}
			if slices.Sort(got); !slices.Equal(got, want) {
				t.Errorf("events of the %s %s: %q, want %q", board, chosen, got, want)
			}
		}
	}
}

// A workload's lines are those of its own pods, not of those of others whose names begin like its own.
func TestLokiFindsTheLinesOfAWorkload(t *testing.T) {
	base := startLoki(t)
	pods := map[string][]string{
		"api":         {"api-5d8f7c9b6d-bcdfg", "api-x7k2p"},
		"api-gateway": {"api-gateway-5d8f7c9b6d-bcdfg", "api-gateway-0", "api-gateway-x7k2p"},
		"api-2":       {"api-2-0", "api-2-5d8f7c9b6d-bcdfg"},
		"api-proxy":   {"api-proxy"},
		"api.v1":      {"api.v1-5d8f7c9b6d-bcdfg"},
		"apixv1":      {"apixv1-5d8f7c9b6d-bcdfg"},
		"store":       {"store-0", "store-12"},
		"report":      {"report-29123456-x4h2z", "report-7-x4h2z"},
		"etcd-node-a": {"etcd-node-a"},
	}
	var lines []map[string]string
	for _, names := range pods {
		for _, name := range names {
			lines = append(lines, map[string]string{"k8s_pod_name": name})
		}
	}
	push(t, base, map[string]string{"service_name": "any", "k8s_namespace_name": "shop"}, lines)
	for workload, want := range pods {
		var got []string
		for _, s := range streams(t, base, queryOf(t, "workload", "Logs", map[string]string{"namespace": "shop", "workload": workload})) {
			got = append(got, s["k8s_pod_name"])
		}
		slices.Sort(got)
		if slices.Sort(want); !slices.Equal(got, want) {
			t.Errorf("lines of %s come from %q, want %q", workload, got, want)
		}
	}
}

// An event counts in the point after it, however far the points are apart.
func TestLokiCountsEveryEventOfALongRange(t *testing.T) {
	base := startLoki(t)
	event := map[string]string{"severity_text": "Warning", "k8s_event_reason": "BackOff", "k8s_object_namespace": "shop"}
	push(t, base, map[string]string{"service_name": "kubernetes-events"}, []map[string]string{event, event, event})
	values := sample()
	values["__auto"], values["namespace"] = "10m", ".+"
	later := strconv.FormatInt(time.Now().Add(5*time.Minute).Unix(), 10)
	for _, panel := range []string{"Events by severity", "Warnings by reason"} {
		expr := queryOf(t, "events", panel, values)
		answer := golden.Ask(t, base+"/loki/api/v1/query?time="+later+"&query="+url.QueryEscape(expr))
		if !strings.Contains(string(answer.Body), `"0.3"]`) { // three in ten minutes
			t.Errorf("%s: Loki answers %s: %s", panel, expr, answer.Body)
		}
	}
}

// counted are a node with three pods, of which one failed and is kept, and another pod that has no node yet.
func counted() map[string]string {
	series := map[string]string{
		`kube_node_status_allocatable{node="node-1", resource="cpu"}`:     "4x60",
		`kube_node_status_allocatable{node="node-1", resource="memory"}`:  "4x60",
		`node_cpu_seconds_total{node="node-1", cpu="0", mode="idle"}`:     "0+60x60",
		`node_cpu_seconds_total{node="node-1", cpu="1", mode="idle"}`:     "0+60x60",
		`container_network_receive_bytes_total{pod="plain", eth="a"}`:     "0+60x60",
		`container_network_receive_bytes_total{pod="agent", eth="node"}`:  "0+600x60",
		`container_network_transmit_bytes_total{pod="plain", eth="a"}`:    "0+60x60",
		`container_network_transmit_bytes_total{pod="agent", eth="node"}`: "0+600x60",
	}
	for _, p := range []struct{ pod, node, phase, hostNetwork string }{
		{"plain", "node-1", "Running", "false"}, {"agent", "node-1", "Running", "true"},
		{"failed", "node-1", "Failed", "false"}, {"new", "", "Pending", "false"},
	} {
		series[`kube_pod_info{pod="`+p.pod+`", node="`+p.node+`", host_network="`+p.hostNetwork+`"}`] = "1x60"
		series[`kubebot:pod:workload{workload="checkout", pod="`+p.pod+`"}`] = "1x60"
		for _, phase := range []string{"Pending", "Running", "Succeeded", "Failed", "Unknown"} {
			value := "0x60"
			if phase == p.phase {
				value = "1x60"
			}
			series[`kube_pod_status_phase{pod="`+p.pod+`", phase="`+phase+`"}`] = value
		}
		for _, resource := range []string{"cpu", "memory"} {
			series[`kube_pod_container_resource_requests{pod="`+p.pod+`", container="main", resource="`+resource+`"}`] = "1x60"
		}
	}
	inShop := map[string]string{}
	for name, values := range series {
		if strings.Contains(name, `pod="`) {
			name = strings.Replace(name, "{", `{namespace="shop", `, 1)
		}
		inShop[name] = values
	}
	return inShop
}

// Pods that have ended take no room and wait for nothing, and what goes over a node's interfaces is no pod's traffic.
func TestPanelsCountOnlyWhatCounts(t *testing.T) {
	values := sample()
	values["__rate_interval"] = "5m"
	for _, c := range []struct {
		board, panel string
		query        int
		value        string
		labels       []string
	}{
		{"cluster", "Nodes", 4, "2", []string{`{node="node-1"}`}},
		{"cluster", "CPU requested", 0, "0.75", []string{"{}"}},
		{"cluster", "Memory requested", 0, "0.75", []string{"{}"}},
		{"home", "Pods waiting", 0, "1", []string{"{}"}},
		{"namespace", "Network", 0, "1", []string{"{}"}},
		{"namespace", "Network", 1, "1", []string{"{}"}},
		{"workload", "Network received", 0, "1", []string{`{pod="plain"}`}},
		{"workload", "Network sent", 0, "1", []string{`{pod="plain"}`}},
		{"node", "Load", 1, "2", []string{"{}"}},
	} {
		t.Run(c.board+"/"+c.panel, func(t *testing.T) {
			expr := queriesOf(t, c.board, c.panel, values)[c.query]
			golden.Query(t, counted(), "("+expr+") == bool "+c.value, c.labels...)
		})
	}
}
