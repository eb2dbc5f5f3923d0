package enrich

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/diagnosis"
	"github.com/kubebot/kubebot/internal/rca"
)

const expiredStatus = `connection error: desc = "transport: authentication handshake failed: tls: failed to verify certificate: x509: certificate has expired or is not yet valid: current time 2026-03-01T12:00:00Z is after 2026-03-01T11:58:00Z"`

// failedCall is telemetry of one call that a service made.
func failedCall(from, to, message string, at time.Time) reading {
	t := NewTelemetry()
	rs := t.Traces.ResourceSpans().AppendEmpty()
	rs.Resource().Attributes().PutStr("service.name", from)
	s := rs.ScopeSpans().AppendEmpty().Spans().AppendEmpty()
	s.SetKind(ptrace.SpanKindClient)
	s.SetStartTimestamp(pcommon.NewTimestampFromTime(at))
	s.Status().SetCode(ptrace.StatusCodeError)
	s.Status().SetMessage(message)
	s.Attributes().PutStr("server.address", to)
	t.Homes["payment"] = diagnosis.Object{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "shop", Name: "payment"}
	return reading{Telemetry: t}
}

const charge = "shop.v1.Payment/Charge"

// nameless is a failed call of which the span tells no address, as gRPC makes it.
func nameless(from string, at time.Time) reading {
	r := failedCall(from, "", expiredStatus, at)
	r.Traces.ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0).SetName(charge)
	return r
}

// answered is telemetry of such a call that was well: by an address, which names nobody.
func answered(from, by string, at time.Time) reading {
	r := failedCall(from, "10.150.136.23", "", at)
	call := r.Traces.ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0)
	call.SetName(charge)
	call.SetSpanID(pcommon.SpanID{1})
	call.Status().SetCode(ptrace.StatusCodeUnset)
	rs := r.Traces.ResourceSpans().AppendEmpty()
	rs.Resource().Attributes().PutStr("service.name", by)
	s := rs.ScopeSpans().AppendEmpty().Spans().AppendEmpty()
	s.SetKind(ptrace.SpanKindServer)
	s.SetName(charge)
	s.SetParentSpanID(pcommon.SpanID{1})
	s.SetStartTimestamp(pcommon.NewTimestampFromTime(at))
	return r
}

func TestSpansTellWhoseCertificateIsRefused(t *testing.T) {
	caller := diagnosis.Object{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "shop", Name: "checkout"}
	f := facts(noon.Add(-24 * time.Hour))
	f.Subject, f.Workload, f.ReplicaSets = caller, diagnosis.Workload{Object: caller}, nil
	f.Services = []corev1.Service{{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "payment"}}, {ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "cart"}}}
	found := diagnosis.Finding{Detector: "certificate", Kind: diagnosis.KindCertificate, Object: caller, Score: diagnosis.ScoreStrong,
		Sentence: "A certificate that is presented to Deployment checkout has expired: it was valid until 2026-03-01T11:58:00Z", Evidence: []string{"log of pod checkout-1"}}
	d := []Diagnosis{{Facts: f, Findings: []diagnosis.Finding{found}, Path: []string{"checkout"}}}
	blame := &rca.Result{Causes: []rca.Cause{{Workload: "checkout", Kind: rca.KindCode, Score: 0.93, Evidence: []rca.Evidence{{Detector: "flow", Text: "calls fail"}}}}}

	causes := told(asked, d, blame, collect([]reading{
		failedCall("checkout", "payment", expiredStatus, noon), failedCall("checkout", "payment", expiredStatus, noon),
		failedCall("checkout", "cart", "deadline exceeded", noon), failedCall("frontend", "cart", expiredStatus, noon)}))
	require.NotEmpty(t, causes)
	first := causes[0]
	assert.Equal(t, v1alpha1.CauseObject{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "shop", Name: "payment"}, first.Object)
	assert.EqualValues(t, "certificate", first.Kind)
	assert.EqualValues(t, 90, first.ScorePercent)
	assert.Equal(t, "The certificate that Deployment payment presents to Deployment checkout has expired: it was valid until 2026-03-01T11:58:00Z", first.Sentence)
	assert.Equal(t, []string{"checkout", "payment"}, first.Path)
	assert.Equal(t, "2 calls of checkout to payment failed with the same words", first.Evidence[1].Text)
	assert.EqualValues(t, 35, causes[1].ScorePercent, "the caller only passes it on")

	inLog := found
	inLog.Object, inLog.Sentence = diagnosis.Object{APIVersion: "v1", Kind: "Service", Namespace: "shop", Name: "payment"}, "The certificate that Service payment presents to Deployment checkout has expired"
	elsewhere := inLog
	elsewhere.Object.Namespace, elsewhere.Object.Name = "bank", "clearing"
	causes = told(asked, []Diagnosis{{Facts: f, Findings: []diagnosis.Finding{elsewhere}, Path: []string{"checkout"}}}, nil, collect(nil))
	require.NotEmpty(t, causes)
	assert.Equal(t, []string{"checkout", "clearing"}, causes[0].Path, "a Service of another namespace")

	causes = told(asked, []Diagnosis{{Facts: f, Findings: []diagnosis.Finding{inLog}, Path: []string{"checkout"}}}, nil, collect(nil))
	require.NotEmpty(t, causes)
	assert.Empty(t, causes[0].Workload, "the trouble began where the certificate is, not where it is refused")
	assert.Equal(t, []string{"checkout", "payment"}, causes[0].Path)

	causes = told(asked, d, nil, collect([]reading{nameless("checkout", noon), answered("checkout", "payment", noon.Add(-10*time.Minute))}))
	require.NotEmpty(t, causes)
	assert.Equal(t, "payment", causes[0].Object.Name, "who took such calls when they were well")

	for name, r := range map[string]reading{
		"a call that no service ever took": nameless("checkout", noon),
		"a call of long ago":               failedCall("checkout", "payment", expiredStatus, noon.Add(-30*time.Minute)),
		"a server outside":                 failedCall("checkout", "api.example.com", expiredStatus, noon),
		"a call that fails otherwise":      failedCall("checkout", "payment", "deadline exceeded", noon),
	} {
		causes := told(asked, d, nil, collect([]reading{r}))
		require.Len(t, causes, 1, name)
		assert.Equal(t, "checkout", causes[0].Object.Name, name)
		assert.Equal(t, found.Sentence, causes[0].Sentence, name)
	}
}
