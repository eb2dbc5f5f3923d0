package transport

import (
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"github.com/kubebot/kubebot/internal/notify/secretfile"
)

// Source hands out one client as long as its certificate authorities stay the same, and a new one when they change.
type Source struct {
	// CA holds certificate authorities in PEM that are trusted besides the system's; without a file, none.
	CA secretfile.Ref
	// Guard refuses addresses that no receiver may have; nil refuses none.
	Guard *Guard

	mu     sync.Mutex
	sum    [sha256.Size]byte
	client *http.Client
}

// Client returns the client. It fails as New does; Problem says what to do about the error.
func (s *Source) Client() (*http.Client, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	options := Options{Guard: s.Guard}
	var sum [sha256.Size]byte
	if s.CA.Given() {
		data, err := readCA(s.CA)
		if err != nil {
			return nil, err
		}
		options.CA, sum = data, sha256.Sum256(data)
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

// readCA returns the authorities in PEM; what is there and empty holds no certificate.
func readCA(ref secretfile.Ref) ([]byte, error) {
	data, err := secretfile.Read(ref)
	switch {
	case errors.Is(err, secretfile.ErrEmpty):
		return nil, fmt.Errorf("read certificate authorities: %w", ErrNoCertificate)
	case err != nil:
		return nil, fmt.Errorf("read certificate authorities: %w", err)
	}
	return []byte(data), nil
}

// RootCAs are the system's authorities and those of CA, for protocols other than HTTP. It fails as Client does.
func (s *Source) RootCAs() (*x509.CertPool, error) {
	if !s.CA.Given() {
		return nil, nil
	}
	data, err := readCA(s.CA)
	if err != nil {
		return nil, err
	}
	return Roots(nil, data)
}

// Problem says in a word and a sentence what a person must change about an error of Client.
func (s *Source) Problem(err error) (word, detail string) {
	if !errors.Is(err, ErrNoCertificate) {
		return "SecretMissing", secretfile.Missing(s.CA, "the certificate authorities in PEM")
	}
	return "InvalidCA", fmt.Sprintf("Key %q of Secret %q holds no certificate in PEM that can be used: correct it.", s.CA.Key, s.CA.Secret)
}
