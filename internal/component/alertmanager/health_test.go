package alertmanager

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/credentials"
	"github.com/kubebot/kubebot/internal/testutil/golden"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func input(am v1alpha1.AlertmanagerSpec) component.Input {
	kb := &v1alpha1.KubeBot{ObjectMeta: metav1.ObjectMeta{Name: "main", Namespace: "kubebot"}}
	kb.Spec.Metrics.Alertmanager = am
	return golden.Input(kb)
}

var external = v1alpha1.AlertmanagerSpec{Mode: v1alpha1.ModeExternal, External: &v1alpha1.ExternalEndpoint{URL: "http://am.example.com"}}

func live(age time.Duration, conditions ...monitoringv1.Condition) []client.Object {
	return []client.Object{&monitoringv1.Alertmanager{
		ObjectMeta: metav1.ObjectMeta{Name: "main-alertmanager", Namespace: "kubebot", CreationTimestamp: metav1.NewTime(now.Add(-age))},
		Status:     monitoringv1.AlertmanagerStatus{Conditions: conditions},
	}}
}

func answer(t *testing.T, config string) map[string]component.Answer {
	t.Helper()
	body, err := json.Marshal(map[string]any{"config": map[string]string{"original": config}})
	if err != nil {
		t.Fatalf("marshal the answer: %v", err)
	}
	return map[string]component.Answer{keyStatus: {Status: 200, Body: body}}
}

func TestHealth(t *testing.T) {
	reconciled := monitoringv1.Condition{Type: monitoringv1.Reconciled, Status: monitoringv1.ConditionTrue}
	refused := monitoringv1.Condition{Type: monitoringv1.Reconciled, Status: monitoringv1.ConditionFalse, Message: "no such storage class"}
	ours := "receivers: [{name: kubebot-responder}]"
	for name, c := range map[string]struct {
		spec   v1alpha1.AlertmanagerSpec
		seen   component.Observed
		status metav1.ConditionStatus
		reason string
		part   string
	}{
		"switched off":                         {v1alpha1.AlertmanagerSpec{Mode: v1alpha1.ModeDisabled}, component.Observed{}, metav1.ConditionFalse, v1alpha1.ReasonDisabled, "mode"},
		"not applied yet":                      {v1alpha1.AlertmanagerSpec{}, component.Observed{}, metav1.ConditionFalse, v1alpha1.ReasonProgressing, "does not exist"},
		"operator is slow":                     {v1alpha1.AlertmanagerSpec{}, component.Observed{Objects: live(time.Second)}, metav1.ConditionFalse, v1alpha1.ReasonProgressing, "yet"},
		"operator is absent":                   {v1alpha1.AlertmanagerSpec{}, component.Observed{Objects: live(time.Hour)}, metav1.ConditionFalse, v1alpha1.ReasonOperatorNotActing, "prometheusOperator.install"},
		"operator refuses":                     {v1alpha1.AlertmanagerSpec{}, component.Observed{Objects: live(time.Hour, refused)}, metav1.ConditionFalse, v1alpha1.ReasonNotAnswering, "no such storage class"},
		"pod can't pull its image":             {v1alpha1.AlertmanagerSpec{}, component.Observed{Objects: live(time.Hour, reconciled), Pods: pulling()}, metav1.ConditionFalse, v1alpha1.ReasonProgressing, "alertmanager: ImagePullBackOff"},
		"answers with an error":                {v1alpha1.AlertmanagerSpec{}, component.Observed{Objects: live(time.Hour, reconciled), Answers: map[string]component.Answer{keyStatus: {Status: 500}}}, metav1.ConditionFalse, v1alpha1.ReasonNotAnswering, "500"},
		"answers nonsense":                     {v1alpha1.AlertmanagerSpec{}, component.Observed{Objects: live(time.Hour, reconciled), Answers: map[string]component.Answer{keyStatus: {Status: 200, Body: []byte("<html>")}}}, metav1.ConditionFalse, v1alpha1.ReasonNotAnswering, "format"},
		"knows the responder":                  {v1alpha1.AlertmanagerSpec{}, component.Observed{Objects: live(time.Hour, reconciled), Answers: answer(t, ours)}, metav1.ConditionTrue, v1alpha1.ReasonReady, "knows"},
		"has another configuration":            {v1alpha1.AlertmanagerSpec{}, component.Observed{Objects: live(time.Hour, reconciled), Answers: answer(t, "receivers: [{name: mail}]")}, metav1.ConditionFalse, v1alpha1.ReasonReceiverUnknown, "config-reloader"},
		"external is not there":                {external, component.Observed{}, metav1.ConditionFalse, v1alpha1.ReasonNotAnswering, "external.url"},
		"external does not know the responder": {external, component.Observed{Answers: answer(t, "receivers: [{name: mail}]")}, metav1.ConditionFalse, v1alpha1.ReasonReceiverUnknown, "https://main-responder.kubebot.svc:8443/api/v1/alerts"},
		"external knows the responder":         {external, component.Observed{Answers: answer(t, ours)}, metav1.ConditionTrue, v1alpha1.ReasonReady, "knows"},
	} {
		t.Run(name, func(t *testing.T) {
			c.seen.Now = now
			got := Component{}.Health(input(c.spec), c.seen)
			if got.Status != c.status || got.Reason != c.reason || !strings.Contains(got.Message, c.part) {
				t.Errorf("Health = %s %s %q, want %s %s and a message with %q", got.Status, got.Reason, got.Message, c.status, c.reason, c.part)
			}
		})
	}
}

