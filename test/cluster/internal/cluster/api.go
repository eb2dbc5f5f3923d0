package cluster

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
	"strings"
	"time"
)

// client talks to the API server through the forwarder, as the cluster's own
// user: in the audit log its requests are told apart from the administrator's.
type client struct {
	url  string
	http *http.Client
}

func newClient(p Plan, hostPort int) (*client, error) {
	roots, err := os.ReadFile(p.Path("pki/ca.crt"))
	if err != nil {
		return nil, fmt.Errorf("make an API client: %w", err)
	}
	pair, err := tls.LoadX509KeyPair(p.Path("pki/cluster.crt"), p.Path("pki/cluster.key"))
	if err != nil {
		return nil, fmt.Errorf("make an API client: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(roots) {
		return nil, errors.New("make an API client: the cluster's authority has no certificate")
	}
	return &client{
		url: fmt.Sprintf("https://127.0.0.1:%d", hostPort),
		http: &http.Client{
			Timeout: 10 * time.Second,
			// No proxy: the forwarder is on this machine.
			Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{pair}}},
		},
	}, nil
}

// get reads an object into out, which may be nil.
func (c *client) get(ctx context.Context, path string, out any) error {
	return c.do(ctx, http.MethodGet, path, nil, out)
}

// apply writes an object by server-side apply.
func (c *client) apply(ctx context.Context, path string, obj object) error {
	body, err := json.Marshal(obj)
	if err != nil {
		return fmt.Errorf("encode %s: %w", path, err)
	}
	return c.do(ctx, http.MethodPatch, path+"?fieldManager=kubebot-cluster&force=true", body, nil)
}

func (c *client) do(ctx context.Context, method, path string, body []byte, out any) error {
	req, err := http.NewRequestWithContext(ctx, method, c.url+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	req.Header.Set("User-Agent", "kubebot-cluster")
	if body != nil {
		req.Header.Set("Content-Type", "application/apply-patch+yaml")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, 4<<20))
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, strings.TrimSpace(string(data)))
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(data, out); err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	return nil
}

// nodeReady is nil once the node's condition Ready is true.
func (c *client) nodeReady(ctx context.Context, name string) error {
	var node struct {
		Status struct {
			Conditions []struct{ Type, Status, Message string }
		}
	}
	if err := c.get(ctx, "/api/v1/nodes/"+name, &node); err != nil {
		return err
	}
	for _, cond := range node.Status.Conditions {
		if cond.Type == "Ready" {
			if cond.Status == "True" {
				return nil
			}
			return fmt.Errorf("node %s is not ready: %s", name, cond.Message)
		}
	}
	return fmt.Errorf("node %s has no condition Ready yet", name)
}
