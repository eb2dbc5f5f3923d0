package webhook_test

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/notify"
	"github.com/kubebot/kubebot/internal/notify/secretfile"
	"github.com/kubebot/kubebot/internal/notify/webhook"
	"github.com/kubebot/kubebot/internal/testutil/golden"
)

var opened = time.Date(2026, 11, 21, 3, 20, 0, 0, time.UTC)

func at(offset time.Duration) metav1.Time { return metav1.NewTime(opened.Add(offset)) }

// message is the opening of an incident with two alerts.
func message() notify.Message {
	start := at(-time.Minute)
	return notify.Message{
		Key: "2c4f1e9a-oncall-1", Transition: v1alpha1.TransitionOpened, Sequence: 1, At: opened,
		Text: "Requests to checkout fail.",
		Incident: &v1alpha1.Incident{
			ObjectMeta: metav1.ObjectMeta{Name: "main-7f3a-1", Namespace: "kubebot"},
			Spec: v1alpha1.IncidentSpec{
				KubeBot: "main", ClusterName: "prod-eu", GroupKey: "shop/checkout", Number: 1,
				Subject: v1alpha1.Subject{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "shop", Name: "checkout", Display: "Deployment shop/checkout"},
			},
			Status: v1alpha1.IncidentStatus{
				State: v1alpha1.IncidentOpen, Severity: v1alpha1.SeverityCritical, Title: "checkout answers with errors",
				Cause: "The rollout of catalog at 03:18 UTC", StartedAt: &start,
				Alerts: []v1alpha1.IncidentAlert{
					{Fingerprint: "b2", Name: "PodNotReady", Severity: v1alpha1.SeverityWarning, State: v1alpha1.AlertFiring, StartsAt: at(-30 * time.Second)},
					{Fingerprint: "a1", Name: "HTTPErrorsHigh", Severity: v1alpha1.SeverityCritical, State: v1alpha1.AlertFiring, StartsAt: start,
						Labels: map[string]string{"namespace": "shop", "workload": "checkout"}, Summary: "40% of <requests> fail & more"},
				},
			},
		},
	}
}

// resolved is the end of the same incident.
func resolved() notify.Message {
	msg := message()
	end := at(5 * time.Minute)
	msg.Key, msg.Transition, msg.Sequence, msg.At, msg.Text = "2c4f1e9a-oncall-2", v1alpha1.TransitionResolved, 2, end.Time, "All alerts ended."
	msg.Incident.Status.State, msg.Incident.Status.ResolvedAt = v1alpha1.IncidentResolved, &end
	for i := range msg.Incident.Status.Alerts {
		msg.Incident.Status.Alerts[i].State, msg.Incident.Status.Alerts[i].EndsAt = v1alpha1.AlertResolved, &end
	}
	return msg
}

// receiver records what arrives and answers with the statuses in turn, then 200; 0 breaks the connection.
type receiver struct {
	*httptest.Server
	mu       sync.Mutex
	statuses []int
	bodies   []string
	headers  []http.Header
}

func newReceiver(t *testing.T, statuses ...int) *receiver {
	t.Helper()
	r := &receiver{statuses: statuses}
	r.Server = httptest.NewServer(http.HandlerFunc(r.serve))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) serve(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bodies, r.headers = append(r.bodies, string(body)), append(r.headers, req.Header)
	if len(r.statuses) == 0 {
		return
	}
	status := r.statuses[0]
	r.statuses = r.statuses[1:]
	if status == 0 {
		panic(http.ErrAbortHandler)
	}
	w.WriteHeader(status)
}

// got returns the bodies and headers that have arrived.
func (r *receiver) got() ([]string, []http.Header) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.bodies), slices.Clone(r.headers)
}

func TestBodyIsTheDocumentedOne(t *testing.T) {
	for name, msg := range map[string]notify.Message{"opened": message(), "resolved": resolved()} {
		t.Run(name, func(t *testing.T) {
			r := newReceiver(t)
			webhook.New(webhook.Options{URL: r.URL}).Send(context.Background(), msg)
			var indented bytes.Buffer
			var doc any
			bodies, _ := r.got()
			if err := json.Unmarshal([]byte(bodies[0]), &doc); err != nil {
				t.Fatal(err)
			}
			enc := json.NewEncoder(&indented)
			enc.SetEscapeHTML(false)
			enc.SetIndent("", "  ")
			if err := enc.Encode(doc); err != nil {
				t.Fatal(err)
			}
			golden.Compare(t, filepath.Join("testdata", name+".json"), indented.Bytes())
		})
	}
}

