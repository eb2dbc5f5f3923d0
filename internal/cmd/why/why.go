// Package why answers why a workload is in trouble, from what the Kubernetes API shows with the user's own rights.
package why

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/openapi"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/diagnosis"
	"github.com/kubebot/kubebot/internal/diagnosis/fixcheck"
	"github.com/kubebot/kubebot/internal/diagnosis/gather"
	"github.com/kubebot/kubebot/internal/enrich"
)

// Options of the command.
type Options struct {
	// Config reaches the cluster with the user's rights.
	Config *rest.Config
	// Object is what is asked about: kind, namespace and name.
	Object diagnosis.Object
	// Output is text or json.
	Output string
	// All shows every finding; otherwise the text shows the causes and the most telling symptom.
	All bool
	// Check sends the patches of the fixes as server-side dry runs.
	Check bool
	// Since is when the trouble began, as time ago; then the stores of telemetry are read too. Without it they are read
	// where an Incident tells.
	Since time.Duration
	// Prometheus, Loki and Jaeger are base URLs; without any of them they are those of the cluster's KubeBot, reached
	// through the API server. LokiTenant is sent as X-Scope-OrgID.
	Prometheus, Loki, LokiTenant, Jaeger string
	// Home is the namespace of the KubeBot, where those of all namespaces may not be listed.
	Home string
	// Save is a file that takes what the engine saw.
	Save string
	// Timeout bounds the whole answer.
	Timeout time.Duration
	Out     io.Writer
}

// Answer is what the command found.
type Answer struct {
	Object   diagnosis.Object    `json:"object"`
	Workload *diagnosis.Object   `json:"workload,omitempty"`
	Findings []diagnosis.Finding `json:"findings"`
	// Followed are the answers about the Services that the first cause blames, each the next one's caller.
	Followed []Answer `json:"followed,omitempty"`
	// Incident is the one that asks; Causes are ranked from the state of objects and telemetry, as it holds them.
	Incident string `json:"incident,omitempty"`
	// Judged says what a person said of the Incident's cause, empty when nobody did.
	Judged string           `json:"judged,omitempty"`
	Causes []v1alpha1.Cause `json:"causes,omitempty"`
	// Sources tell what of telemetry was read.
	Sources []v1alpha1.AnalysisSource `json:"sources,omitempty"`
	// Unread is what could not be read: a cause may hide there.
	Unread []diagnosis.Unread `json:"unread,omitempty"`
	// Checks are what is known of the fixes' commands: that of the dry runs, else which could not be checked at all.
	Checks []Check `json:"checks,omitempty"`

	ready, desired int32
	pods           int
}

// Command returns the command `kubebot why`.
func Command() *cobra.Command {
	var kubeconfig, context, namespace string
	o := Options{Output: "text", Timeout: 5 * time.Second}
	c := &cobra.Command{
		Use:   "why KIND/NAME",
		Short: "Say why a workload is in trouble, and what mends it",
		Long: "Say why a workload is in trouble, and what mends it, from what the Kubernetes API shows with your own rights.\n" +
			"It changes nothing. Installed as kubectl-kubebot it is also `kubectl kubebot why`.",
		Example: "  kubebot why deploy/checkout -n shop\n  kubectl kubebot why pod web-0 -o json",
		Args:    cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctrl.SetLogger(logr.Discard()) // else controller-runtime prints a warning and a stack after 30 s
			rules := clientcmd.NewDefaultClientConfigLoadingRules()
			rules.ExplicitPath = kubeconfig
			loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: context})
			config, err := loader.ClientConfig()
			if err != nil {
				return fmt.Errorf("find the cluster: %w", err)
			}
			if namespace == "" {
				if namespace, _, err = loader.Namespace(); err != nil {
					return fmt.Errorf("find the namespace: %w", err)
				}
			}
			if o.Object, err = parse(args, namespace); err != nil {
				return err
			}
			o.Config, o.Out = config, cmd.OutOrStdout()
			return Run(cmd.Context(), o)
		},
	}
	f := c.Flags()
	f.StringVarP(&namespace, "namespace", "n", "", "namespace (default that of the kubeconfig's context)")
	f.StringVarP(&o.Output, "output", "o", o.Output, "text or json")
	f.StringVar(&kubeconfig, "kubeconfig", "", "kubeconfig file (default as kubectl finds it)")
	f.StringVar(&context, "context", "", "context of the kubeconfig")
	f.DurationVar(&o.Timeout, "timeout", o.Timeout, "how long the answer may take")
	f.BoolVar(&o.All, "all", false, "show every symptom too")
	f.DurationVar(&o.Since, "since", 0, "how long ago the trouble began, such as 10m; reads metrics, logs and traces too")
	f.StringVar(&o.Prometheus, "prometheus", "", "URL of Prometheus (default that of the cluster's KubeBot)")
	f.StringVar(&o.Loki, "loki", "", "URL of Loki (default that of the cluster's KubeBot)")
	f.StringVar(&o.LokiTenant, "loki-tenant", "", "tenant of Loki")
	f.StringVar(&o.Jaeger, "jaeger", "", "URL of Jaeger (default that of the cluster's KubeBot)")
	f.StringVar(&o.Home, "kubebot-namespace", "kubebot", "namespace of the KubeBot, for those who may not list all namespaces")
	f.StringVar(&o.Save, "save", "", "file that takes what the engine saw, for kubebot rca and kubebot train")
	f.BoolVar(&o.Check, "check", false, "check the fixes by server-side dry runs with your own rights")
	return c
}

