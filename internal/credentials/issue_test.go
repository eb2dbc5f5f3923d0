package credentials

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"maps"
	"testing"
	"time"
)

var (
	hosts = []string{"main-responder.kubebot.svc", "main-responder.kubebot.svc.cluster.local"}
	start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
)

func mustNext(t *testing.T, data map[string][]byte, now time.Time, want Step) map[string][]byte {
	t.Helper()
	before := maps.Clone(data)
	out, step, err := Next(data, hosts, now)
	if err != nil {
		t.Fatal(err)
	}
	if step != want {
		t.Fatalf("step %q at %s, want %q", step, now, want)
	}
	if !maps.EqualFunc(before, data, bytes.Equal) {
		t.Error("Next changed the data that it was given")
	}
	return out
}

// trusts tells whether whoever reads the authority from one Secret accepts the certificate in another.
func trusts(t *testing.T, reader, server map[string][]byte, now time.Time) bool {
	t.Helper()
	pair, err := tls.X509KeyPair(server[KeyCert], server[KeyKey])
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(reader[KeyCA])
	_, err = pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: hosts[0], CurrentTime: now})
	return err == nil
}

// accepts tells whether a responder that reads one Secret accepts the token of a client that reads another.
func accepts(server, client map[string][]byte) bool {
	return bytes.Equal(client[KeyToken], server[KeyToken]) || bytes.Equal(client[KeyToken], server[KeyTokenPrevious])
}

func TestIssuedCredentialsServeEveryHostForAYear(t *testing.T) {
	data := mustNext(t, nil, start, StepIssued)
	raw, err := base64.RawURLEncoding.DecodeString(string(data[KeyToken]))
	if err != nil || len(raw) != 32 {
		t.Errorf("token has %d bytes (%v), want 32", len(raw), err)
	}
	block, _ := pem.Decode(data[KeyCert])
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range hosts {
		if err := cert.VerifyHostname(host); err != nil {
			t.Error(err)
		}
	}
	if cert.PublicKeyAlgorithm != x509.ECDSA || !cert.NotAfter.Equal(start.Add(365*24*time.Hour)) {
		t.Errorf("certificate is %s until %s", cert.PublicKeyAlgorithm, cert.NotAfter)
	}
	if !trusts(t, data, data, start) {
		t.Error("the authority does not verify the certificate")
	}
	mustNext(t, data, start.Add(time.Hour), StepNone)
}

func TestRotationLocksNobodyOut(t *testing.T) {
	old := mustNext(t, nil, start, StepIssued)
	mustNext(t, old, start.Add(243*24*time.Hour), StepNone)
	due := start.Add(244 * 24 * time.Hour)
	prepared := mustNext(t, old, due, StepPrepared)
	mustNext(t, prepared, due.Add(30*time.Minute), StepNone)
	rotated := mustNext(t, prepared, due.Add(time.Hour), StepRotated)
	mustNext(t, rotated, due.Add(24*time.Hour), StepNone)

	for _, pair := range []struct {
		name           string
		server, client map[string][]byte
	}{
		{"client late to the preparation", prepared, old},
		{"server late to the preparation", old, prepared},
		{"client late to the rotation", rotated, prepared},
		{"server late to the rotation", prepared, rotated},
	} {
		if !trusts(t, pair.client, pair.server, due) {
			t.Errorf("%s: the certificate is refused", pair.name)
		}
		if !accepts(pair.server, pair.client) {
			t.Errorf("%s: the token is refused", pair.name)
		}
	}
	if bytes.Equal(old[KeyToken], rotated[KeyToken]) || bytes.Equal(old[KeyCert], rotated[KeyCert]) {
		t.Error("the rotation kept the old token or certificate")
	}
	again := mustNext(t, rotated, due.Add(244*24*time.Hour), StepPrepared)
	if n := bytes.Count(again[KeyCA], []byte("BEGIN CERTIFICATE")); n != 2 {
		t.Errorf("the authorities grow to %d with each rotation, want 2", n)
	}
}

func TestUnusableCredentialsAreIssuedAnew(t *testing.T) {
	good := mustNext(t, nil, start, StepIssued)
	other := mustNext(t, nil, start, StepIssued)
	for name, break_ := range map[string]func(map[string][]byte){
		"no token":               func(d map[string][]byte) { delete(d, KeyToken) },
		"no key":                 func(d map[string][]byte) { delete(d, KeyKey) },
		"garbage certificate":    func(d map[string][]byte) { d[KeyCert] = []byte("x") },
		"somebody else's key":    func(d map[string][]byte) { d[KeyKey] = other[KeyKey] },
		"an unrelated authority": func(d map[string][]byte) { d[KeyCA] = other[KeyCA] },
	} {
		t.Run(name, func(t *testing.T) {
			data := maps.Clone(good)
			break_(data)
			if fresh := mustNext(t, data, start, StepIssued); !trusts(t, fresh, fresh, start) {
				t.Error("the new certificate is not trusted")
			}
		})
	}
	t.Run("expired", func(t *testing.T) { mustNext(t, good, start.Add(366*24*time.Hour), StepIssued) })
	t.Run("other host", func(t *testing.T) {
		if _, step, err := Next(good, []string{"else.kubebot.svc"}, start); err != nil || step != StepIssued {
			t.Errorf("step %q, error %v", step, err)
		}
	})
}

func TestTheGrafanaPasswordIsMadeOnceAndKept(t *testing.T) {
	issued := mustNext(t, nil, start, StepIssued)
	password := issued[KeyGrafanaPassword]
	if raw, err := base64.RawURLEncoding.DecodeString(string(password)); err != nil || len(raw) != 32 || bytes.Equal(password, issued[KeyToken]) {
		t.Fatalf("password of %d bytes (%v), want 32 of its own", len(raw), err)
	}
	due := start.Add(244 * 24 * time.Hour)
	prepared := mustNext(t, issued, due, StepPrepared)
	rotated := mustNext(t, prepared, due.Add(time.Hour), StepRotated)
	expired := mustNext(t, issued, start.Add(366*24*time.Hour), StepIssued)
	for name, later := range map[string]map[string][]byte{"prepared": prepared, "rotated": rotated, "expired": expired} {
		if !bytes.Equal(later[KeyGrafanaPassword], password) {
			t.Errorf("%s: Grafana's password changed, and Grafana would not know", name)
		}
	}
	older := maps.Clone(issued)
	delete(older, KeyGrafanaPassword)
	completed := mustNext(t, older, start, StepCompleted)
	if len(completed[KeyGrafanaPassword]) == 0 || !bytes.Equal(completed[KeyToken], issued[KeyToken]) || !bytes.Equal(completed[KeyCert], issued[KeyCert]) {
		t.Error("the Secret of an older KubeBot was not completed, or more than that was changed")
	}
}