func TestADigestHasADocumentOfItsOwn(t *testing.T) {
	msg := message()
	over := message().Incident.DeepCopy()
	end := at(-time.Second)
	over.Name, over.Status.ResolvedAt = "main-7f3a-2", &end
	msg.Digest = []*v1alpha1.Incident{message().Incident, over}
	msg.Transition, msg.Key, msg.Text = notify.TransitionDigest, "digest", "2 incidents"
	for range 8 {
		over.Status.Alerts = append(over.Status.Alerts, over.Status.Alerts[0])
	}
	r := newReceiver(t)
	if res := webhook.New(webhook.Options{URL: r.URL}).Send(t.Context(), msg); res.Outcome != notify.Delivered {
		t.Fatalf("got %+v", res)
	}
	var doc webhook.Document
	bodies, _ := r.got()
	if err := json.Unmarshal([]byte(bodies[0]), &doc); err != nil {
		t.Fatal(err)
	}
	if doc.Transition != "Digest" || len(doc.Incidents) != 2 || doc.Incidents[0].Name != "main-7f3a-1" {
		t.Fatalf("got %+v", doc)
	}
	if two := doc.Incidents[1]; two.State != v1alpha1.IncidentResolved || two.ResolvedAt == nil || len(two.Alerts) != 5 || doc.Incidents[0].State != v1alpha1.IncidentOpen {
		t.Errorf("got %+v", doc.Incidents)
	}
}

func TestRequestIsSignedAndKeyed(t *testing.T) {
	r := newReceiver(t)
	now := time.Date(2026, 11, 21, 3, 21, 0, 0, time.UTC)
	sink := webhook.New(webhook.Options{URL: r.URL, SigningSecret: secret(t, "key", signingKey), Now: func() time.Time { return now }})
	if res := sink.Send(context.Background(), message()); res.Outcome != notify.Delivered {
		t.Fatalf("got %+v", res)
	}
	bodies, headers := r.got()
	h, body := headers[0], []byte(bodies[0])
	if got := h.Get("Idempotency-Key"); got != message().Key {
		t.Errorf("Idempotency-Key %q, want the delivery's key", got)
	}
	for name, c := range map[string]struct {
		key  string
		now  time.Time
		body []byte
		want error
	}{
		"as sent":           {signingKey, now, body, nil},
		"another key":       {"other", now, body, webhook.ErrSignature},
		"changed body":      {signingKey, now, append([]byte(" "), body...), webhook.ErrSignature},
		"replayed later":    {signingKey, now.Add(6 * time.Minute), body, webhook.ErrStale},
		"from the future":   {signingKey, now.Add(-6 * time.Minute), body, webhook.ErrStale},
		"four minutes late": {signingKey, now.Add(4 * time.Minute), body, nil},
	} {
		if err := webhook.Verify([]byte(c.key), h, c.body, c.now); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
}

// The example of docs/receivers.md, so that what users implement by it is right.
func TestSignatureOfTheDocumentedExample(t *testing.T) {
	const want = "v1=3280f4c12528c872b56daab57bbdb83226873e607cda6935d44905acbe32a05c"
	got := webhook.Sign([]byte("8f742231b10e"), "1795231200", []byte(`{"version":"v1"}`))
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	doc, err := os.ReadFile("../../../docs/receivers.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(doc), got) {
		t.Error("docs/receivers.md shows another signature")
	}
}

func TestRepeatHasTheSameBody(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*v1alpha1.Incident)
		forget bool // another replica repeats
		same   bool
	}{
		"same process, the incident moved on": {change: func(i *v1alpha1.Incident) { i.Status.Title = "worse" }, same: true},
		"another replica":                     {change: func(*v1alpha1.Incident) {}, forget: true, same: true},
		"another replica, an alert began since": {forget: true, same: true, change: func(i *v1alpha1.Incident) {
			i.Status.Alerts = append(i.Status.Alerts, v1alpha1.IncidentAlert{Fingerprint: "c3", Name: "Later", Severity: "info", State: "Firing", StartsAt: at(time.Minute)})
		}},
		"another replica, an alert ended since": {forget: true, same: true, change: func(i *v1alpha1.Incident) {
			end := at(time.Minute)
			i.Status.Alerts[0].State, i.Status.Alerts[0].EndsAt = v1alpha1.AlertResolved, &end
			i.Status.State = v1alpha1.IncidentResolved
		}},
		"another replica, the title changed": {change: func(i *v1alpha1.Incident) { i.Status.Title = "worse" }, forget: true},
	} {
		t.Run(name, func(t *testing.T) {
			r := newReceiver(t, 0)
			sink := webhook.New(webhook.Options{URL: r.URL})
			msg := message()
			first := sink.Send(context.Background(), msg)
			if first.Outcome != notify.Unknown || first.BodySHA256 == "" {
				t.Fatalf("a lost answer gives %+v", first)
			}
			c.change(msg.Incident)
			msg.MayHaveArrived, msg.BodySHA256 = true, first.BodySHA256
			if c.forget {
				sink = webhook.New(webhook.Options{URL: r.URL})
			}
			second := sink.Send(context.Background(), msg)
			bodies, headers := r.got()
			if second.Outcome != notify.Delivered || len(bodies) != 2 {
				t.Fatalf("the repeat gives %+v after %d requests", second, len(bodies))
			}
			if same := bodies[0] == bodies[1]; same != c.same || same != (second.PossibleDuplicate == "") {
				t.Errorf("same body: %t, want %t; noted: %q", same, c.same, second.PossibleDuplicate)
			}
			if headers[0].Get("Idempotency-Key") != headers[1].Get("Idempotency-Key") {
				t.Error("the repeat has another Idempotency-Key")
			}
		})
	}
}

