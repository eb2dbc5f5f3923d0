package transport

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"sync"

	"github.com/kubebot/kubebot/internal/notify/secretfile"
)

// Source hands out one client as long as its certificate authorities stay the same, and a new one when they change.
type Source struct {
	// CA holds certificate authorities in PEM that are trusted besides the system's; without a file, none.
	CA secretfile.Ref

	mu     sync.Mutex
	sum    [sha256.Size]byte
	client *http.Client
}

// Client returns the client. It fails as New does; Problem says what to do about the error.
func (s *Source) Client() (*http.Client, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var options Options
	var sum [sha256.Size]byte
	if s.CA.File != "" {
		data, err := os.ReadFile(s.CA.File)
		if err != nil {
			return nil, fmt.Errorf("read certificate authorities: %w", err)
		}
		options.CAFiles, sum = []string{s.CA.File}, sha256.Sum256(data)
	}
	if s.client != nil && sum == s.sum {
		return s.client, nil
	}
	client, err := New(options)
	if err != nil {
		return nil, err
	}
	if s.client != nil {
		s.client.CloseIdleConnections()
	}
	s.client, s.sum = client, sum
	return client, nil
}

// Problem says in a word and a sentence what a person must change about an error of Client.
func (s *Source) Problem(err error) (word, detail string) {
	if errors.Is(err, fs.ErrNotExist) {
		return "SecretMissing", secretfile.Missing(s.CA, "the certificate authorities in PEM")
	}
	return "InvalidCA", fmt.Sprintf("Key %q of Secret %q holds no certificate in PEM that can be used: correct it.", s.CA.Key, s.CA.Secret)
}