func pulling() []corev1.Pod {
	return []corev1.Pod{{Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{
		Name: "alertmanager", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff"}},
	}}}}}
}

func TestStorageEphemeralIsSaidOnlyOfAnEmptyDir(t *testing.T) {
	in := golden.Load(t, filepath.Join("testdata", "storage", "in.yaml"))
	if extra := (Component{}).Health(in, component.Observed{}).Extra; len(extra) != 0 {
		t.Errorf("with a volume claim: %v", extra)
	}
	extra := Component{}.Health(input(v1alpha1.AlertmanagerSpec{}), component.Observed{}).Extra
	if len(extra) != 1 || extra[0].Type != v1alpha1.ConditionStorageEphemeral || extra[0].Status != metav1.ConditionTrue {
		t.Errorf("with an emptyDir: %v", extra)
	}
	if extra := (Component{}).Health(input(external), component.Observed{}).Extra; len(extra) != 0 {
		t.Errorf("of an external one: %v", extra)
	}
}

func TestARealAlertmanagerKnowsTheResponder(t *testing.T) {
	program := golden.Program(t, "alertmanager")
	in := input(v1alpha1.AlertmanagerSpec{})
	data, err := marshal(newConfig(in))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	// Alertmanager reads the authority when it starts: the one here is that of Go's test servers.
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	for file, content := range map[string][]byte{
		keyConfig:            bytes.ReplaceAll(data, []byte(credentialsDir(in.KubeBot)), []byte(dir)),
		credentials.KeyCA:    pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}),
		credentials.KeyToken: []byte("token"),
	} {
		if err := os.WriteFile(filepath.Join(dir, file), content, 0o600); err != nil {
			t.Fatalf("write %s: %v", file, err)
		}
	}
	base := golden.Start(t, dir, program, "/-/ready", func(address string) []string {
		return []string{"--config.file=" + keyConfig, "--storage.path=" + dir, "--cluster.listen-address=", "--web.listen-address=" + address}
	})
	health := Component{}.Health(in, component.Observed{
		Now: now, Objects: live(time.Hour), Answers: map[string]component.Answer{keyStatus: golden.Ask(t, base+"/api/v2/status")},
	})
	if health.Status != metav1.ConditionTrue {
		t.Errorf("Health = %s %s %q, want true", health.Status, health.Reason, health.Message)
	}
}
