package credentials

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"time"
)

// Keys of what a rotation has prepared and not yet put to use.
const (
	// KeyNextCert is the serving certificate in PEM that the next step of a rotation puts to use.
	KeyNextCert = "next.crt"
	// KeyNextKey is the private key of KeyNextCert in PEM.
	KeyNextKey = "next.key"
)

const (
	// Lifetime of a certificate.
	Lifetime = 365 * 24 * time.Hour
	// rotateAfter is the part of its life after which a certificate is replaced, as thirds.
	rotateAfter = 2
	// Overlap is how long a rotation waits between making the next certificate known and using it. Mounted Secrets
	// reach every pod within about two minutes (kubelet: sync period plus cache lifetime).
	Overlap = time.Hour
	// skew is how far the clocks of the cluster may differ.
	skew = time.Hour
	// tokenBytes of randomness are in a token.
	tokenBytes = 32
)

// Step is what Next did.
type Step string

// Steps of Next.
const (
	// StepNone: the credentials are good as they are.
	StepNone Step = ""
	// StepIssued: there were none that can be used; all are new.
	StepIssued Step = "Issued"
	// StepPrepared: the next token and certificate authority are accepted everywhere and not used yet.
	StepPrepared Step = "Prepared"
	// StepCompleted: a value that an older KubeBot did not have was added; the others are as they were.
	StepCompleted Step = "Completed"
	// StepRotated: the next token and certificate are in use; the previous ones are still accepted.
	StepRotated Step = "Rotated"
)

// Next returns the data of the generated Secret that should follow the data it has: a bearer token of 32 random bytes,
// and a serving certificate (ECDSA P-256, one year) for the given DNS names with the authority that signed it, whose key
// is thrown away. After two thirds of the certificate's life both are replaced in two steps an hour apart, so that
// whoever reads the Secret late is not locked out: first the new ones are accepted (ca.crt holds both authorities,
// token-previous the new token), then they are used (token-previous holds the old token). The password of Grafana is made
// once and kept. It does not change data.
func Next(data map[string][]byte, hosts []string, now time.Time) (map[string][]byte, Step, error) {
	out, step, err := renew(data, hosts, now)
	if err != nil || len(out[KeyGrafanaPassword]) > 0 {
		return out, step, err
	}
	out = maps.Clone(out)
	if out[KeyGrafanaPassword] = data[KeyGrafanaPassword]; len(out[KeyGrafanaPassword]) == 0 {
		out[KeyGrafanaPassword] = token()
		if step == StepNone {
			step = StepCompleted
		}
	}
	return out, step, nil
}

// renew is Next for the token and the certificate.
func renew(data map[string][]byte, hosts []string, now time.Time) (map[string][]byte, Step, error) {
	current, err := certificate(data[KeyCert], data[KeyKey], data[KeyCA], hosts, now)
	if err != nil || len(data[KeyToken]) == 0 {
		issued, err := issue(hosts, now)
		return issued, StepIssued, err
	}
	next, err := certificate(data[KeyNextCert], data[KeyNextKey], data[KeyCA], hosts, now)
	switch {
	case err == nil && now.Sub(next.NotBefore) >= skew+Overlap:
		return rotate(data), StepRotated, nil
	case err == nil:
		return data, StepNone, nil
	case now.Sub(current.NotBefore) >= skew+Lifetime/3*rotateAfter:
		prepared, err := prepare(data, hosts, now)
		return prepared, StepPrepared, err
	}
	return data, StepNone, nil
}

func issue(hosts []string, now time.Time) (map[string][]byte, error) {
	ca, cert, key, err := sign(hosts, now)
	if err != nil {
		return nil, err
	}
	return map[string][]byte{KeyToken: token(), KeyCA: ca, KeyCert: cert, KeyKey: key}, nil
}

func prepare(data map[string][]byte, hosts []string, now time.Time) (map[string][]byte, error) {
	ca, cert, key, err := sign(hosts, now)
	if err != nil {
		return nil, err
	}
	out := maps.Clone(data)
	out[KeyCA] = slices.Concat(ca, first(data[KeyCA]))
	out[KeyNextCert], out[KeyNextKey] = cert, key
	out[KeyTokenPrevious] = token()
	return out, nil
}

func rotate(data map[string][]byte) map[string][]byte {
	out := maps.Clone(data)
	out[KeyCert], out[KeyKey] = data[KeyNextCert], data[KeyNextKey]
	out[KeyToken], out[KeyTokenPrevious] = data[KeyTokenPrevious], data[KeyToken]
	delete(out, KeyNextCert)
	delete(out, KeyNextKey)
	return out
}

// token returns a bearer token that needs no escaping in a header.
func token() []byte {
	raw := make([]byte, tokenBytes)
	_, _ = rand.Read(raw) // never fails since Go 1.24: it ends the program instead
	return []byte(base64.RawURLEncoding.EncodeToString(raw))
}

// certificate checks that a certificate can be served for the hosts and is trusted, and returns it.
func certificate(cert, key, ca []byte, hosts []string, now time.Time) (*x509.Certificate, error) {
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("read the certificate and its key: %w", err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	for _, host := range hosts {
		if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: host, CurrentTime: now}); err != nil {
			return nil, fmt.Errorf("verify the certificate for %s: %w", host, err)
		}
	}
	return pair.Leaf, nil
}

// sign makes an authority and a serving certificate that it signs.
func sign(hosts []string, now time.Time) (ca, cert, key []byte, err error) {
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("make the authority's key: %w", err)
	}
	leafKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("make the certificate's key: %w", err)
	}
	root := template("KubeBot generated authority", now)
	root.IsCA, root.BasicConstraintsValid, root.MaxPathLenZero = true, true, true
	root.KeyUsage = x509.KeyUsageCertSign
	caDER, err := x509.CreateCertificate(rand.Reader, root, root, caKey.Public(), caKey)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("make the authority: %w", err)
	}
	leaf := template(hosts[0], now)
	leaf.DNSNames = hosts
	leaf.KeyUsage = x509.KeyUsageDigitalSignature
	leaf.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, root, leafKey.Public(), caKey)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("make the certificate: %w", err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(leafKey)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("encode the certificate's key: %w", err)
	}
	return encode("CERTIFICATE", caDER), encode("CERTIFICATE", leafDER), encode("PRIVATE KEY", private), nil
}

func template(name string, now time.Time) *x509.Certificate {
	limit := new(big.Int).Lsh(big.NewInt(1), 127)
	serial, _ := rand.Int(rand.Reader, limit) // never fails, as rand.Read does not
	if len(name) > 64 {
		name = name[:64] // the longest common name that X.509 allows; the DNS names are what counts
	}
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    now.Add(-skew),
		NotAfter:     now.Add(Lifetime),
	}
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// first returns the first block of a PEM bundle: the newest authority.
func first(bundle []byte) []byte {
	block, _ := pem.Decode(bytes.Clone(bundle))
	if block == nil {
		return nil
	}
	return pem.EncodeToMemory(block)
}
