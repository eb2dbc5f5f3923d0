package golden

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/hashicorp/consul/sdk/freeport"

	"github.com/kubebot/kubebot/internal/component"
)

// startTimeout is how long a real program may take to answer: far more than it needs, which is a second or two, and for
// the first start of a Grafana, which makes its database, half a minute of a core.
const startTimeout = 4 * time.Minute

// Start runs a real server until the test ends and returns its base URL once ready answers 200 there. Args gets the
// address to listen on.
func Start(t *testing.T, dir, program, ready string, args func(address string) []string) string {
	t.Helper()
	address := FreeAddress(t)
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, program, args(address)...)
	cmd.Dir = dir
	if err := cmd.Start(); err != nil {
		cancel()
		t.Fatalf("start %s: %v", program, err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // it was killed: its error says only that
	})
	base := "http://" + address
	for deadline := time.Now().Add(startTimeout); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if Ask(t, base+ready).Status == http.StatusOK {
			return base
		}
	}
	t.Fatalf("%s does not answer at %s", program, base+ready)
	return ""
}

// FreeAddress returns a local address for a program that takes no listener. Nobody else gets the port while the test
// runs: neither another test nor, since it is no ephemeral one, a connection.
func FreeAddress(t testing.TB) string {
	t.Helper()
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(freeport.GetOne(t)))
}

// Ask gets a URL as the manager asks a Question.
func Ask(t *testing.T, url string) component.Answer {
	t.Helper()
	resp, err := http.Get(url) //nolint:noctx // a local server, ended with the test
	if err != nil {
		return component.Answer{Err: fmt.Sprint(err)}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return component.Answer{Err: fmt.Sprint(err)}
	}
	return component.Answer{Status: resp.StatusCode, Body: body}
}
