package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/kubebot/kubebot/internal/ingest"
	slacktest "github.com/kubebot/kubebot/test/slack"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func at(seconds float64) time.Time { return noon.Add(time.Duration(seconds * float64(time.Second))) }

func TestAlertsSpreadOverWorkloads(t *testing.T) {
	alerts := makeAlerts("plain", 100, 40, noon)
	workloads, whole := map[string]int{}, map[string]bool{}
	for _, a := range alerts {
		workloads[a.Labels["namespace"]+"/"+a.Labels["workload"]]++
		whole[fmt.Sprint(a.Labels)] = true
	}
	if len(workloads) != 40 || len(whole) != 100 || workloads["bench-load-plain-1/app-39"] != 2 {
		t.Errorf("%d workloads, %d different alerts: %v", len(workloads), len(whole), workloads)
	}
}

func TestTheResponderReadsTheBodies(t *testing.T) {
	list, err := bodies(makeAlerts("direct", 100, 40, noon), forResponder)
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, body := range list {
		msg, err := ingest.Parse(body, nil, noon)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range msg.Alerts {
			if !a.Firing() || a.Severity != "critical" {
				t.Errorf("%+v does not fire as critical", a)
			}
		}
		total += len(msg.Alerts)
	}
	if len(list) != 2 || total != 100 {
		t.Errorf("%d alerts in %d posts", total, len(list))
	}
}

func TestReceivedTakesTheFirstMessageOfEachAlert(t *testing.T) {
	labels := func(namespace, id string) string {
		return fmt.Sprintf(`{"labels":{"namespace":%q,"bench_id":%q}}`, namespace, id)
	}
	hooks := []slacktest.Webhook{
		{At: at(3), Body: `{"alerts":[` + labels("bench-load-a-0", "0") + `,` + labels("bench-load-a-1", "1") + `]}`},
		{At: at(1), Body: `{"incident":{"alerts":[` + labels("bench-load-a-0", "0") + `]}}`},
		{At: at(0), Body: `{"incident":{"alerts":[` + labels("bench-load-b-0", "2") + `]}}`},
		{At: at(0), Body: `{"alerts":[{"labels":{"alertname":"Watchdog"}}]}`},
	}
	got, messages, err := received(hooks, "bench-load-a-")
	if err != nil || messages != 2 || len(got) != 2 || !got[0].Equal(at(1)) || !got[1].Equal(at(3)) {
		t.Errorf("%v in %d messages, %v", got, messages, err)
	}
	if _, _, err := received([]slacktest.Webhook{{Body: "no JSON"}}, "x"); err == nil {
		t.Error("a message that can't be read counts as none")
	}
}

func TestSummaryCountsFromEachPost(t *testing.T) {
	posts := []post{{Start: at(0), End: at(0.25), Tries: 1}, {Start: at(1), End: at(1.5), Tries: 2}}
	got := map[int]time.Time{0: at(2), 1: at(3), batch: at(5)}
	want := AlertWay{Alerts: 4, Delivered: 3, Messages: 7, Posts: 2, Tries: 3, AlertsPerSecond: 0.6, P50: 3, P99: 4, AnswerP50: 0.25, AnswerP99: 0.5}
	if way := summarize(posts, got, 4, 7); way != want {
		t.Errorf("got %+v\nwant %+v", way, want)
	}
	if way := summarize(posts, nil, 4, 0); way.AlertsPerSecond != 0 || way.Delivered != 0 {
		t.Errorf("without a receipt: %+v", way)
	}
}

func TestTheOtherAlertmanagerHasTheSameWaits(t *testing.T) {
	const config = `
route: {receiver: a, group_by: [alertname, namespace], group_wait: 1s, routes: [{receiver: a, repeat_interval: 1m}]}
receivers: [{name: a, webhook_configs: [{url: "https://b", http_config: {authorization: {credentials_file: /token}}}]}]
`
	out, err := withReceiver([]byte(config), "http://c/webhook")
	if err != nil {
		t.Fatal(err)
	}
	var got, want map[string]any
	if err := yaml.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal([]byte(config), &want); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(got["route"]) != fmt.Sprint(want["route"]) || strings.Contains(string(out), "token") || !strings.Contains(string(out), "http://c/webhook") {
		t.Errorf("the configuration became\n%s", out)
	}
	for _, bad := range []string{"", "receivers: []", "receivers: [1]", "\t"} {
		if _, err := withReceiver([]byte(bad), "x"); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestTheClientTriesAgainAfterServerErrorsOnly(t *testing.T) {
	for status, good := range map[int]bool{http.StatusServiceUnavailable: true, http.StatusUnauthorized: false} {
		var calls atomic.Int32
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodHead {
				return // the client makes its connections
			}
			if body, err := io.ReadAll(r.Body); err != nil || string(body) != "[1]" || r.Header.Get("Authorization") != "Bearer t" {
				t.Errorf("got %q with %q, %v", body, r.Header.Get("Authorization"), err)
			}
			if calls.Add(1) == 1 {
				w.WriteHeader(status)
			}
		}))
		in, err := json.Marshal(load{URL: server.URL, Token: "t", Workers: 1, Bodies: []json.RawMessage{[]byte("[1]")}})
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		err = serveLoad(t.Context(), strings.NewReader(string(in)), &out)
		server.Close()
		if (err == nil) != good || good && (calls.Load() != 2 || !strings.Contains(out.String(), `"tries":2`)) {
			t.Errorf("%d: %v after %d calls: %s", status, err, calls.Load(), out.String())
		}
	}
}
