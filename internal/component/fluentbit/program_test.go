package fluentbit

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/hashicorp/consul/sdk/freeport"

	"github.com/kubebot/kubebot/api/v1alpha1"
)

// fluentBit returns the path of the real program. It is no Go module, so nothing here can build it.
func fluentBit(t testing.TB) string {
	t.Helper()
	path := os.Getenv("FLUENT_BIT")
	if path == "" {
		t.Skip("FLUENT_BIT IS NOT SET, so the configuration was not checked by the real program: set it to the path of a Fluent Bit 5.1")
	}
	return path
}

// receiver takes OTLP over HTTP, as the collector does.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	status int
	// refused counts the requests that were not taken.
	refused int
	got     []plog.Logs
	texts   map[string]int
}

func newReceiver(t testing.TB) *receiver {
	t.Helper()
	r := &receiver{status: http.StatusOK, texts: map[string]int{}}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		logs, err := decode(req)
		if err != nil {
			t.Errorf("read a request: %v", err)
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.status == http.StatusOK {
			r.got = append(r.got, logs)
			each(logs, func(_ plog.ResourceLogs, record plog.LogRecord) { r.texts[record.Body().AsString()]++ })
		} else {
			r.refused++
		}
		w.WriteHeader(r.status)
	}))
	t.Cleanup(r.Close)
	return r
}

func decode(req *http.Request) (plog.Logs, error) {
	body := io.Reader(req.Body)
	if req.URL.Path != "/v1/logs" || req.Header.Get("Content-Type") != "application/x-protobuf" {
		return plog.Logs{}, fmt.Errorf("%s with %s is no OTLP", req.URL.Path, req.Header.Get("Content-Type"))
	}
	if req.Header.Get("Content-Encoding") == "gzip" {
		unzipped, err := gzip.NewReader(body)
		if err != nil {
			return plog.Logs{}, err
		}
		body = unzipped
	}
	data, err := io.ReadAll(body)
	if err != nil {
		return plog.Logs{}, err
	}
	export := plogotlp.NewExportRequest()
	err = export.UnmarshalProto(data)
	return export.Logs(), err
}

// answer sets the status of the answers from now on.
func (r *receiver) answer(status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status = status
}

// refuseAnother waits until one more request was refused.
func (r *receiver) refuseAnother(t *testing.T) {
	t.Helper()
	count := func() int {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.refused
	}
	before := count()
	eventually(t, func() string {
		if count() == before {
			return "no request was sent"
		}
		return ""
	})
}

// bodies counts what came by its text.
func (r *receiver) bodies() map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.texts)
}

// count tells how often a text came.
func (r *receiver) count(text string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.texts[text]
}

func each(logs plog.Logs, visit func(plog.ResourceLogs, plog.LogRecord)) {
	for _, rl := range logs.ResourceLogs().All() {
		for _, sl := range rl.ScopeLogs().All() {
			for _, record := range sl.LogRecords().All() {
				visit(rl, record)
			}
		}
	}
}

// merged is everything that came as one, in the order of time and then of text, each under its resource.
func (r *receiver) merged() plog.Logs {
	type entry struct {
		resource plog.ResourceLogs
		record   plog.LogRecord
	}
	var all []entry
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, logs := range r.got {
		each(logs, func(rl plog.ResourceLogs, record plog.LogRecord) { all = append(all, entry{rl, record}) })
	}
	slices.SortStableFunc(all, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.record.Timestamp(), b.record.Timestamp()), cmp.Compare(a.record.Body().AsString(), b.record.Body().AsString()))
	})
	logs := plog.NewLogs()
	var into plog.ResourceLogs
	for i, e := range all {
		if i == 0 || !into.Resource().Attributes().Equal(e.resource.Resource().Attributes()) {
			into = logs.ResourceLogs().AppendEmpty()
			e.resource.Resource().CopyTo(into.Resource())
			into.ScopeLogs().AppendEmpty()
		}
		record := into.ScopeLogs().At(0).LogRecords().AppendEmpty()
		e.record.CopyTo(record)
		sorted(record)
	}
	return logs
}

// sorted puts a record's attributes, which come in any order, in the order of their names.
func sorted(record plog.LogRecord) {
	names := slices.Sorted(func(yield func(string) bool) {
		for name := range record.Attributes().All() {
			if !yield(name) {
				return
			}
		}
	})
	old := plog.NewLogRecord()
	record.CopyTo(old)
	record.Attributes().Clear()
	for _, name := range names {
		value, _ := old.Attributes().Get(name)
		value.CopyTo(record.Attributes().PutEmpty(name))
	}
}

// node is a machine with log files, on which the program runs with KubeBot's own configuration; only addresses and
// folders differ.
type node struct {
	program, dir string
	config       config
	port         int
	cancel       context.CancelFunc
	cmd          *exec.Cmd
	output       *bytes.Buffer
}

