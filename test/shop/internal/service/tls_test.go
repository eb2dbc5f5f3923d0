package service

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// authority signs certificates for a test.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, file string) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-2 * time.Hour),
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	writePEM(t, file, "CERTIFICATE", der)
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return authority{certificate, key}
}

// issue puts a certificate for loopback into the folder, as kubelet does with a changed Secret.
func (a authority) issue(t *testing.T, dir string, until time.Time) {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(until.UnixNano()), NotBefore: time.Now().Add(-time.Hour), NotAfter: until,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(a.key)
	if err != nil {
		t.Fatal(err)
	}
	writePEM(t, filepath.Join(dir, "tls.key"), "PRIVATE KEY", key)
	writePEM(t, filepath.Join(dir, "tls.crt"), "CERTIFICATE", der)
}

func writePEM(t *testing.T, file, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(file+".new", pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
}

func TestChargesFollowTheCertificateThatPaymentHas(t *testing.T) {
	dir := t.TempDir()
	ca := filepath.Join(dir, "ca.crt")
	issuer := newAuthority(t, ca)
	issuer.issue(t, dir, time.Now().Add(time.Hour))
	cart := start(t, "cart", nil)
	payment := start(t, "payment", map[string]string{"TLS_DIR": dir, "CONNECTION_AGE": "50ms"})
	checkout := start(t, "checkout", map[string]string{"CART_ADDR": cart.GRPC, "PAYMENT_ADDR": payment.GRPC, "PAYMENT_CA": ca})
	frontend := start(t, "frontend", map[string]string{"CART_ADDR": cart.GRPC, "CATALOG_URL": "http://" + start(t, "catalog", nil).HTTP,
		"CHECKOUT_URL": "http://" + checkout.HTTP})
	users := 0
	buys := func() int {
		users++ // each has a cart of their own, so that failed orders don't fill one
		if code, answer := frontend.ask(http.MethodPost, "/cart/items", fmt.Sprintf(`{"user":"u%d","product":"p1","quantity":1}`, users)); code != http.StatusOK {
			t.Fatalf("add to the cart: %d %s", code, answer)
		}
		code, _ := checkout.ask(http.MethodPost, "/orders", fmt.Sprintf(`{"user":"u%d"}`, users))
		return code
	}
	if code := buys(); code != http.StatusOK {
		t.Fatalf("with a good certificate: %d\n%s", code, checkout.log)
	}
	issuer.issue(t, dir, time.Now().Add(-time.Minute))
	eventually(t, "the expired certificate is refused", func() bool { return buys() == http.StatusBadGateway })
	if !strings.Contains(checkout.log.String(), "x509: certificate has expired") {
		t.Errorf("the log does not say why:\n%s", checkout.log)
	}
	issuer.issue(t, dir, time.Now().Add(time.Hour))
	eventually(t, "the renewed certificate is taken", func() bool { return buys() == http.StatusOK })

	checkout = start(t, "checkout", map[string]string{"CART_ADDR": cart.GRPC, "PAYMENT_ADDR": payment.GRPC})
	if code := buys(); code != http.StatusBadGateway {
		t.Errorf("a plain call of a server with TLS: %d", code)
	}
}

func TestUnusableCertificateFilesAreRefusedAtTheStart(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"tls.crt", "tls.key", "ca.crt"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("no PEM"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := serverCredentials(dir, time.Minute); err == nil {
		t.Error("the server took a file without a certificate")
	}
	if _, err := clientCredentials(filepath.Join(dir, "ca.crt")); err == nil || !strings.Contains(err.Error(), "ca.crt") {
		t.Errorf("the client took a file without an authority: %v", err)
	}
}
