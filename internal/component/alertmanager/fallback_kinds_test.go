package alertmanager

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/kubebot/kubebot/api/v1alpha1"
)

// arrivals keeps what arrives, by where.
type arrivals struct {
	mu   sync.Mutex
	kept map[string]string
}

func (a *arrivals) keep(at, text string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.kept[at] += text
}

func (a *arrivals) at(at string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.kept[at]
}

func (a *arrivals) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	a.keep(r.URL.Path, string(body))
	w.WriteHeader(http.StatusAccepted)
}

type postbox struct{ *arrivals }

func (p postbox) Mail(string, *smtp.MailOptions) error { return nil }
func (p postbox) Rcpt(string, *smtp.RcptOptions) error { return nil }
func (p postbox) Reset()                               {}
func (p postbox) Logout() error                        { return nil }
func (p postbox) Data(r io.Reader) error {
	body, err := io.ReadAll(r)
	p.keep("mail", string(body))
	return err
}

// The real Alertmanager sends to each kind of receiver, by templates that amtool reads but does not run.
func TestCopiesReachEveryKindOfReceiver(t *testing.T) {
	t.Parallel()
	seen := &arrivals{kept: map[string]string{}}
	web := httptest.NewServer(seen)
	t.Cleanup(web.Close)
	mail := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return postbox{seen}, nil }))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = mail.Serve(l) }()
	t.Cleanup(func() { _ = mail.Close() })

	in := input(v1alpha1.AlertmanagerSpec{})
	ref := v1alpha1.SecretKeyRef{Name: "s", Key: "k"}
	in.KubeBot.Spec.Alerting.Receivers = []v1alpha1.Receiver{
		{Name: "pager", PagerDuty: &v1alpha1.PagerDutyReceiver{RoutingKeySecret: ref, APIURL: web.URL + "/pagerduty/"}},
		{Name: "opsgenie", OpsGenie: &v1alpha1.OpsGenieReceiver{APIKeySecret: ref, APIURL: web.URL + "/opsgenie/",
			Responders: []v1alpha1.OpsGenieResponder{{Type: "team", Name: "a{{b"}}}},
		{Name: "chat", Teams: &v1alpha1.TeamsReceiver{URLSecret: v1alpha1.SecretKeyRef{Name: "teams", Key: "url"}}},
		{Name: "mail", Email: &v1alpha1.EmailReceiver{Server: l.Addr().String(), TLS: v1alpha1.EmailNoTLS, From: "a@example.com", To: []string{"b@example.com"}}},
	}
	am := startAlertmanager(t, in, map[string]string{"s/k": "planted", "teams/url": web.URL + "/teams"})
	post(t, am, copyOf("WorkloadDown", "pay", "workload", `[x](https://evil) **b** <at>all</at> {{ end }}`))
	want := map[string]string{
		"/pagerduty/v2/enqueue": `"routing_key":"planted"`, "/opsgenie/v2/alerts": `a{{b`, "/teams": "AdaptiveCard", "mail": "Subject: WorkloadDown",
	}
	for deadline := time.Now().Add(arriveTimeout); ; time.Sleep(50 * time.Millisecond) {
		missing := ""
		for at, text := range want {
			if !strings.Contains(seen.at(at), text) {
				missing += "\n" + at + ": " + seen.at(at)
			}
		}
		if missing == "" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("not everybody was told:%s", missing)
		}
	}
	for at := range want {
		if text := seen.at(at); !strings.Contains(text, "WorkloadDown") || !strings.Contains(text, "pay") {
			t.Errorf("%s was told %s", at, text)
		}
	}
	if card := seen.at("/teams"); strings.Contains(card, "[x](https") || strings.Contains(card, "**b**") || strings.Contains(card, "<at>") {
		t.Errorf("a label is read as markup by Teams: %s", card)
	}
}