func newNode(t testing.TB, r *receiver, s v1alpha1.FluentBitSpec) *node {
	t.Helper()
	n := &node{program: fluentBit(t), dir: t.TempDir(), output: &bytes.Buffer{}}
	own, err := parseFilters(s.ExtraFilters)
	if err != nil {
		t.Fatal(err)
	}
	n.config = newConfig(input(s), resource.MustParse(bufferLimit), own)
	api := httptest.NewServer(http.FileServer(http.Dir(filepath.Join("testdata", "api"))))
	t.Cleanup(api.Close)
	n.port = freeport.GetOne(t)
	n.config.Service.HTTPPort = n.port
	k := n.config.Pipeline.Filters[0].(kubernetes)
	k.KubeURL = api.URL
	n.config.Pipeline.Filters[0] = k
	address, err := url.Parse(r.URL)
	if err != nil {
		t.Fatal(err)
	}
	n.config.Pipeline.Outputs[0].Host = address.Hostname()
	if n.config.Pipeline.Outputs[0].Port, err = strconv.Atoi(address.Port()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.stop(t) })
	return n
}

// in replaces the container's folders by the node's.
func (n *node) in(text string) string {
	return strings.NewReplacer(configDir, n.dir, logsDir, n.dir+"/pods", stateDir, n.dir+"/state", accountDir, n.dir+"/account").Replace(text)
}

// start runs the program.
func (n *node) start(t testing.TB) {
	t.Helper()
	text, err := n.config.marshal()
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(n.dir, keyConfig), n.in(text))
	write(t, filepath.Join(n.dir, keyShape), shape)
	for file, text := range map[string]string{"account/token": "t", "account/namespace": "kubebot-nodes", "state/.keep": ""} {
		write(t, filepath.Join(n.dir, file), text)
	}
	ctx, cancel := context.WithCancel(context.Background())
	n.cancel = cancel
	n.cmd = exec.CommandContext(ctx, n.program, "--config="+filepath.Join(n.dir, keyConfig))
	n.cmd.Env = append(os.Environ(), "POD_IP=127.0.0.1", "NODE_NAME=node-1")
	n.cmd.Stdout, n.cmd.Stderr = n.output, n.output
	if err := n.cmd.Start(); err != nil {
		t.Fatalf("start Fluent Bit: %v", err)
	}
}

// stop kills the program, as a crash would.
func (n *node) stop(t testing.TB) {
	if n.cancel == nil {
		return
	}
	n.cancel()
	_ = n.cmd.Wait() // it was killed: there is nothing to learn from its end
	n.cancel = nil
	if t.Failed() {
		t.Logf("Fluent Bit said:\n%s", n.output)
	}
}

// logFile is the path of a container's log.
func (n *node) logFile(namespace, pod, container string) string {
	return filepath.Join(n.dir, "pods", namespace+"_"+pod+"_0f0f0f0f-0000-4000-8000-000000000000", container, "0.log")
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// eventually waits for a condition of the program's, which says what is missing, at most a minute.
func eventually(t testing.TB, missing func() string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); missing() != ""; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("after a minute %s", missing())
		}
	}
}

// What the alert LogLinesNotRead asks for: an empty file counts as opened, and a link into a folder that is not there does not.
func TestFluentBitCountsWhatItReads(t *testing.T) {
	const opened = `fluentbit_input_files_opened_total{name="pods"}`
	for name, c := range map[string]struct {
		file func(path string) error
		has  []string
		lack string
	}{
		"lines": {file: func(path string) error {
			return os.WriteFile(path, []byte("2026-11-22T12:00:00Z stdout F one\n2026-11-22T12:00:01Z stdout F two\n"), 0o644)
		}, has: []string{`fluentbit_input_records_total{name="pods"} 2`, opened + " 1", "fluentbit_uptime{"}},
		"an empty file": {file: func(path string) error { return os.WriteFile(path, nil, 0o644) }, has: []string{`fluentbit_input_records_total{name="pods"} 0`, opened + " 1"}},
		"a link astray": {file: func(path string) error { return os.Symlink("/nowhere/json.log", path) }, has: []string{`fluentbit_input_records_total{name="pods"} 0`}, lack: opened},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t, newReceiver(t), v1alpha1.FluentBitSpec{})
			path := n.logFile("shop", "checkout-5d8f7c9b6d-abcde", "app")
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := c.file(path); err != nil {
				t.Fatal(err)
			}
			n.start(t)
			var body string
			eventually(t, func() string {
				body = n.metrics()
				for _, part := range c.has {
					if !strings.Contains(body, part) {
						return part + " is missing in " + body
					}
				}
				return ""
			})
			time.Sleep(2 * time.Second) // it looks for files each second
			if body = n.metrics(); c.lack != "" && strings.Contains(body, c.lack) {
				t.Errorf("%s is there", c.lack)
			}
		})
	}
}

// metrics are what the program tells of itself; nothing before it listens.
func (n *node) metrics() string {
	answer, err := http.Get("http://127.0.0.1:" + strconv.Itoa(n.port) + "/api/v2/metrics/prometheus")
	if err != nil {
		return ""
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return ""
	}
	return string(body)
}
