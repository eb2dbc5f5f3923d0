package loki

import (
	"bytes"
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"

	"github.com/hashicorp/consul/sdk/freeport"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/testutil/golden"
)

// startLoki runs the program with the configuration of a spec, on free ports and in a folder of its own.
func startLoki(t *testing.T, program string, s v1alpha1.LokiSpec) string {
	t.Helper()
	dir := t.TempDir()
	return golden.Start(t, dir, program, "/ready", func(address string) []string {
		c, err := newConfig(s)
		if err != nil {
			t.Fatal(err)
		}
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			t.Fatal(err)
		}
		if c.Server.HTTPPort, err = strconv.Atoi(port); err != nil {
			t.Fatal(err)
		}
		c.Server.GRPCPort = freeport.GetOne(t)
		c.Frontend.Scheduler, c.Worker.Scheduler = schedulerAddress(c.Server.GRPCPort), schedulerAddress(c.Server.GRPCPort)
		data, err := marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, configFile)
		if err := os.WriteFile(file, []byte(strings.ReplaceAll(data, dataDir, dir)), 0o600); err != nil {
			t.Fatal(err)
		}
		return []string{"-config.file=" + file, "-server.http-listen-address=" + host}
	})
}

// push sends lines by OTLP, as the collector does, and wants them to be taken.
func push(t *testing.T, base, service string, lines ...string) {
	t.Helper()
	records := make([]record, len(lines))
	for i, line := range lines {
		records[i] = record{time.Now(), line}
	}
	if status, said := send(t, base, service, records...); status/100 != 2 {
		t.Fatalf("Loki answers %d: %s", status, said)
	}
}

type record struct {
	at   time.Time
	line string
}

// send returns the status and text with which Loki answers.
func send(t *testing.T, base, service string, records ...record) (int, string) {
	t.Helper()
	logs := plog.NewLogs()
	resource := logs.ResourceLogs().AppendEmpty()
	for key, value := range map[string]string{
		"service.name": service, "k8s.namespace.name": "shop", "k8s.container.name": "app", "k8s.pod.name": "checkout-1",
	} {
		resource.Resource().Attributes().PutStr(key, value)
	}
	scope := resource.ScopeLogs().AppendEmpty()
	for _, r := range records {
		record := scope.LogRecords().AppendEmpty()
		record.SetTimestamp(pcommon.NewTimestampFromTime(r.at))
		record.SetTraceID(pcommon.TraceID{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16})
		record.Body().SetStr(r.line)
	}
	body, err := plogotlp.NewExportRequestFromLogs(logs).MarshalProto()
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.Post(base+"/otlp/v1/logs", "application/x-protobuf", bytes.NewReader(body))
	if err != nil {
		t.Fatalf("send lines: %v", err)
	}
	defer response.Body.Close()
	var text bytes.Buffer
	_, _ = text.ReadFrom(response.Body) // only shown
	return response.StatusCode, text.String()
}

// The health of the collector and the rule LokiRefusesLines count by these series.
func TestARealLokiStoresTheOthersOfARequestAndCountsWhatItRefuses(t *testing.T) {
	base := startLoki(t, golden.Program(t, "loki"), v1alpha1.LokiSpec{})
	now := time.Now()
	push(t, base, "checkout", "the newest")
	status, _ := send(t, base, "checkout", record{now.Add(-4 * time.Hour), "too late"}, record{now.Add(-2 * time.Hour), "late"})
	if status != http.StatusBadRequest {
		t.Errorf("Loki answers %d to a request with a line that is too late; want 400", status)
	}
	if lines := query(t, base, `{service_name="checkout"}`); len(lines) != 2 {
		t.Errorf("the lines are %q; want all but the one that is too late", lines)
	}
	metrics := string(golden.Ask(t, base+"/metrics").Body)
	for name, want := range map[string]string{"loki_distributor_lines_received_total": "3", "loki_discarded_samples_total": "1"} {
		if !regexp.MustCompile(`(?m)^` + name + `\{[^}]*\} ` + want + `$`).MatchString(metrics) {
			t.Errorf("%s is not %s", name, want)
		}
	}
}

// query returns the lines that a query finds.
func query(t *testing.T, base, logQL string) []string {
	t.Helper()
	window := "&start=" + strconv.FormatInt(time.Now().Add(-5*time.Hour).UnixNano(), 10)
	answer := golden.Ask(t, base+"/loki/api/v1/query_range?query="+url.QueryEscape(logQL)+window)
	var body struct {
		Data struct {
			Result []struct {
				Values [][]string `json:"values"`
			} `json:"result"`
		} `json:"data"`
	}
	if err := json.Unmarshal(answer.Body, &body); err != nil {
		t.Fatalf("Loki answers a query with %d %s", answer.Status, answer.Body)
	}
	var lines []string
	for _, stream := range body.Data.Result {
		for _, value := range stream.Values {
			lines = append(lines, value[1])
		}
	}
	return lines
}
