package service

import (
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"testing"
)

// edges are the calls of the shop as the callers' and the callees' metrics show them.
var edges = []struct {
	from, to string
	client   string
	server   string
	labels   map[string]string // on both sides
}{
	{"load", "frontend", "http_client_request_duration_seconds", "http_server_request_duration_seconds",
		map[string]string{"http_response_status_code": "200", "http_request_method": "POST"}},
	{"frontend", "catalog", "http_client_request_duration_seconds", "http_server_request_duration_seconds",
		map[string]string{"http_response_status_code": "200", "http_request_method": "GET"}},
	{"frontend", "checkout", "http_client_request_duration_seconds", "http_server_request_duration_seconds",
		map[string]string{"http_response_status_code": "200", "http_request_method": "POST"}},
	{"frontend", "cart", "rpc_client_call_duration_seconds", "rpc_server_call_duration_seconds",
		map[string]string{"rpc_method": "shop.v1.Cart/AddItem", "rpc_response_status_code": "OK"}},
	{"checkout", "cart", "rpc_client_call_duration_seconds", "rpc_server_call_duration_seconds",
		map[string]string{"rpc_method": "shop.v1.Cart/GetCart", "rpc_response_status_code": "OK"}},
	{"checkout", "payment", "rpc_client_call_duration_seconds", "rpc_server_call_duration_seconds",
		map[string]string{"rpc_method": "shop.v1.Payment/Charge", "rpc_response_status_code": "OK"}},
}

func TestEveryEdgeOfTheShopIsMeasuredOnBothSides(t *testing.T) {
	shop := startShop(t, nil)
	for _, e := range edges {
		client := map[string]string{}
		for name, value := range e.labels {
			client[name] = value
		}
		if strings.HasPrefix(e.client, "http") { // tells the dependencies of one caller apart
			_, client["server_port"], _ = net.SplitHostPort(shop[e.to].HTTP)
		}
		eventually(t, e.from+" calls "+e.to, func() bool { return shop[e.from].count(t, e.client, client) > 0 })
		eventually(t, e.to+" is called by "+e.from, func() bool { return shop[e.to].count(t, e.server, e.labels) > 0 })
	}
	for name, service := range shop {
		if strings.Contains(service.log.String(), `"severity":"ERROR"`) {
			t.Errorf("%s logged an error in a healthy shop:\n%s", name, service.log)
		}
	}
	probes := map[string]string{"http_route": "/readyz"}
	if code, _ := get(t, "http://"+shop["catalog"].HTTP+"/readyz"); code != http.StatusOK {
		t.Errorf("/readyz answers %d", code)
	}
	if n := shop["catalog"].count(t, "http_server_request_duration_seconds", probes); n != 0 {
		t.Errorf("%d probes were counted as requests", n)
	}
}

func TestBadRolloutFailsRequestsWhilePodsStayReady(t *testing.T) {
	patch := readManifest[deployment](t, "bad-rollout.yaml")[0]
	env := map[string]string{}
	for _, v := range patch.Spec.Template.Spec.Containers[0].Env {
		env[v.Name] = v.Value
	}
	shop := startShop(t, map[string]map[string]string{patch.Metadata.Name: env})
	eventually(t, "the frontend answers 502", func() bool {
		return shop["frontend"].count(t, "http_server_request_duration_seconds",
			map[string]string{"http_response_status_code": "502"}) > 0
	})
	broken := shop[patch.Metadata.Name]
	if n := broken.count(t, "http_server_request_duration_seconds",
		map[string]string{"http_response_status_code": "500"}); n == 0 {
		t.Error("the changed service counts no 500")
	}
	for name, service := range shop {
		if code, body := get(t, "http://"+service.HTTP+"/readyz"); code != http.StatusOK {
			t.Errorf("%s is not ready: %d %s", name, code, body)
		}
	}
	if want := `parse price format \"EUR\"`; !strings.Contains(broken.log.String(), want) {
		t.Errorf("the log does not hold %q:\n%s", want, broken.log)
	}
}

func TestSwitchedFaultLeavesNoNameInLogsAndMetrics(t *testing.T) {
	shop := startShop(t, nil)
	put(t, shop["payment"], "errors", `{"percent":100}`)
	put(t, shop["catalog"], "latency", `{"milliseconds":1}`)
	put(t, shop["frontend"], "refuse", `{"dependency":"cart"}`)
	put(t, shop["cart"], "cpu", `{"millicores":10}`)
	put(t, shop["load"], "memory", `{"bytesPerSecond":1024,"maxBytes":2048}`)
	eventually(t, "the frontend fails", func() bool {
		return shop["frontend"].count(t, "http_server_request_duration_seconds",
			map[string]string{"http_response_status_code": "502"}) > 3
	})
	for name, service := range shop {
		seen := strings.ToLower(service.log.String() + service.scrape(t))
		for _, word := range []string{"fault", "inject", "switch", "millicores", "hoard", "refuse\""} {
			if strings.Contains(seen, word) {
				t.Errorf("the telemetry of %s holds %q", name, word)
			}
		}
	}
}

func TestRefusedDependencyFailsAndRecovers(t *testing.T) {
	shop := startShop(t, nil)
	down := map[string]string{"rpc_method": "shop.v1.Payment/Charge", "rpc_response_status_code": "UNAVAILABLE"}
	up := map[string]string{"rpc_method": "shop.v1.Payment/Charge", "rpc_response_status_code": "OK"}
	calls := func(labels map[string]string) uint64 {
		return shop["checkout"].count(t, "rpc_client_call_duration_seconds", labels)
	}
	eventually(t, "payment works", func() bool { return calls(up) > 0 })
	put(t, shop["checkout"], "refuse", `{"dependency":"payment"}`)
	eventually(t, "payment is unavailable", func() bool { return calls(down) > 0 })
	if want := "connect: connection refused"; !strings.Contains(shop["checkout"].log.String(), want) {
		t.Errorf("the log of checkout does not hold %q", want)
	}
	shop["checkout"].faults.ClearAll()
	before := calls(up)
	eventually(t, "payment works again", func() bool { return calls(up) > before })
}

func TestLogLinesCarryTheirTrace(t *testing.T) {
	catalog := newApp(t, "catalog", nil)
	catalog.ask(http.MethodGet, "/products", "")
	var line struct {
		Time, Severity, Message string
		TraceID                 string `json:"trace_id"`
		SpanID                  string `json:"span_id"`
	}
	if err := json.Unmarshal([]byte(catalog.log.String()), &line); err != nil {
		t.Fatalf("log %q: %v", catalog.log, err)
	}
	if line.Severity != "INFO" || line.Message != "Products listed" || line.Time == "" || len(line.TraceID) != 32 || len(line.SpanID) != 16 {
		t.Errorf("log line = %+v", line)
	}
}

func put(t *testing.T, r running, kind, setting string) {
	t.Helper()
	request, err := http.NewRequest(http.MethodPut, "http://"+r.Admin+"/faults/"+kind, strings.NewReader(setting))
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Fatalf("PUT %s: %s", kind, response.Status)
	}
}
