// Package credentials names what the generated Secret of a KubeBot holds. The Secret is <kubebot>-credentials, in the
// KubeBot's namespace; the manager makes it and rotates it before the certificate ends.
package credentials

// Keys of the generated Secret's data.
const (
	// KeyToken is the bearer token that Alertmanager and the manager send to the responder.
	KeyToken = "token"
	// KeyTokenPrevious is the token before the last rotation; the responder accepts it too.
	KeyTokenPrevious = "token-previous"
	// KeyCA is the certificate authority in PEM that signed the responder's certificate.
	KeyCA = "ca.crt"
	// KeyCert is the responder's serving certificate in PEM.
	KeyCert = "tls.crt"
	// KeyKey is the private key of KeyCert in PEM.
	KeyKey = "tls.key"
	// KeyGrafanaPassword is the password of the user admin of a managed Grafana. Grafana takes it when it makes its
	// database and never again, so it stays when everything else is renewed.
	KeyGrafanaPassword = "grafana-admin-password"
)

// SecretSuffix is what follows the KubeBot's name in the name of the Secret.
const SecretSuffix = "credentials"
