package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/test/stack"
)

// Names that the shop's manifests have, and the Secret in which the authority is kept between runs with -attach.
const (
	servingSecret = "payment-tls"
	authorityMap  = "payment-ca"
	issuerSecret  = "payment-issuer"
)

const (
	// validLong is how long a good certificate is valid, and the authority.
	validLong = 30 * 24 * time.Hour
	// validShort is how long the one that expires is still valid when it is put in place. Kubelet brings it to the pod
	// within 10 seconds (--sync-frequency), and connections end after 30.
	validShort = 20 * time.Second
	// validBefore is how long a certificate has been valid.
	validBefore = time.Hour
)

// setUpTLS gives the shop's payment a certificate before the shop is deployed.
func (b *bench) setUpTLS(ctx context.Context) error {
	if _, err := b.Kubectl(ctx, "apply", "-f", filepath.Join(b.Root, "test", "shop", "manifests", "namespace.yaml")); err != nil {
		return err
	}
	certificate, key, err := newAuthority(time.Now())
	if err != nil {
		return err
	}
	if err := b.put(ctx, &corev1.Secret{ObjectMeta: inShop(issuerSecret), Type: corev1.SecretTypeTLS,
		Data: map[string][]byte{corev1.TLSCertKey: certificate, corev1.TLSPrivateKeyKey: key}}); err != nil {
		return err
	}
	if err := b.put(ctx, &corev1.ConfigMap{ObjectMeta: inShop(authorityMap), Data: map[string]string{"ca.crt": string(certificate)}}); err != nil {
		return err
	}
	return b.certify(ctx, validLong)
}

// certificateFor puts a certificate in place that is valid for a time from now on.
func certificateFor(valid time.Duration) func(context.Context, *bench) error {
	return func(ctx context.Context, b *bench) error { return b.certify(ctx, valid) }
}

func (b *bench) certify(ctx context.Context, valid time.Duration) error {
	var issuer corev1.Secret
	if err := b.Client.Get(ctx, client.ObjectKey{Namespace: stack.ShopNamespace, Name: issuerSecret}, &issuer); err != nil {
		return fmt.Errorf("find who issues the shop's certificates: %w", err)
	}
	certificate, key, err := issue(issuer.Data[corev1.TLSCertKey], issuer.Data[corev1.TLSPrivateKeyKey], time.Now(), valid)
	if err != nil {
		return err
	}
	return b.put(ctx, &corev1.Secret{ObjectMeta: inShop(servingSecret), Type: corev1.SecretTypeTLS,
		Data: map[string][]byte{corev1.TLSCertKey: certificate, corev1.TLSPrivateKeyKey: key}})
}

func inShop(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: stack.ShopNamespace, Name: name, Labels: map[string]string{"app.kubernetes.io/part-of": "shop"}}
}

// put makes an object, or replaces it.
func (b *bench) put(ctx context.Context, o client.Object) error {
	err := b.Client.Create(ctx, o)
	if apierrors.IsAlreadyExists(err) {
		err = b.Client.Update(ctx, o)
	}
	if err != nil {
		return fmt.Errorf("put %s: %w", o.GetName(), err)
	}
	return nil
}

// newAuthority makes a certificate authority: its certificate and its key in PEM.
func newAuthority(now time.Time) (certificate, key []byte, err error) {
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make an authority: %w", err)
	}
	template := &x509.Certificate{Subject: pkix.Name{CommonName: "shop"}, NotBefore: now.Add(-validBefore), NotAfter: now.Add(validLong),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	return sign(template, template, signer, signer)
}

// issue makes a certificate for the shop's payment that is valid for a time from now on.
func issue(caCertificate, caKey []byte, now time.Time, valid time.Duration) (certificate, key []byte, err error) {
	authority, err := tls.X509KeyPair(caCertificate, caKey)
	if err != nil {
		return nil, nil, fmt.Errorf("read the authority: %w", err)
	}
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make a certificate: %w", err)
	}
	signer, ok := authority.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return nil, nil, fmt.Errorf("read the authority: its key is a %T", authority.PrivateKey)
	}
	const service = "payment"
	namespaced := service + "." + stack.ShopNamespace
	template := &x509.Certificate{Subject: pkix.Name{CommonName: service}, NotBefore: now.Add(-validBefore), NotAfter: now.Add(valid),
		DNSNames:    []string{service, namespaced, namespaced + ".svc", namespaced + ".svc.cluster.local"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, KeyUsage: x509.KeyUsageDigitalSignature}
	return sign(template, authority.Leaf, own, signer)
}

// sign returns a certificate with its key, in PEM.
func sign(template, parent *x509.Certificate, own, signer *ecdsa.PrivateKey) (certificate, key []byte, err error) {
	if template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)); err != nil {
		return nil, nil, fmt.Errorf("make a certificate: %w", err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, own.Public(), signer)
	if err != nil {
		return nil, nil, fmt.Errorf("make a certificate: %w", err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(own)
	if err != nil {
		return nil, nil, fmt.Errorf("make a certificate: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), nil
}
