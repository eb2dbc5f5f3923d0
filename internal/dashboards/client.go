// Package dashboards keeps KubeBot's data sources, folder and dashboards in a Grafana, through its HTTP API. What is
// not KubeBot's, by its UID, is never touched.
package dashboards

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	gapi "github.com/grafana/grafana-api-golang-client"

	"github.com/kubebot/kubebot/internal/truncate"
)

// maxAnswer bounds what is read of one answer; the greatest dashboards are some hundred KiB.
const maxAnswer = 16 << 20

// maxReason bounds what is repeated of Grafana's own words.
const maxReason = 300

// StatusError is an answer that is none: Grafana refused a call.
type StatusError struct {
	// Method and Path of the call.
	Method, Path string
	// Status is the HTTP status code, 300 or above.
	Status int
	// Reason is what Grafana said, shortened.
	Reason string
}

// Error implements error.
func (e *StatusError) Error() string {
	return strings.TrimSuffix(fmt.Sprintf("%s %s: HTTP status %d: %s", e.Method, e.Path, e.Status, e.Reason), ": ")
}

// status returns the HTTP status by which a call was refused, or 0. The client says 404 in a type of its own.
func status(err error) int {
	var refused *StatusError
	if errors.As(err, &refused) {
		return refused.Status
	}
	var missing gapi.ErrNotFound
	if errors.As(err, &missing) {
		return http.StatusNotFound
	}
	return 0
}

// credentials are what a call shows: a token, or user and password.
type credentials struct{ token, user, password string }

func (c credentials) header() string {
	if c.token != "" {
		return "Bearer " + c.token
	}
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(c.user+":"+c.password))
}

// caller makes calls end with the context, shows the credentials, and turns refusals into StatusErrors: the client knows
// none of these. The credentials are not in its URL, which errors repeat.
type caller struct {
	ctx  context.Context //nolint:containedctx // the client's methods take none
	next http.RoundTripper
	auth string
}

// RoundTrip implements http.RoundTripper.
func (c caller) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(c.ctx)
	r.Header.Set("Authorization", c.auth)
	resp, err := c.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode >= http.StatusMultipleChoices && resp.StatusCode != http.StatusNotFound {
		defer func() { _ = resp.Body.Close() }()
		return nil, &StatusError{Method: r.Method, Path: r.URL.Path, Status: resp.StatusCode, Reason: reason(resp.Body)}
	}
	resp.Body = limited{io.LimitReader(resp.Body, maxAnswer), resp.Body}
	return resp, nil
}

type limited struct {
	io.Reader
	io.Closer
}

// reason is the field message of Grafana's answer, or nothing: other text may be a page of a proxy.
func reason(body io.Reader) string {
	var answer struct {
		Message string `json:"message"`
	}
	if err := json.NewDecoder(io.LimitReader(body, maxAnswer)).Decode(&answer); err != nil {
		return ""
	}
	return truncate.Ellipsis(strings.Join(strings.Fields(answer.Message), " "), maxReason)
}

// newClient returns a client for one look at Grafana.
func newClient(ctx context.Context, address string, next http.RoundTripper, c credentials) (*gapi.Client, error) {
	client, err := gapi.New(address, gapi.Config{Client: &http.Client{
		Transport:     caller{ctx: ctx, next: next, auth: c.header()},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}})
	if err != nil {
		return nil, fmt.Errorf("make the client of Grafana: %w", err)
	}
	return client, nil
}
