package service

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// syncBuffer collects log lines of several goroutines.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// running is a service with its log.
type running struct {
	*App
	log *syncBuffer
}

// newApp makes a service on free loopback ports, without serving it.
func newApp(t *testing.T, name string, env map[string]string) running {
	t.Helper()
	local := map[string]string{"HTTP_ADDR": "127.0.0.1:0", "GRPC_ADDR": "127.0.0.1:0", "METRICS_ADDR": "127.0.0.1:0",
		"ADMIN_ADDR": "127.0.0.1:0", "DRAIN": "0s", "HOSTNAME": name + "-0"}
	log := &syncBuffer{}
	a, err := New(t.Context(), Options{Service: name, Version: "test", Out: log, Getenv: func(key string) string {
		if value, ok := env[key]; ok {
			return value
		}
		return local[key]
	}})
	if err != nil {
		t.Fatalf("New(%s): %v", name, err)
	}
	return running{a, log}
}

// start serves a service until the test ends, and checks that it ends well.
func start(t *testing.T, name string, env map[string]string) running {
	t.Helper()
	r := newApp(t, name, env)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("%s: Run: %v", name, err)
		}
	})
	return r
}

// startShop serves the whole shop; change adds to the environment of single services.
func startShop(t *testing.T, change map[string]map[string]string) map[string]running {
	t.Helper()
	shop := map[string]running{}
	env := map[string]string{"LOAD_RPS": "200"}
	for _, name := range []string{"payment", "cart", "catalog", "checkout", "frontend", "load"} {
		own := map[string]string{}
		for key, value := range env {
			own[key] = value
		}
		for key, value := range change[name] {
			own[key] = value
		}
		shop[name] = start(t, name, own)
		env[strings.ToUpper(name)+"_URL"] = "http://" + shop[name].HTTP
		env[strings.ToUpper(name)+"_ADDR"] = shop[name].GRPC
	}
	return shop
}

// ask sends a request to the handler of a service and returns status and body.
func (r running) ask(method, path, body string) (int, string) {
	w := httptest.NewRecorder()
	r.httpHandler().ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(body)))
	return w.Code, w.Body.String()
}

// scrape reads the service's metrics as Prometheus does.
func (r running) scrape(t *testing.T) string {
	t.Helper()
	w := httptest.NewRecorder()
	r.telemetry.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	return w.Body.String()
}

// count sums the histogram's number of observations over the series that carry all the labels.
func (r running) count(t *testing.T, metric string, labels map[string]string) uint64 {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(r.scrape(t)))
	if err != nil {
		t.Fatalf("parse metrics: %v", err)
	}
	var sum uint64
	for _, m := range families[metric].GetMetric() {
		if carries(m, labels) {
			sum += m.GetHistogram().GetSampleCount()
		}
	}
	return sum
}

func carries(m *dto.Metric, labels map[string]string) bool {
	found := 0
	for _, l := range m.GetLabel() {
		if want, ok := labels[l.GetName()]; ok && want == l.GetValue() {
			found++
		}
	}
	return found == len(labels)
}

// eventually waits until the condition holds; the limit only ends a run that would never.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !condition(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never happened: %s", what)
		}
	}
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}
