package service

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
)

// connectionGrace is how long calls that are under way may go on when a connection has reached its age.
const connectionGrace = 5 * time.Second

// serverCredentials serve TLS where the folder holds a certificate and its key, and nothing else than plain calls
// where it doesn't. The files are read anew for every handshake, and connections end when they reach the age, so that a
// renewed certificate is soon in use.
func serverCredentials(dir string, age time.Duration) ([]grpc.ServerOption, error) {
	certificate, key := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	load := func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(certificate, key)
		if err != nil {
			return nil, fmt.Errorf("load the certificate: %w", err)
		}
		return &pair, nil
	}
	if _, err := load(nil); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	return []grpc.ServerOption{
		grpc.Creds(credentials.NewTLS(&tls.Config{GetCertificate: load, MinVersion: tls.VersionTLS12})),
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionAge: age, MaxConnectionAgeGrace: connectionGrace}),
	}, nil
}

// clientCredentials verify servers by the authority in the file, and are plain where there is no such file.
func clientCredentials(authority string) (credentials.TransportCredentials, error) {
	pem, err := os.ReadFile(authority)
	if errors.Is(err, fs.ErrNotExist) {
		return insecure.NewCredentials(), nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the authority: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("read the authority: %s holds no certificate", authority)
	}
	return credentials.NewTLS(&tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}), nil
}
