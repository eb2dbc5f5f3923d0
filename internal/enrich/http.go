package enrich

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// MaxAnswer bounds the answer of a store to one request, in bytes.
const MaxAnswer = 8 << 20

var errTooLarge = errors.New("the answer is larger than 8 MiB")

// StatusError is an answer that is no success.
type StatusError struct{ Status int }

// Error says the status; what the store wrote is left out, because it may repeat anything.
func (e *StatusError) Error() string {
	return strings.TrimSpace(fmt.Sprintf("it answered with HTTP status %d %s", e.Status, http.StatusText(e.Status)))
}

// Store is an HTTP API.
type Store struct {
	// URL is its base, without a slash at the end.
	URL  string
	HTTP *http.Client
	// Header is sent with each request.
	Header http.Header
}

// Get asks for a path and decodes the JSON of the answer.
func (s Store) Get(ctx context.Context, path string, query url.Values, into any) error {
	data, err := s.Bytes(ctx, path, query)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("the answer to %s is not what its API documents: %w", path, err)
	}
	return nil
}

// Bytes asks for a path and returns the answer.
func (s Store) Bytes(ctx context.Context, path string, query url.Values) ([]byte, error) {
	address := strings.TrimSuffix(s.URL, "/") + path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, fmt.Errorf("ask for %s: %w", path, err)
	}
	for name, values := range s.Header {
		req.Header[name] = values
	}
	req.Header.Set("Accept", "application/json")
	client := s.HTTP
	if client == nil {
		client = http.DefaultClient
	}
	resp, err := client.Do(req)
	if err != nil {
		var where *url.Error // it repeats the address, which may hold a password
		if errors.As(err, &where) {
			err = where.Err
		}
		return nil, fmt.Errorf("ask for %s: %w", path, err)
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(resp.Body, MaxAnswer+1))
	switch {
	case resp.StatusCode != http.StatusOK:
		return nil, &StatusError{Status: resp.StatusCode}
	case err != nil:
		return nil, fmt.Errorf("read the answer to %s: %w", path, err)
	case len(data) > MaxAnswer:
		return nil, errTooLarge
	}
	return data, nil
}