// parse reads KIND/NAME or KIND NAME.
func parse(args []string, namespace string) (diagnosis.Object, error) {
	kind, name, ok := strings.Cut(args[0], "/")
	if len(args) == 2 {
		if ok {
			return diagnosis.Object{}, errors.New("say KIND/NAME or KIND NAME, not both")
		}
		name = args[1]
	}
	if name == "" || strings.Contains(name, "/") {
		return diagnosis.Object{}, fmt.Errorf("%q is not KIND/NAME, such as deploy/checkout", strings.Join(args, " "))
	}
	if k := strings.ToLower(kind); k == "incident" || k == "incidents" || k == "inc" {
		return diagnosis.Object{APIVersion: v1alpha1.GroupVersion.String(), Kind: kindIncident, Namespace: namespace, Name: name}, nil
	}
	kind, err := gather.Kind(kind)
	if err != nil {
		return diagnosis.Object{}, err
	}
	return diagnosis.Object{Kind: kind, Namespace: namespace, Name: name}, nil
}

// Run reads the facts, diagnoses them and prints the answer. It returns an error if the cluster or the object can't be
// read; to find nothing is no error.
func Run(ctx context.Context, o Options) error {
	if o.Output != "text" && o.Output != "json" {
		return fmt.Errorf("output %q is not text or json", o.Output)
	}
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	config := rest.CopyConfig(o.Config)
	config.QPS, config.Burst = -1, -1 // some thirty requests, once: the API server's own fairness is enough
	config.UserAgent = "kubebot-why"
	config.WarningHandler = rest.NoWarnings{}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("make client: %w", err)
	}
	other, err := dynamic.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("make client: %w", err)
	}
	q, inc, hidden, err := question(ctx, o, client, time.Now())
	if err != nil {
		return err
	}
	analyst, unread, err := analyst(ctx, o, q)
	if err != nil {
		return err
	}
	analyst.Kube, analyst.Dynamic = client, other
	analyst.Fixes = fixcheck.New(openapi.NewClientWithContext(client.Discovery().RESTClient()), logr.Discard())
	end, _ := ctx.Deadline()
	share := time.Until(end) * 9 / 10 // the rest is for ranking and printing
	if o.Check {
		share = time.Until(end) * 7 / 10 // and for the dry runs
	}
	reading, stop := context.WithTimeout(ctx, share)
	defer stop()
	found := analyst.Analyse(reading, q)
	if found.Err != nil && inc == nil {
		return found.Err
	}
	a := answer(q, found, inc)
	a.Unread = slices.Concat(a.Unread, hidden, unread)
	if o.Save != "" {
		if err := save(o.Save, found, inc); err != nil {
			return err
		}
	}
	a.Checks = unchecked(a)
	if o.Check {
		if a.Checks, err = check(ctx, config, a); err != nil {
			return err
		}
	}
	if o.Output == "json" {
		return printJSON(o.Out, a)
	}
	return print(o.Out, a, o.All)
}

// answer puts what was found into the form that is printed.
func answer(q enrich.Question, found enrich.Answer, inc *v1alpha1.Incident) Answer {
	a := Answer{Object: q.Subject, Findings: []diagnosis.Finding{}}
	followed := 0
	for _, d := range found.Diagnoses {
		if one := about(d); len(d.Path) == 1 && d.Facts.Subject.Name == q.Subject.Name && followed == 0 {
			one.Followed, a = a.Followed, one
		} else {
			a.Followed = append(a.Followed, one)
		}
		followed++
	}
	if q.Troubled {
		status := found.Status()
		a.Causes, a.Sources = status.Causes, status.Analysis.Sources
		whole(a.Causes, found.Causes)
	}
	if inc != nil {
		a.Incident, a.Judged = inc.Name, saidOf(inc)
		linked(a.Causes, inc.Status.Causes)
	}
	return a
}

// whole gives causes the fixes whose commands an Incident can't hold: a terminal has room for them.
func whole(causes, found []v1alpha1.Cause) {
	for i := range causes {
		if fix := found[i].Fix; fix != nil && len(causes[i].Fix.Commands) < len(fix.Commands) {
			causes[i].Fix = fix
		}
	}
}

// linked gives causes the links that the Incident holds: only the responder knows where people open Grafana.
func linked(causes, held []v1alpha1.Cause) {
	for i := range causes {
		if at := slices.IndexFunc(held, func(c v1alpha1.Cause) bool { return c.Object == causes[i].Object && c.Workload == causes[i].Workload }); at >= 0 {
			causes[i].Links = held[at].Links
		}
	}
}

// about is the answer about one object.
func about(d enrich.Diagnosis) Answer {
	f := d.Facts
	a := Answer{Object: f.Subject, Findings: d.Findings, Unread: f.Unread, pods: len(f.Pods)}
	if a.Findings == nil {
		a.Findings = []diagnosis.Finding{}
	}
	if f.Workload.Exists() {
		w := f.Workload.Object
		a.Workload, a.ready, a.desired = &w, f.Workload.Ready, f.Workload.Desired
	}
	return a
}

// saidOf says what a person said of the cause of an Incident.
func saidOf(inc *v1alpha1.Incident) string {
	j, ok := enrich.Judged(inc)
	if !ok {
		return ""
	}
	by := inc.Spec.Cause.By
	if by == "" {
		by = "somebody"
	}
	if j.Wrong {
		return fmt.Sprintf("%s says that it is not %s of %s", by, j.Kind, j.Workload)
	}
	return fmt.Sprintf("%s says that it is %s of %s", by, j.Kind, j.Workload)
}
