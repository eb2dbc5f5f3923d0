package trial

import (
	"slices"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
)

func variable(name, secret string) v1alpha1.SecretVariable {
	return v1alpha1.SecretVariable{Name: name, ValueSecret: v1alpha1.SecretKeyRef{Name: secret, Key: "token"}}
}

// sources are the Secrets of a decision's variables.
func sources(d Decision) (names []string) {
	for _, v := range d.Env() {
		names = append(names, v.Name+"="+v.ValueFrom.SecretKeyRef.Name)
	}
	return names
}

func TestAMissingSecretIsSaidAndWhatRanGoesOn(t *testing.T) {
	w := newWorld(t)
	w.secrets = []v1alpha1.SecretVariable{variable("TOKEN", "vendor")}
	d := w.pass("a")
	w.expect(d, "program:1 base 1+", 1, v1alpha1.ReasonProgressing)
	w.answer(d, component.RunMissing, "there is no Secret vendor: make it")
	d = w.pass("a")
	w.expect(d, "program:1 base 1+", 1, v1alpha1.ReasonSecretMissing, "spec.part.env: there is no Secret vendor: make it; until then the program runs without it")
	if len(d.Env()) > 0 {
		t.Errorf("the program has the variables of a part that does not run: %v", d.Env())
	}
	for name, run := range w.known.Runs {
		run.State = component.RunAccepted
		w.known.Runs[name] = run
	}
	d = w.pass("a")
	w.expect(d, "program:1 base 1+a", 0, "")
	if got := sources(d); !slices.Equal(got, []string{"TOKEN=vendor"}) {
		t.Errorf("the program has the variables %v", got)
	}
	w.known.Runs = nil // the Job is gone, and what was accepted is known with its variables
	d = w.pass("a")
	w.expect(d, "program:1 base 1+a", 0, "")
	if got := sources(d); !slices.Equal(got, []string{"TOKEN=vendor"}) {
		t.Errorf("later the program has the variables %v", got)
	}
}

// A part that does not get in takes no variable from the one that runs.
func TestVariablesBelongToThePartThatTheyCameWith(t *testing.T) {
	w := newWorld(t)
	w.secrets = []v1alpha1.SecretVariable{variable("TOKEN", "vendor")}
	w.answer(w.pass("a"), component.RunAccepted, "")
	w.pass("a")
	w.secrets = []v1alpha1.SecretVariable{variable("TOKEN", "other")}
	d := w.pass("a") // the same text with another Secret is tried
	w.expect(d, "program:1 base 1+a", 1, v1alpha1.ReasonProgressing)
	if got := sources(d); !slices.Equal(got, []string{"TOKEN=vendor"}) {
		t.Errorf("while another Secret is tried the variables are %v", got)
	}
	w.base = "base 2" // what else changes gets in with what was accepted
	w.answer(w.pass("a"), component.RunMissing, "there is no Secret other")
	d = w.pass("a")
	if len(jobs(d)) != 2 {
		t.Errorf("%d Jobs, want that of the changed part and that of the accepted one", len(jobs(d)))
	}
	if got := sources(d); !slices.Equal(got, []string{"TOKEN=vendor"}) {
		t.Errorf("while a Secret is missing the variables are %v", got)
	}
}

// What the program says of a configuration is told to people, so while it is tried it has no value of a Secret; where it
// runs, a Secret that goes keeps no pod from starting.
func TestATrialWaitsForSecretsAndShowsThemToNobody(t *testing.T) {
	w := newWorld(t)
	w.secrets = []v1alpha1.SecretVariable{variable("TOKEN", "vendor")}
	d := w.pass("a")
	i := slices.IndexFunc(d.Objects, func(o client.Object) bool { _, ok := o.(*batchv1.Job); return ok })
	pod := d.Objects[i].(*batchv1.Job).Spec.Template.Spec
	wait, try := pod.InitContainers[0], pod.Containers[0]
	if ref := wait.Env[0].ValueFrom.SecretKeyRef; ref.Name != "vendor" || ref.Optional != nil || !slices.Equal(wait.Args, []string{"--version"}) ||
		wait.TerminationMessagePolicy != corev1.TerminationMessageReadFile || len(wait.VolumeMounts) > 0 {
		t.Errorf("the step that waits: %+v", wait)
	}
	if got := try.Env; len(got) != 1 || got[0] != (corev1.EnvVar{Name: "TOKEN", Value: StandIn}) {
		t.Errorf("the program that tries has %v", got)
	}
	w.answer(d, component.RunAccepted, "")
	d = w.pass("a")
	if got := d.Env(); len(got) != 1 || !*got[0].ValueFrom.SecretKeyRef.Optional {
		t.Errorf("the program that runs has %v", got)
	}
	for key, text := range w.known.Record {
		if strings.Contains(text, StandIn) {
			t.Errorf("the record's %s holds a value: %s", key, text)
		}
	}
}
