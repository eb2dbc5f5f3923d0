package responder

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/yaml"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/credentials"
	"github.com/kubebot/kubebot/internal/notify"
	"github.com/kubebot/kubebot/internal/pipeline"
	"github.com/kubebot/kubebot/internal/pipeline/config"
	"github.com/kubebot/kubebot/internal/testutil/apitest"
	"github.com/kubebot/kubebot/internal/testutil/golden"
)

var (
	apiServer *rest.Config
	api       client.Client
)

func TestMain(m *testing.M) {
	log.SetLogger(logr.Discard())
	os.Exit(apitest.Main(m, func(c *rest.Config) {
		apiServer = c
		scheme := runtime.NewScheme()
		for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
			if err := add(scheme); err != nil {
				panic(err)
			}
		}
		var err error
		if api, err = client.New(c, client.Options{Scheme: scheme}); err != nil {
			panic(err)
		}
	}, "bases"))
}

const token = "the-token"

// recorder is a sink that remembers what it was given and answers as told.
type recorder struct {
	mu     sync.Mutex
	got    []notify.Message
	answer func(notify.Message) notify.Result
	reason string
}

func (r *recorder) Send(_ context.Context, msg notify.Message) notify.Result {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = append(r.got, msg)
	if r.answer != nil {
		return r.answer(msg)
	}
	return notify.Result{Outcome: notify.Delivered, Word: "Delivered", Head: notify.Ref{Channel: "C1", ID: string(msg.Incident.UID)}}
}

func (r *recorder) Check(context.Context) (string, string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.reason, ""
}

// messages returns a copy of what came.
func (r *recorder) messages() []notify.Message {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]notify.Message(nil), r.got...)
}

// rig is a KubeBot in a namespace of its own, and how to start responders for it.
type rig struct {
	t         *testing.T
	namespace string
	config    config.Config
	dir       string
	sink      *recorder
	roots     *x509.CertPool
	// analyse looks for causes; nil looks for none.
	analyse pipeline.Analyst
	// with changes the options of responders; nil changes nothing.
	with func(*Options)
}

func newRig(t *testing.T, change func(*config.Config)) *rig {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "responder-"}}
	require.NoError(t, api.Create(t.Context(), ns))
	kb := &v1alpha1.KubeBot{ObjectMeta: metav1.ObjectMeta{Name: "main", Namespace: ns.Name}}
	require.NoError(t, api.Create(t.Context(), kb))
	r := &rig{t: t, namespace: ns.Name, dir: t.TempDir(), sink: &recorder{}, roots: x509.NewCertPool()}
	r.config = config.Config{KubeBot: kb.Name, Namespace: ns.Name, UID: string(kb.UID), ClusterName: "test", RootCause: v1alpha1.SwitchDisabled,
		Receivers: []v1alpha1.Receiver{{Name: "oncall", Webhook: &v1alpha1.WebhookReceiver{URL: "http://example.com"}}}}
	if change != nil {
		change(&r.config)
	}
	data, err := yaml.Marshal(r.config)
	require.NoError(t, err)
	r.write("responder.yaml", data)
	r.write(credentials.KeyToken, []byte(token+"\n"))
	r.certificate()
	return r
}

func (r *rig) write(name string, data []byte) {
	require.NoError(r.t, os.WriteFile(filepath.Join(r.dir, name), data, 0o600))
}

func (r *rig) certificate() {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(r.t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(r.t, err)
	private, err := x509.MarshalECPrivateKey(key)
	require.NoError(r.t, err)
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	r.write(credentials.KeyCert, cert)
	r.write(credentials.KeyKey, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: private}))
	require.True(r.t, r.roots.AppendCertsFromPEM(cert))
}

// replica is a running responder.
type replica struct {
	rig    *rig
	url    string
	probes string
	stop   func()
}

// start runs a responder until the test or stop ends it, and waits until it is ready.
func (r *rig) start(name string) *replica {
	r.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	address, probes := golden.FreeAddress(r.t), golden.FreeAddress(r.t)
	o := Options{
		ConfigFile: filepath.Join(r.dir, "responder.yaml"), Listen: address, HealthProbeBindAddress: probes, MetricsBindAddress: "0",
		CredentialsDir: r.dir, PodName: name, PodNamespace: r.namespace, REST: apiServer, Registry: prometheus.NewRegistry(),
		Sinks:   map[string]SinkFactory{typeWebhook: func(v1alpha1.Receiver, string) (notify.Sink, error) { return r.sink, nil }},
		Analyse: r.analyse, Log: logr.Discard(),
	}
	if r.with != nil {
		r.with(&o)
	}
	done := make(chan error, 1)
	go func() { done <- Run(ctx, o) }()
	p := &replica{rig: r, url: "https://" + address, probes: "http://" + probes, stop: sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			r.t.Errorf("responder %s: %v", name, err)
		}
	})}
	r.t.Cleanup(p.stop)
	require.Eventually(r.t, func() bool {
		response, err := http.Get(p.probes + "/readyz")
		if err != nil {
			return false
		}
		defer response.Body.Close()
		return response.StatusCode == http.StatusOK
	}, 20*time.Second, 20*time.Millisecond)
	require.Eventually(r.t, func() bool { return p.post("x", nil) == http.StatusUnauthorized }, 10*time.Second, 20*time.Millisecond)
	return p
}

func (p *replica) client() *http.Client {
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: p.rig.roots}, DisableKeepAlives: true}}
}

// post sends a body to the webhook and returns the status, 0 for no answer.
func (p *replica) post(bearer string, body []byte) int {
	request, err := http.NewRequest(http.MethodPost, p.url+"/api/v1/alerts", bytes.NewReader(body))
	if err != nil {
		return 0
	}
	request.Header.Set("Authorization", "Bearer "+bearer)
	response, err := p.client().Do(request)
	if err != nil {
		return 0
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body)
	return response.StatusCode
}

// alert is one alert of a webhook body.
type alert struct {
	Status      string            `json:"status"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	StartsAt    time.Time         `json:"startsAt"`
	EndsAt      time.Time         `json:"endsAt"`
}

func body(t *testing.T, alerts ...alert) []byte {
	data, err := json.Marshal(map[string]any{"version": "4", "receiver": "kubebot", "alerts": alerts})
	require.NoError(t, err)
	return data
}

func down(workload, status string) alert {
	return alert{Status: status, StartsAt: time.Now().Add(-time.Minute).Truncate(time.Second), EndsAt: time.Now(),
		Labels: map[string]string{"alertname": "WorkloadDown", "severity": "critical", "namespace": "shop",
			"workload_kind": "Deployment", "workload": workload},
		Annotations: map[string]string{"summary": "Deployment shop/" + workload + " has no ready replica"}}
}

// incidents of the rig's KubeBot.
func (r *rig) incidents() []v1alpha1.Incident {
	var list v1alpha1.IncidentList
	require.NoError(r.t, api.List(context.Background(), &list, client.InNamespace(r.namespace)))
	return list.Items
}

// report asks the replica about itself, as the manager does.
func (p *replica) report(t *testing.T) config.Report {
	request, err := http.NewRequest(http.MethodGet, p.url+"/api/v1/status", nil)
	require.NoError(t, err)
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := p.client().Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	require.Equal(t, http.StatusOK, response.StatusCode)
	var report config.Report
	require.NoError(t, json.NewDecoder(response.Body).Decode(&report))
	return report
}
