package rules

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/testutil/golden"
)

// TestRealPrometheusEvaluatesEveryRule asks a real Prometheus as the manager does.
func TestRealPrometheusEvaluatesEveryRule(t *testing.T) {
	program := golden.Program(t, "prometheus")
	dir := t.TempDir()
	ruleFile(t, dir, all(t))
	config := "global: {evaluation_interval: 1s}\nrule_files: [rules.yaml]\n"
	if err := os.WriteFile(filepath.Join(dir, "prometheus.yaml"), []byte(config), 0o600); err != nil {
		t.Fatalf("write the configuration: %v", err)
	}
	address := golden.FreeAddress(t)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute) // tests beside it may leave it little time
	defer cancel()
	server := exec.CommandContext(ctx, program, "--config.file=prometheus.yaml", "--storage.tsdb.path=data",
		"--web.listen-address="+address)
	server.Dir = dir
	server.Cancel = func() error { return server.Process.Signal(os.Interrupt) }
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatalf("create the log: %v", err)
	}
	server.Stdout, server.Stderr = log, log
	if err := server.Start(); err != nil {
		t.Fatalf("start Prometheus: %v", err)
	}
	defer func() {
		cancel()
		_ = server.Wait() // it was told to end
	}()

	in := fullInput()
	question := Component{}.Questions(in)[0]
	var h component.Health
	for ctx.Err() == nil {
		seen := ask(ctx, question, "http://"+address)
		h = Component{}.Health(in, component.Observed{Answers: map[string]component.Answer{question.Key + "/0": seen}})
		if h.Status == metav1.ConditionTrue {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	text, _ := os.ReadFile(log.Name()) // only shown
	t.Errorf("%s %q; want every rule loaded and evaluated. Prometheus wrote:\n%s", h.Reason, h.Message, text)
}

// ask gets the path and query of a question from another host.
func ask(ctx context.Context, q component.Question, base string) component.Answer {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, q.URL, nil)
	if err != nil {
		return component.Answer{Err: err.Error()}
	}
	request, err = http.NewRequestWithContext(ctx, http.MethodGet, base+request.URL.RequestURI(), nil)
	if err != nil {
		return component.Answer{Err: err.Error()}
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return component.Answer{Err: err.Error()}
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return component.Answer{Err: fmt.Sprintf("read the answer: %v", err)}
	}
	return component.Answer{Status: response.StatusCode, Body: body}
}
