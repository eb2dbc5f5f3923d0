package cluster

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
	"os"
	"path/filepath"
	"time"
)

// validity is longer than any cluster of tests lives.
const validity = 365 * 24 * time.Hour

type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// certificate is one leaf to issue.
type certificate struct {
	file, cn string
	orgs     []string
	server   bool
	names    []string
	ips      []string
}

// writePKI makes the cluster's authorities, certificates and the key pair of
// service account tokens in the folder pki.
func writePKI(p Plan) error {
	dir := p.Path("pki")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make %s: %w", dir, err)
	}
	ca, err := newAuthority(dir, "ca", "kubebot-cluster-"+p.Name)
	if err != nil {
		return err
	}
	front, err := newAuthority(dir, "front-proxy-ca", "kubebot-cluster-front-proxy")
	if err != nil {
		return err
	}
	for _, c := range leaves(p) {
		if err := ca.issue(dir, c); err != nil {
			return err
		}
	}
	if err := front.issue(dir, certificate{file: "front-proxy-client", cn: "front-proxy-client"}); err != nil {
		return err
	}
	return writeTokenKeys(dir)
}

func leaves(p Plan) []certificate {
	loopback := []string{"127.0.0.1", "::1"}
	return []certificate{
		{
			file: "apiserver", cn: "kube-apiserver", server: true,
			names: []string{
				"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc",
				"kubernetes.default.svc.cluster.local", p.NodeName(),
			},
			ips: append(loopback, p.NodeIP(), p.ServiceIP()),
		},
		{file: "etcd", cn: "etcd", server: true, names: []string{"localhost"}, ips: loopback},
		{
			file: "kubelet-server", cn: "system:node:" + p.NodeName(), orgs: []string{"system:nodes"}, server: true,
			names: []string{p.NodeName()}, ips: append(loopback, p.NodeIP()),
		},
		{file: "admin", cn: "kubernetes-admin", orgs: []string{"system:masters"}},
		{file: "cluster", cn: "kubebot-cluster", orgs: []string{"system:masters"}},
		{file: "apiserver-etcd", cn: "kube-apiserver-etcd-client"},
		{file: "apiserver-kubelet", cn: "kube-apiserver-kubelet-client", orgs: []string{"system:masters"}},
		{file: "kubelet", cn: "system:node:" + p.NodeName(), orgs: []string{"system:nodes"}},
		{file: "controller-manager", cn: "system:kube-controller-manager"},
		{file: "scheduler", cn: "system:kube-scheduler"},
		{file: "kube-proxy", cn: "system:kube-proxy"},
	}
}

func newAuthority(dir, file, cn string) (authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return authority{}, fmt.Errorf("make the key of %s: %w", cn, err)
	}
	template, err := newTemplate(cn)
	if err != nil {
		return authority{}, err
	}
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return authority{}, fmt.Errorf("sign %s: %w", cn, err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return authority{}, fmt.Errorf("sign %s: %w", cn, err)
	}
	return authority{cert, key}, writePair(dir, file, der, key)
}

func (a authority) issue(dir string, c certificate) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make the key of %s: %w", c.cn, err)
	}
	template, err := newTemplate(c.cn)
	if err != nil {
		return err
	}
	template.Subject.Organization = c.orgs
	template.KeyUsage = x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	if c.server {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	}
	template.DNSNames = c.names
	for _, ip := range c.ips {
		template.IPAddresses = append(template.IPAddresses, net.ParseIP(ip))
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		return fmt.Errorf("sign %s: %w", c.cn, err)
	}
	return writePair(dir, c.file, der, key)
}

func newTemplate(cn string) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, fmt.Errorf("make a serial number: %w", err)
	}
	// An hour back, for clocks that are set during the run.
	now := time.Now().Add(-time.Hour)
	return &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: cn},
		NotBefore: now, NotAfter: now.Add(validity),
	}, nil
}

func writePair(dir, file string, der []byte, key *ecdsa.PrivateKey) error {
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return fmt.Errorf("encode the key of %s: %w", file, err)
	}
	if err := writePEM(filepath.Join(dir, file+".crt"), "CERTIFICATE", der); err != nil {
		return err
	}
	return writePEM(filepath.Join(dir, file+".key"), "EC PRIVATE KEY", keyDER)
}

func writeTokenKeys(dir string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make the service account key: %w", err)
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return fmt.Errorf("encode the service account key: %w", err)
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return fmt.Errorf("encode the service account key: %w", err)
	}
	if err := writePEM(filepath.Join(dir, "sa.key"), "EC PRIVATE KEY", private); err != nil {
		return err
	}
	return writePEM(filepath.Join(dir, "sa.pub"), "PUBLIC KEY", public)
}

func writePEM(file, kind string, der []byte) error {
	data := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	if err := os.WriteFile(file, data, 0o600); err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	return nil
}
