package why

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/kubebot/kubebot/internal/diagnosis"
)

// Result is what came of the check of a command.
type Result string

// Results of a check.
const (
	// Accepted says that the API server would accept the change.
	Accepted Result = "Accepted"
	// Refused says that it would not.
	Refused Result = "Refused"
	// NotChecked says that neither is known.
	NotChecked Result = "NotChecked"
)

// Check is what is known of a command before anybody runs it.
type Check struct {
	Command string `json:"command"`
	Result  Result `json:"result"`
	// Says is what the API server says, or why it was not asked.
	Says string `json:"says,omitempty"`
}

// atOnce is how many dry runs are under way at once.
const atOnce = 8

var patchTypes = map[string]types.PatchType{"json": types.JSONPatchType, "merge": types.MergePatchType, "strategic": types.StrategicMergePatchType}

// unchecked are the commands that could not be checked against the API server's schema.
func unchecked(a Answer) []Check {
	var out []Check
	for _, f := range every(a) {
		for _, u := range f.Fix.Unchecked {
			out = note(out, Check{Command: u.Command, Result: NotChecked, Says: u.Reason})
		}
	}
	return out
}

// check sends the patches of all fixes to the API server as dry runs, with the user's rights: nothing is changed. Of other
// commands that change something it says that they were not checked.
func check(ctx context.Context, config *rest.Config, a Answer) ([]Check, error) {
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("make client: %w", err)
	}
	out, patches := plan(a)
	var group errgroup.Group
	group.SetLimit(atOnce)
	for i := range out {
		if p, ok := patches[out[i].Command]; ok {
			group.Go(func() error {
				out[i].Result, out[i].Says = verdict(dryRun(ctx, client, p))
				return nil
			})
		}
	}
	return out, group.Wait()
}

// plan lists the commands to say something of, and the patches of those that the API server can be asked about.
func plan(a Answer) ([]Check, map[string]diagnosis.Patch) {
	var out []Check
	patches := map[string]diagnosis.Patch{}
	var commands []string
	for _, f := range every(a) {
		for _, p := range f.Fix.Patches {
			patches[p.Command()] = p
		}
		commands = append(commands, f.Fix.Commands...)
	}
	for _, c := range a.Causes {
		if c.Fix != nil {
			commands = append(commands, c.Fix.Commands...)
		}
	}
	for _, c := range commands {
		if _, ok := patches[c]; ok || knowsDryRun(c) {
			out = note(out, Check{Command: c, Result: NotChecked, Says: "run it with --dry-run=server"})
		}
	}
	return out, patches
}

// every are the findings of an answer and of what it was followed to.
func every(a Answer) []diagnosis.Finding {
	out := slices.Clone(a.Findings)
	for _, next := range a.Followed {
		out = append(out, every(next)...)
	}
	return out
}

// note adds a check of a command that has none yet.
func note(list []Check, c Check) []Check {
	if slices.ContainsFunc(list, func(x Check) bool { return x.Command == c.Command }) {
		return list
	}
	return append(list, c)
}

// dryRuns are the kubectl commands that change something and that the API server can be asked about beforehand.
var dryRuns = []string{"annotate", "apply", "cordon", "create", "delete", "label", "patch", "rollout undo", "scale", "set", "taint", "uncordon"}

func knowsDryRun(command string) bool {
	i := strings.LastIndex("| "+command, "| kubectl ")
	if i < 0 {
		return false
	}
	words := strings.Fields(("| " + command)[i:])[2:]
	if len(words) > 2 && words[0] == "-n" {
		words = words[2:]
	}
	verb := strings.Join(words, " ") + " "
	return slices.ContainsFunc(dryRuns, func(known string) bool { return strings.HasPrefix(verb, known+" ") })
}

func dryRun(ctx context.Context, client dynamic.Interface, p diagnosis.Patch) error {
	gv, err := schema.ParseGroupVersion(p.Object.APIVersion)
	if err != nil {
		return fmt.Errorf("read the version of %s: %w", p.Object, err)
	}
	plural, _ := meta.UnsafeGuessKindToResource(gv.WithKind(p.Object.Kind)) // right for all kinds that Kubernetes itself has
	resource := client.Resource(plural)
	var target dynamic.ResourceInterface = resource
	if p.Object.Namespace != "" {
		target = resource.Namespace(p.Object.Namespace)
	}
	var subresources []string
	if p.Subresource != "" {
		subresources = []string{p.Subresource}
	}
	options := metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}, FieldValidation: metav1.FieldValidationStrict}
	_, err = target.Patch(ctx, p.Object.Name, patchTypes[p.Type], []byte(p.Body), options, subresources...)
	return err
}

// noDryRun is what the API server says where an admission webhook of the cluster has side effects.
const noDryRun = "does not support dry run"

// verdict tells a refusal from what says nothing about the change: no answer in time, or an API server in trouble.
func verdict(err error) (Result, string) {
	var status apierrors.APIStatus
	switch {
	case err == nil:
		return Accepted, ""
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled),
		os.IsTimeout(err), apierrors.IsTimeout(err), apierrors.IsServerTimeout(err):
		return NotChecked, "no answer in time, see --timeout"
	case !errors.As(err, &status):
		return NotChecked, err.Error()
	}
	code := status.Status().Code
	if code >= http.StatusInternalServerError || code == http.StatusTooManyRequests || strings.Contains(err.Error(), noDryRun) {
		return NotChecked, err.Error()
	}
	return Refused, err.Error()
}
