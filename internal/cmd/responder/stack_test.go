package responder

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/notify"
	"github.com/kubebot/kubebot/internal/notify/notifytest"
	"github.com/kubebot/kubebot/internal/notify/secretfile"
)

func podAt(namespace, name string, change func(*corev1.Pod), ips ...string) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Status: corev1.PodStatus{Phase: corev1.PodRunning}}
	for _, ip := range ips {
		p.Status.PodIPs = append(p.Status.PodIPs, corev1.PodIP{IP: ip})
	}
	if change != nil {
		change(p)
	}
	return p
}

func serviceAt(namespace, name string, ips ...string) *corev1.Service {
	return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: corev1.ServiceSpec{ClusterIPs: ips}}
}

func TestWhichAddressesAreTheStacks(t *testing.T) {
	now, broken := time.Now(), false
	c := fake.NewClientBuilder().WithObjects(
		serviceAt("kubebot", "a", "10.96.0.7", "fd00::7"), serviceAt("kubebot", "headless", corev1.ClusterIPNone), serviceAt("shop", "b", "10.96.0.8"),
		podAt("kubebot", "a", nil, "10.244.0.7", "fd01::7"), podAt("shop", "b", nil, "10.244.0.8"),
		podAt("kubebot", "agent", func(p *corev1.Pod) { p.Spec.HostNetwork = true }, "192.0.2.1"),
		podAt("kubebot", "job", func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded }, "10.244.0.9"),
	).WithInterceptorFuncs(interceptor.Funcs{List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, o ...client.ListOption) error {
		if broken {
			return errors.New("broken")
		}
		return c.List(ctx, list, o...)
	}}).Build()
	s := &stack{reader: c, namespace: "kubebot", now: func() time.Time { return now }}
	check := func(address string, want bool) {
		t.Helper()
		if got, err := s.has(t.Context(), netip.MustParseAddr(address)); err != nil || got != want {
			t.Errorf("%s: %v %v, want %v", address, got, err, want)
		}
	}
	for address, want := range map[string]bool{
		"10.96.0.7": true, "::ffff:10.96.0.7": true, "fd00::7": true, "10.96.0.8": false, "10.244.0.7": true, "fd01::7": true, "10.244.0.8": false,
		"192.0.2.1": false, "10.244.0.9": false, "192.0.2.2": false,
	} {
		check(address, want)
	}
	require.NoError(t, c.Create(t.Context(), podAt("kubebot", "new", nil, "10.244.0.10")))
	now = now.Add(stackFor)
	check("10.244.0.10", true)
	broken = true
	now = now.Add(stackFor)
	if _, err := s.has(t.Context(), netip.MustParseAddr("192.0.2.2")); err == nil {
		t.Error("an address passed though nobody knows whose it is")
	}
}

// A team can't use the responder, which the NetworkPolicies of the stack let in, to call the stack. The KubeBot's own
// receivers may be there.
func TestReceiversOfTeamsDoNotLeadIntoTheStack(t *testing.T) {
	r := newRig(t, nil)
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: r.namespace, Name: "main-prometheus"},
		Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 9090}}}}
	require.NoError(t, api.Create(t.Context(), service))
	p, err := build(Options{ConfigFile: r.dir + "/responder.yaml", CredentialsDir: r.dir, PodName: "a", PodNamespace: r.namespace, REST: apiServer,
		Registry: prometheus.NewRegistry(), Log: logr.Discard()})
	require.NoError(t, err)
	address := service.Spec.ClusterIP + ":9090"
	nothing := func(*v1alpha1.SecretKeyRef) secretfile.Ref { return secretfile.Ref{} }
	receivers := map[string]v1alpha1.Receiver{
		typeWebhook: {Webhook: &v1alpha1.WebhookReceiver{URL: "http://" + address + "/-/quit"}},
		typeEmail:   {Email: &v1alpha1.EmailReceiver{Server: address, TLS: v1alpha1.EmailNoTLS, From: "a@example.com", To: []string{"b@example.com"}}},
	}
	for kind, receiver := range receivers {
		made, err := p.teams.Make(receiver, "shop/alerts/"+kind, nothing)
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		got := made.Sink.Send(ctx, notifytest.Message())
		require.Equal(t, notify.Refused, got.Outcome, "%s: %+v", kind, got)
		require.Equal(t, "TargetForbidden", got.Word, kind)
	}
	own, err := Sinks(Making{API: p.api})[typeWebhook](receivers[typeWebhook], "prod")
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	require.NotEqual(t, "TargetForbidden", own.Send(ctx, notifytest.Message()).Word)
}
