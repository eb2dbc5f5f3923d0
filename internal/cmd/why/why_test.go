package why

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"

	"k8s.io/client-go/rest"

	"github.com/kubebot/kubebot/internal/diagnosis"
)

func TestParseTakesWhatKubectlTakes(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
		err  string
	}{
		{args: []string{"deploy/web"}, want: "Deployment web"},
		{args: []string{"pod", "web-0"}, want: "Pod web-0"},
		{args: []string{"deployments.apps/web"}, want: "Deployment web"},
		{args: []string{"web"}, err: "not KIND/NAME"},
		{args: []string{"deploy/"}, err: "not KIND/NAME"},
		{args: []string{"deploy/web/x"}, err: "not KIND/NAME"},
		{args: []string{"deploy/web", "x"}, err: "not both"},
		{args: []string{"secret/x"}, err: "unknown kind"},
	} {
		got, err := parse(c.args, "shop")
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%v: got error %v, want %q", c.args, err, c.err)
			}
			continue
		}
		if err != nil || got.String() != c.want || got.Namespace != "shop" {
			t.Errorf("%v: got %+v, %v, want %s", c.args, got, err, c.want)
		}
	}
}

func TestUsageErrorsFailTheCommand(t *testing.T) {
	for _, args := range [][]string{{}, {"deploy/web", "x", "y"}, {"--nonsense"}} {
		c := Command()
		c.SilenceErrors, c.SilenceUsage = true, true
		c.SetArgs(args)
		if err := c.Execute(); err == nil {
			t.Errorf("%v: no error", args)
		}
	}
	err := Run(t.Context(), Options{Output: "yaml", Config: &rest.Config{}, Out: io.Discard})
	if err == nil || !strings.Contains(err.Error(), "yaml") {
		t.Errorf("an unknown output is not refused: %v", err)
	}
}

func TestUnreachableClusterIsAnError(t *testing.T) {
	err := Run(t.Context(), Options{
		Output: "text", Timeout: 1e9, Out: io.Discard, Config: &rest.Config{Host: "https://127.0.0.1:1"},
		Object: diagnosis.Object{Kind: "Deployment", Namespace: "shop", Name: "web"},
	})
	if err == nil || !strings.Contains(err.Error(), "deployment/web") {
		t.Errorf("got %v, want an error that names what was tried", err)
	}
}

var web = diagnosis.Object{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "shop", Name: "web"}

func sample() Answer {
	fix := diagnosis.FixBy("Do it.", []diagnosis.Patch{{Object: web, Type: "merge", Body: `{"spec":{"paused":false}}`}})
	return Answer{
		Object: web, Workload: &web, desired: 2, ready: 1,
		Findings: []diagnosis.Finding{
			{Detector: "a", Kind: diagnosis.KindConfig, Object: web, Sentence: "Cause one", Evidence: []string{strings.Repeat("word ", 30)}, Score: 0.97, Fix: fix},
			{Detector: "b", Kind: diagnosis.KindUnknown, Object: web, Sentence: "Symptom one", Score: 0.25, Symptom: true},
		},
		Unread: []diagnosis.Unread{{Kind: "NetworkPolicy", Namespace: "shop", Reason: "forbidden"}, {Kind: "Node", Reason: "forbidden"}, {Kind: "Gateway", Namespace: "infra", Name: "public", Reason: "forbidden"}, {Kind: "ConfigMap", Namespace: "shop", Name: "web", Reason: "forbidden"}},
		Checks: []Check{{Command: fix.Commands[0], Result: Refused, Says: "denied"}},
	}
}

func TestTextIsForATerminal(t *testing.T) {
	var out bytes.Buffer
	if err := print(&out, sample(), false); err != nil {
		t.Fatal(err)
	}
	want := `Deployment web in namespace shop: 1 of 2 pods ready

1. Cause one. [config, score 0.97]
   - word word word word word word word word word word word word word word word word word word word
     word word word word word word word word word word word
   Fix: Do it.
     kubectl -n shop patch deployment web --type=merge -p '{"spec":{"paused":false}}'
       (the API server refuses it: denied)

1 finding more with --all.

Could not be read (a cause may hide there):
  NetworkPolicies of namespace shop: forbidden
  Nodes: forbidden
  Gateway public of namespace infra: forbidden
  ConfigMap web: forbidden
`
	if out.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", out.String(), want)
	}
	out.Reset()
	if err := print(&out, sample(), true); err != nil || !strings.Contains(out.String(), "2. Symptom one. [symptom]") {
		t.Errorf("--all does not show the symptom: %v\n%s", err, out.String())
	}
}

func TestNothingStandsOutIsSaid(t *testing.T) {
	var out bytes.Buffer
	if err := print(&out, Answer{Object: web}, false); err != nil || !strings.Contains(out.String(), "Nothing stands out") {
		t.Errorf("got %v\n%s", err, out.String())
	}
}

func TestASymptomIsShownWhereNoCauseIs(t *testing.T) {
	got := choose(sample().Findings[1:], false)
	if len(got) != 1 || got[0].Sentence != "Symptom one" {
		t.Errorf("got %+v", got)
	}
}

func TestJSONHoldsEverything(t *testing.T) {
	var out bytes.Buffer
	if err := printJSON(&out, sample()); err != nil {
		t.Fatal(err)
	}
	var back Answer
	if err := json.Unmarshal(out.Bytes(), &back); err != nil {
		t.Fatal(err)
	}
	if len(back.Findings) != 2 || back.Findings[0].Fix.Patches[0].Object != web || len(back.Unread) != 4 || back.Checks[0].Result != Refused {
		t.Errorf("got %+v", back)
	}
	if strings.Contains(out.String(), `\u003c`) {
		t.Error("the JSON is escaped for HTML")
	}
}
