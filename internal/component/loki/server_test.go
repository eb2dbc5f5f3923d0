package loki

import (
	"bytes"
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
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

// push sends lines by OTLP, as the collector does.
func push(t *testing.T, base, service string, lines ...string) {
	t.Helper()
	logs := plog.NewLogs()
	resource := logs.ResourceLogs().AppendEmpty()
	for key, value := range map[string]string{
		"service.name": service, "k8s.namespace.name": "shop", "k8s.container.name": "app", "k8s.pod.name": "checkout-1",
	} {
		resource.Resource().Attributes().PutStr(key, value)
	}
	scope := resource.ScopeLogs().AppendEmpty()
	for _, line := range lines {
		record := scope.LogRecords().AppendEmpty()
		record.SetTimestamp(pcommon.NewTimestampFromTime(time.Now()))
		record.SetTraceID(pcommon.TraceID{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16})
		record.Body().SetStr(line)
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
	if response.StatusCode/100 != 2 {
		var text bytes.Buffer
		_, _ = text.ReadFrom(response.Body) // only shown
		t.Fatalf("Loki answers %s: %s", response.Status, text.String())
	}
}

// query returns the lines that a query finds.
func query(t *testing.T, base, logQL string) []string {
	t.Helper()
	answer := golden.Ask(t, base+"/loki/api/v1/query_range?query="+url.QueryEscape(logQL))
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
