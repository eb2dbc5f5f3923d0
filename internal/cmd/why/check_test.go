package why

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/diagnosis"
)

// fixed is a finding that these mend.
func fixed(sentence string, patches []diagnosis.Patch, commands ...string) diagnosis.Finding {
	return diagnosis.Finding{Object: web, Sentence: sentence, Score: 0.9, Fix: diagnosis.FixBy("Do it.", patches, commands...)}
}

func TestEveryFixThatIsPrintedIsChecked(t *testing.T) {
	policy := diagnosis.Object{APIVersion: "networking.k8s.io/v1", Kind: "NetworkPolicy", Namespace: "shop", Name: "deny"}
	slow := diagnosis.Object{APIVersion: "networking.k8s.io/v1", Kind: "Ingress", Namespace: "shop", Name: "slow"}
	broken := diagnosis.Object{APIVersion: "v1", Kind: "Service", Namespace: "shop", Name: "broken"}
	node := diagnosis.Object{APIVersion: "v1", Kind: "Node", Name: "a"}
	patch := func(o diagnosis.Object) diagnosis.Patch {
		return diagnosis.Patch{Object: o, Type: "merge", Body: `{"spec":{"x":1}}`}
	}
	var sent []string
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Method != http.MethodPatch || r.URL.Query().Get("dryRun") != "All" || r.URL.Query().Get("fieldValidation") != "Strict" {
			t.Errorf("%s %s: %s is no dry run", r.Method, r.URL, body)
		}
		status := func(code int32, reason metav1.StatusReason, message string) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(int(code))
			json.NewEncoder(w).Encode(metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: "Failure", Code: code, Reason: reason, Message: message})
		}
		switch r.URL.Path {
		case "/apis/apps/v1/namespaces/shop/deployments/web/scale", "/api/v1/nodes/a":
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, `{"apiVersion":"autoscaling/v1","kind":"Scale","metadata":{"name":"web"}}`)
		case "/apis/networking.k8s.io/v1/namespaces/shop/networkpolicies/deny":
			status(422, metav1.StatusReasonInvalid, "spec.x: unknown")
		case "/api/v1/namespaces/shop/services/broken":
			status(500, metav1.StatusReasonInternalError, "no leader")
		case "/apis/networking.k8s.io/v1/namespaces/shop/ingresses/slow":
			<-r.Context().Done()
		default:
			sent = append(sent, r.URL.Path)
		}
	}))
	defer api.Close()
	scale, undo := diagnosis.Scale(web, 2), "kubectl -n shop rollout undo deployment/web --to-revision=1"
	a := Answer{
		Findings: []diagnosis.Finding{fixed("one", []diagnosis.Patch{scale}, undo, "kubectl -n shop logs pod/web-1"), fixed("two", []diagnosis.Patch{patch(node)})},
		Followed: []Answer{{Findings: []diagnosis.Finding{fixed("three", []diagnosis.Patch{patch(policy), patch(slow)})}}, {Findings: []diagnosis.Finding{fixed("four", []diagnosis.Patch{patch(broken)})}}},
		Causes: []v1alpha1.Cause{
			{Fix: &v1alpha1.CauseFix{Commands: []string{scale.Command(), "kubectl kubebot why -n shop deployment/web"}}},
			{Fix: &v1alpha1.CauseFix{Commands: []string{"echo '{}' | kubectl apply -f -", "kubectl -n shop exec web-1 -- true", "kubectl -n shop get pods"}}},
		},
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	got, err := check(ctx, &rest.Config{Host: api.URL, QPS: -1}, a)
	if err != nil || len(sent) > 0 {
		t.Fatal(err, sent)
	}
	want := []Check{
		{scale.Command(), Accepted, ""},
		{undo, NotChecked, "run it with --dry-run=server"},
		{patch(node).Command(), Accepted, ""},
		{patch(policy).Command(), Refused, "spec.x: unknown"},
		{patch(slow).Command(), NotChecked, "no answer in time, see --timeout"},
		{patch(broken).Command(), NotChecked, "no leader"},
		{"echo '{}' | kubectl apply -f -", NotChecked, "run it with --dry-run=server"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got:\n%v\nwant:\n%v", got, want)
	}
}

func TestVerdictTellsARefusalFromNoAnswer(t *testing.T) {
	web := schema.GroupResource{Group: "apps", Resource: "deployments"}
	for name, c := range map[string]struct {
		err  error
		want Result
	}{
		"accepted":                    {nil, Accepted},
		"a right is missing":          {apierrors.NewForbidden(web, "web", errors.New("no")), Refused},
		"it is gone":                  {apierrors.NewNotFound(web, "web"), Refused},
		"a webhook of side effects":   {apierrors.NewBadRequest("admission webhook \"x\" does not support dry run"), NotChecked},
		"the deadline of the command": {context.DeadlineExceeded, NotChecked},
		"the API server's deadline":   {apierrors.NewTimeoutError("slow", 1), NotChecked},
		"it has too much to do":       {apierrors.NewTooManyRequests("later", 1), NotChecked},
		"it is not there":             {errors.New("connection refused"), NotChecked},
	} {
		if got, says := verdict(c.err); got != c.want || c.err != nil && says == "" {
			t.Errorf("%s: got %s (%s), want %s", name, got, says, c.want)
		}
	}
}

func TestWhatWasLeftOutOrNotCheckedIsSaid(t *testing.T) {
	f := fixed("Cause one", nil, "kubectl do")
	f.Fix.LeftOut = []diagnosis.Remark{{Command: "kubectl break", Reason: "it does not apply"}}
	f.Fix.Unchecked = []diagnosis.Remark{{Command: "kubectl do", Reason: "no schema"}}
	a := Answer{Object: web, Followed: []Answer{{Object: web, Findings: []diagnosis.Finding{f}}}}
	a.Checks = unchecked(a)
	said := "   Fix: Do it.\n     kubectl do\n       (not checked: no schema)\n     (a command was left out: it does not apply)\n"
	var findings, causes strings.Builder
	if err := print(&findings, a, false); err != nil || !strings.Contains(findings.String(), said) {
		t.Errorf("%v\n%s", err, findings.String())
	}
	a.Causes = []v1alpha1.Cause{{Object: v1alpha1.CauseObject{Name: "web"}, ScorePercent: 90, Sentence: "Revision 2; since then: Cause one", Fix: &v1alpha1.CauseFix{Explanation: "Do it.", Commands: []string{"kubectl do"}}}}
	if err := print(&causes, a, false); err != nil || !strings.Contains(causes.String(), said) {
		t.Errorf("%v\n%s", err, causes.String())
	}
	for _, text := range []string{findings.String(), causes.String()} {
		if strings.Contains(text, "kubectl break") {
			t.Errorf("a command that was left out is shown:\n%s", text)
		}
	}
}
