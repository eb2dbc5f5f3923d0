package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"github.com/kubebot/kubebot/internal/testutil/tree"
	"github.com/kubebot/kubebot/test/stack"
)

// clientCommand makes this program the client that posts a load: it runs inside the cluster's network.
const clientCommand = "client"

// load is what the client posts, in order; it reads it from its standard input.
type load struct {
	URL string `json:"url"`
	// ServerName, CA and Token are for TLS and a bearer token; empty for plain HTTP.
	ServerName string `json:"serverName,omitempty"`
	CA         []byte `json:"ca,omitempty"`
	Token      string `json:"token,omitempty"`
	// Workers post at a time.
	Workers int               `json:"workers"`
	Bodies  []json.RawMessage `json:"bodies"`
}

// post is how one body fared.
type post struct {
	// Start is when it was first sent, End when it was accepted.
	Start time.Time `json:"start"`
	End   time.Time `json:"end"`
	Tries int       `json:"tries"`
}

// maxTries per body: as Alertmanager does, it tries again after a 5xx.
const maxTries = 30

// post runs the client inside the cluster's network.
func (b *bench) post(ctx context.Context, l load) ([]post, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	in, err := json.Marshal(l)
	if err != nil {
		return nil, fmt.Errorf("encode the load: %w", err)
	}
	cmd := exec.CommandContext(ctx, filepath.Join(tree.Cache(), "bin", "kubebot-cluster"), "exec", "--name", b.Name, "--", self, clientCommand)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(in), &out, &errs
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("post to %s: %w: %s", l.URL, err, bytes.TrimSpace(errs.Bytes()))
	}
	var posts []post
	if err := json.Unmarshal(out.Bytes(), &posts); err != nil {
		return nil, fmt.Errorf("read the client's times: %w", err)
	}
	return posts, nil
}

// serveLoad is the client.
func serveLoad(ctx context.Context, in io.Reader, out io.Writer) error {
	var l load
	if err := json.NewDecoder(in).Decode(&l); err != nil {
		return fmt.Errorf("read the load: %w", err)
	}
	transport := &http.Transport{MaxIdleConnsPerHost: l.Workers}
	if len(l.CA) > 0 {
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(l.CA) {
			return errors.New("read the load: its CA is no certificate")
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: pool, ServerName: l.ServerName, MinVersion: tls.VersionTLS12}
	}
	client := &http.Client{Transport: transport, Timeout: 30 * time.Second}
	if err := l.connect(ctx, client); err != nil {
		return err
	}
	posts, errs := make([]post, len(l.Bodies)), make([]error, len(l.Bodies))
	next := make(chan int)
	var wg sync.WaitGroup
	for range max(l.Workers, 1) {
		wg.Go(func() {
			for i := range next {
				posts[i], errs[i] = l.send(ctx, client, l.Bodies[i])
			}
		})
	}
	for i := range l.Bodies {
		next <- i
	}
	close(next)
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if err := json.NewEncoder(out).Encode(posts); err != nil {
		return fmt.Errorf("write the times: %w", err)
	}
	return nil
}

// connect opens a connection per worker, so that no time holds the wait until kube-proxy knows a new Service. Any answer
// will do.
func (l load) connect(ctx context.Context, client *http.Client) error {
	errs := make([]error, max(l.Workers, 1))
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			errs[i] = stack.Eventually(ctx, 30*time.Second, 200*time.Millisecond, func(ctx context.Context) error {
				request, err := http.NewRequestWithContext(ctx, http.MethodHead, l.URL, nil)
				if err != nil {
					return fmt.Errorf("make the request: %w", err)
				}
				response, err := client.Do(request)
				if err != nil {
					return err
				}
				return response.Body.Close()
			})
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("connect to %s: %w", l.URL, err)
	}
	return nil
}

// send posts one body until it is accepted.
func (l load) send(ctx context.Context, client *http.Client, body []byte) (post, error) {
	p := post{Start: time.Now()}
	var last error
	for p.Tries < maxTries {
		p.Tries++
		again, err := l.try(ctx, client, body)
		if p.End = time.Now(); err == nil {
			return p, nil
		}
		if last = err; !again {
			break
		}
		if err := sleep(ctx, time.Second); err != nil {
			return p, err
		}
	}
	return p, fmt.Errorf("post to %s, %d tries: %w", l.URL, p.Tries, last)
}

func (l load) try(ctx context.Context, client *http.Client, body []byte) (again bool, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, l.URL, bytes.NewReader(body))
	if err != nil {
		return false, fmt.Errorf("make the request: %w", err)
	}
	request.Header.Set("Content-Type", "application/json")
	if l.Token != "" {
		request.Header.Set("Authorization", "Bearer "+l.Token)
	}
	response, err := client.Do(request)
	if err != nil {
		return true, err
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return true, fmt.Errorf("read the answer: %w", err)
	}
	if response.StatusCode/100 != 2 {
		return response.StatusCode >= 500, fmt.Errorf("answered %s: %s", response.Status, bytes.TrimSpace(answer[:min(len(answer), 200)]))
	}
	return false, nil
}