// net/http would send a keyed request again by itself when a kept connection breaks.
func TestOneAttemptIsOneRequest(t *testing.T) {
	r := newReceiver(t, 200, 0)
	sink := webhook.New(webhook.Options{URL: r.URL})
	if res := sink.Send(context.Background(), message()); res.Outcome != notify.Delivered {
		t.Fatalf("got %+v", res)
	}
	if res := sink.Send(context.Background(), resolved()); res.Outcome != notify.Unknown {
		t.Errorf("a broken connection gives %+v", res)
	}
	if bodies, _ := r.got(); len(bodies) != 2 {
		t.Errorf("%d requests for two attempts", len(bodies))
	}
}

func TestFilesThatAreMissing(t *testing.T) {
	r := newReceiver(t)
	gone := secretfile.Ref{File: filepath.Join(t.TempDir(), "gone"), Secret: "hook", Key: "gone"}
	for name, c := range map[string]struct {
		options webhook.Options
		word    string
		reason  string
	}{
		"URL":           {webhook.Options{URLSecret: gone}, "SecretMissing", v1alpha1.ReasonSecretMissing},
		"signing key":   {webhook.Options{URL: r.URL, SigningSecret: gone}, "SecretMissing", v1alpha1.ReasonSecretMissing},
		"empty key":     {webhook.Options{URL: r.URL, SigningSecret: secret(t, "empty", "")}, "SecretMissing", v1alpha1.ReasonSecretMissing},
		"CA":            {webhook.Options{URL: r.URL, CASecret: gone}, "SecretMissing", v1alpha1.ReasonSecretMissing},
		"CA not in PEM": {webhook.Options{URL: r.URL, CASecret: secret(t, "ca", "no certificate")}, "InvalidCA", v1alpha1.ReasonInvalidSpec},
		"URL not one":   {webhook.Options{URLSecret: secret(t, "url", "hooks.example.com")}, "InvalidURL", v1alpha1.ReasonInvalidSpec},
		"file URL":      {webhook.Options{URL: "file:///etc/passwd"}, "InvalidURL", v1alpha1.ReasonInvalidSpec},
	} {
		t.Run(name, func(t *testing.T) {
			sink := webhook.New(c.options)
			if res := sink.Send(context.Background(), message()); res.Outcome != notify.Refused || res.Word != c.word || res.Detail == "" {
				t.Errorf("Send gives %+v", res)
			}
			if reason, message := sink.Check(context.Background()); reason != c.reason || message == "" {
				t.Errorf("Check gives %s: %s", reason, message)
			}
		})
	}
	if bodies, _ := r.got(); len(bodies) != 0 {
		t.Errorf("%d unsigned or unchecked requests went out", len(bodies))
	}
}

// A Secret that is added or changed works without a restart.
func TestFilesAreReadAtEachUse(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.StartTLS()
	defer server.Close()
	ca := secretfile.Ref{File: filepath.Join(t.TempDir(), "ca"), Secret: "hook", Key: "ca"}
	sink := webhook.New(webhook.Options{URL: server.URL, CASecret: ca})
	if res := sink.Send(context.Background(), message()); res.Word != "SecretMissing" {
		t.Fatalf("without the file: %+v", res)
	}
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(ca.File, authority, 0o600); err != nil {
		t.Fatal(err)
	}
	if res := sink.Send(context.Background(), message()); res.Outcome != notify.Delivered {
		t.Errorf("with the file: %+v", res)
	}
	if reason, message := sink.Check(context.Background()); reason != "" {
		t.Errorf("Check gives %s: %s", reason, message)
	}
}

// Bodies that wait are bounded, whatever the number of deliveries.
func TestManyWaitingBodies(t *testing.T) {
	sink := webhook.New(webhook.Options{URL: "http://" + golden.FreeAddress(t)})
	for i := range 1100 {
		msg := message()
		msg.Key = fmt.Sprint(i)
		if res := sink.Send(context.Background(), msg); res.Outcome != notify.Retry {
			t.Fatalf("got %+v", res)
		}
	}
	if n := webhook.Waiting(sink); n != 1024 {
		t.Errorf("%d bodies are kept, want the last 1024", n)
	}
}
