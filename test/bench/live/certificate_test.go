package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"testing"
	"time"
)

func TestIssuedCertificatesAreRefusedOnceTheyExpire(t *testing.T) {
	now := time.Now()
	ca, caKey, err := newAuthority(now)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		t.Fatal("the authority has no certificate")
	}
	certificate, key, err := issue(ca, caKey, now, validShort)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"payment", "payment.shop.svc"} {
		if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: name, CurrentTime: now}); err != nil {
			t.Errorf("for %s, while it is valid: %v", name, err)
		}
		_, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: name, CurrentTime: now.Add(2 * validShort)})
		var invalid x509.CertificateInvalidError
		if !errors.As(err, &invalid) || invalid.Reason != x509.Expired {
			t.Errorf("for %s, afterwards: %v", name, err)
		}
	}
	if _, _, err := issue(ca, []byte("no key"), now, validLong); err == nil {
		t.Error("a certificate was issued without the authority's key")
	}
}
