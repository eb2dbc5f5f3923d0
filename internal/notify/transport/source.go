package transport

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"os"
	"sync"
)

// Source hands out one client as long as its CA files stay the same, and a new one when they change.
type Source struct {
	Options Options

	mu     sync.Mutex
	sum    [sha256.Size]byte
	client *http.Client
}

// Client returns the client. It fails as New does.
func (s *Source) Client() (*http.Client, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	hash := sha256.New()
	for _, file := range s.Options.CAFiles {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read certificate authorities: %w", err)
		}
		_, _ = hash.Write(data)
	}
	sum := [sha256.Size]byte(hash.Sum(nil))
	if s.client != nil && sum == s.sum {
		return s.client, nil
	}
	client, err := New(s.Options)
	if err != nil {
		return nil, err
	}
	if s.client != nil {
		s.client.CloseIdleConnections()
	}
	s.client, s.sum = client, sum
	return client, nil
}
