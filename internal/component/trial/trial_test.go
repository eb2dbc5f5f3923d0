package trial

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/testutil/golden"
)

// world is a program whose configuration is the base's version and a user's part, and what the cluster holds of it.
type world struct {
	t     *testing.T
	image string
	base  string
	known component.Trial
	// secrets are the variables of the user's part.
	secrets []v1alpha1.SecretVariable
}

func newWorld(t *testing.T) *world {
	return &world{t: t, image: "program:1", base: "base 1"}
}

// pass decides once, and keeps the record as the cluster would.
func (w *world) pass(input string) Decision {
	w.t.Helper()
	in := golden.Input(&v1alpha1.KubeBot{ObjectMeta: metav1.ObjectMeta{Name: "main", Namespace: "kubebot"}})
	in.Trials = map[string]component.Trial{"part": w.known}
	d, err := Decide(in, Subject{
		Component: "part", Field: "spec.part.extra", Program: "the program", Input: input,
		Render: func(input string) (Candidate, error) {
			if input == "no form" {
				return Candidate{}, &component.InvalidError{Field: "spec.part.extra", Message: "line 1: it has no form"}
			}
			return Candidate{Input: input, Image: w.image, Files: map[string]string{"config": w.base + "+" + input}}, nil
		},
		Explain: func(_, said string) string { return "line 1: " + said },
		Steps:   []Step{{Name: "check", Args: []string{"check"}}},
		Dir:     "/etc/program",
		Secrets: w.secrets, SecretsField: "spec.part.env", Idle: []string{"--version"},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.known.Record = nil
	for _, o := range d.Objects {
		if m, ok := o.(*corev1.ConfigMap); ok && m.Name == "main-part-trials" {
			w.known.Record = m.Data
		}
	}
	return d
}

// jobs are the names of those that a decision wants.
func jobs(d Decision) []string {
	var names []string
	for _, o := range d.Objects {
		if j, ok := o.(*batchv1.Job); ok {
			names = append(names, j.Name)
		}
	}
	return names
}

// answer ends the one Job that is wanted.
func (w *world) answer(d Decision, state component.RunState, said string) {
	w.t.Helper()
	names := jobs(d)
	if len(names) != 1 {
		w.t.Fatalf("%d Jobs are wanted, not one: %v", len(names), names)
	}
	w.known.Runs = map[string]component.Run{names[0]: {State: state, Message: said}}
}

// expect compares what runs, how many Jobs are wanted and the reason.
func (w *world) expect(d Decision, runs string, wanted int, reason string, in ...string) {
	w.t.Helper()
	if got := d.Image + " " + d.Files["config"]; got != runs || len(jobs(d)) != wanted || d.Reason != reason {
		w.t.Errorf("runs %q with %d Jobs, %s %s; want %q, %d, %s", got, len(jobs(d)), d.Reason, d.Message, runs, wanted, reason)
	}
	for _, part := range in {
		if !strings.Contains(d.Message, part) {
			w.t.Errorf("the message has no %q: %s", part, d.Message)
		}
	}
}

func TestTheUsersPartRunsOnceItIsAccepted(t *testing.T) {
	w := newWorld(t)
	d := w.pass("")
	w.expect(d, "program:1 base 1+", 0, "")
	if len(d.Objects) > 0 {
		t.Errorf("without a user's part there are objects: %v", d.Objects)
	}
	d = w.pass("a")
	w.expect(d, "program:1 base 1+", 1, v1alpha1.ReasonProgressing, "spec.part.extra is being tried", "runs without it")
	w.answer(d, component.RunAccepted, "")
	w.expect(w.pass("a"), "program:1 base 1+a", 0, "")
	w.known.Runs = nil // the Job is gone
	w.expect(w.pass("a"), "program:1 base 1+a", 0, "")
}

func TestWhatIsRefusedStaysOutAndTheRestGoesOn(t *testing.T) {
	w := newWorld(t)
	w.answer(w.pass("a"), component.RunAccepted, "")
	w.pass("a")
	d := w.pass("b")
	w.expect(d, "program:1 base 1+a", 1, v1alpha1.ReasonProgressing, "runs with what it accepted before")
	w.answer(d, component.RunRefused, "b is bad")
	w.expect(w.pass("b"), "program:1 base 1+a", 0, v1alpha1.ReasonConfigRefused, "spec.part.extra: the program refuses it: line 1: b is bad; until it is mended")
	w.known.Runs = nil // each is tried once
	w.expect(w.pass("b"), "program:1 base 1+a", 0, v1alpha1.ReasonConfigRefused, "b is bad")

	w.base = "base 2" // the accepted part is tried with what else has changed, beside the refused one
	d = w.pass("b")
	w.expect(d, "program:1 base 1+a", 1, v1alpha1.ReasonProgressing)
	w.answer(d, component.RunRefused, "b is still bad")
	d = w.pass("b")
	w.expect(d, "program:1 base 1+a", 1, v1alpha1.ReasonConfigRefused, "b is still bad")
	w.answer(d, component.RunAccepted, "")
	w.expect(w.pass("b"), "program:1 base 2+a", 0, v1alpha1.ReasonConfigRefused)

	d = w.pass("c")
	w.answer(d, component.RunAccepted, "")
	w.expect(w.pass("c"), "program:1 base 2+c", 0, "")
	if len(w.known.Record) != 1 {
		t.Errorf("the refusal of what nobody wants any more is still kept: %v", w.known.Record)
	}
}

func TestWithoutAnyAcceptedPartTheProgramRunsWithoutOne(t *testing.T) {
	w := newWorld(t)
	w.answer(w.pass("b"), component.RunRefused, "bad")
	w.expect(w.pass("b"), "program:1 base 1+", 0, v1alpha1.ReasonConfigRefused, "runs without it")
	w.base = "base 2" // the rest of the spec applies
	w.expect(w.pass("b"), "program:1 base 2+", 1, v1alpha1.ReasonProgressing)
	w.expect(w.pass("no form"), "program:1 base 2+", 0, v1alpha1.ReasonInvalidSpec, "spec.part.extra: line 1: it has no form")
}

func TestAnAcceptedPartThatANewImageRefusesKeepsWhatRan(t *testing.T) {
	w := newWorld(t)
	w.answer(w.pass("a"), component.RunAccepted, "")
	w.pass("a")
	w.image = "program:2"
	d := w.pass("a")
	w.expect(d, "program:1 base 1+a", 1, v1alpha1.ReasonProgressing)
	w.answer(d, component.RunRefused, "gone in 2")
	w.expect(w.pass("a"), "program:1 base 1+a", 0, v1alpha1.ReasonConfigRefused, "gone in 2")
	w.expect(w.pass(""), "program:2 base 1+", 0, "")
}

func TestATrialThatCantRunIsSaidAndRepeated(t *testing.T) {
	w := newWorld(t)
	w.answer(w.pass("a"), component.RunHindered, "its image can't be pulled")
	w.expect(w.pass("a"), "program:1 base 1+", 1, v1alpha1.ReasonConfigUntried, "can't be asked whether it takes it: its image can't be pulled", "runs without it")
	for name, run := range w.known.Runs {
		run.State = component.RunAccepted
		w.known.Runs[name] = run
	}
	w.expect(w.pass("a"), "program:1 base 1+a", 0, "")
}

func TestARecordThatCantBeReadIsTriedAgain(t *testing.T) {
	for _, record := range []map[string]string{{keyAccepted: "{", keyRefused: "["}, {keyAccepted: "{}", keyRefused: "null"}, {"a": "b"}} {
		w := newWorld(t)
		w.known.Record = maps.Clone(record)
		w.expect(w.pass("a"), "program:1 base 1+", 1, v1alpha1.ReasonProgressing)
	}
}

func TestWordsHoldNoSecretAndAreShort(t *testing.T) {
	s := Subject{Explain: func(_, said string) string { return said }}
	const input = "a:\n  password: hunter22\n  headers: {api_key: [s3cr3tvalue]}\n  name: plain\n"
	got := s.words(input, "cannot\nuse hunter22,  s3cr3tvalue and plain; token=abcdefgh "+strings.Repeat("long ", 500))
	if strings.Contains(got, "hunter22") || strings.Contains(got, "s3cr3tvalue") || strings.Contains(got, "abcdefgh") ||
		!strings.HasPrefix(got, "cannot use ***, *** and plain") || len(got) > wordsLength+len("…") {
		t.Errorf("words: %s", got)
	}
	if got := s.words("", ""); got == "" {
		t.Error("a program that says nothing leaves an empty message")
	}
}

func TestJudge(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	job := func(ago time.Duration, conditions ...batchv1.JobCondition) *batchv1.Job {
		return &batchv1.Job{
			ObjectMeta: metav1.ObjectMeta{Name: "j", Namespace: "kubebot", CreationTimestamp: metav1.NewTime(now.Add(-ago))},
			Status:     batchv1.JobStatus{Conditions: conditions},
		}
	}
	is := func(kind batchv1.JobConditionType, reason string) batchv1.JobCondition {
		return batchv1.JobCondition{Type: kind, Status: corev1.ConditionTrue, Reason: reason}
	}
	pod := func(s corev1.PodStatus) []corev1.Pod {
		return []corev1.Pod{{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "check", Image: "program:1"}}}, Status: s}}
	}
	ended := func(code int32, reason, said string) []corev1.Pod {
		return pod(corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{Name: "check", State: corev1.ContainerState{
			Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Reason: reason, Message: said},
		}}}})
	}
	waits := func(reason string) []corev1.Pod {
		return pod(corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{Name: "check", State: corev1.ContainerState{
			Waiting: &corev1.ContainerStateWaiting{Reason: reason},
		}}}})
	}
	lacks := func(said string) []corev1.Pod {
		return pod(corev1.PodStatus{InitContainerStatuses: []corev1.ContainerStatus{{Name: "secrets", State: corev1.ContainerState{
			Waiting: &corev1.ContainerStateWaiting{Reason: "CreateContainerConfigError", Message: said},
		}}}})
	}
	for name, c := range map[string]struct {
		job   *batchv1.Job
		pods  []corev1.Pod
		state component.RunState
		in    string
	}{
		"it has just been made":    {job(time.Second), nil, "", ""},
		"it starts":                {job(time.Minute), waits("ContainerCreating"), "", ""},
		"it was accepted":          {job(time.Minute, is(batchv1.JobComplete, "")), ended(0, "Completed", ""), component.RunAccepted, ""},
		"it was refused":           {job(time.Minute), ended(1, "Error", "bad option"), component.RunRefused, "bad option"},
		"it was refused with -1":   {job(time.Minute, is(batchv1.JobFailed, "BackoffLimitExceeded")), ended(255, "Error", "bad option"), component.RunRefused, "bad option"},
		"it crashes":               {job(time.Minute), ended(139, "Error", "Fluent Bit v5"), component.RunRefused, "crashes with it (exit code 139, signal 11)"},
		"a library is missing":     {job(time.Minute), ended(127, "Error", "Fluent Bit v5"), component.RunHindered, "exit code 127"},
		"too little memory":        {job(time.Minute), ended(137, "OOMKilled", ""), component.RunHindered, "OOMKilled"},
		"no such program":          {job(time.Minute), ended(128, "StartError", "exec: not found"), component.RunHindered, "StartError"},
		"the image can't be had":   {job(time.Minute), waits("ImagePullBackOff"), component.RunHindered, "image program:1 can't be pulled"},
		"the container can't be":   {job(time.Minute), waits("CreateContainerConfigError"), component.RunHindered, "CreateContainerConfigError"},
		"a Secret is missing":      {job(time.Hour), lacks(`secret "vendor" not found`), component.RunMissing, "there is no Secret vendor"},
		"a key is missing":         {job(time.Hour), lacks("couldn't find key token in Secret kubebot/vendor"), component.RunMissing, "the Secret vendor has no key token"},
		"a Secret can't be read":   {job(time.Hour), lacks("failed to sync secret cache: timed out"), component.RunHindered, "CreateContainerConfigError"},
		"no pod is made":           {job(time.Minute), nil, component.RunHindered, "quota"},
		"no time is left":          {job(time.Minute, is(batchv1.JobFailed, batchv1.JobReasonDeadlineExceeded)), nil, component.RunHindered, "did not end in time"},
		"the pod is gone":          {job(time.Minute, is(batchv1.JobFailed, "BackoffLimitExceeded")), nil, component.RunHindered, "gone before it was heard"},
		"the pod was evicted":      {job(time.Minute), pod(corev1.PodStatus{Phase: corev1.PodFailed, Reason: "Evicted"}), component.RunHindered, "Evicted"},
		"there is no node for it":  {job(time.Minute), pod(corev1.PodStatus{Conditions: []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable}}}), component.RunHindered, "no node can take"},
		"a condition that is over": {job(time.Second, batchv1.JobCondition{Type: batchv1.JobFailed, Status: corev1.ConditionFalse}), nil, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Judge(c.job, c.pods, now); got.State != c.state || !strings.Contains(got.Message, c.in) {
				t.Errorf("Judge = %+v, want %s and %q", got, c.state, c.in)
			}
		})
	}
}

// The name of a Job becomes the value of a label.
func TestNamesOfJobsAreShortAndTellTrialsApart(t *testing.T) {
	in := golden.Input(&v1alpha1.KubeBot{ObjectMeta: metav1.ObjectMeta{Name: strings.Repeat("long", 10), Namespace: "kubebot"}})
	names := map[string]bool{}
	for i, change := range []func(*Subject, *Candidate){
		func(*Subject, *Candidate) {},
		func(_ *Subject, c *Candidate) { c.Image = "program:2" },
		func(_ *Subject, c *Candidate) { c.Files = map[string]string{"config": "b"} },
		func(_ *Subject, c *Candidate) { c.TrialFiles = map[string]string{"trial": "b"} },
		func(s *Subject, _ *Candidate) { s.Settings.NodeSelector = map[string]string{"disk": "ssd"} },
	} {
		s := Subject{Component: "fluent-bit", Dir: "/d", Steps: []Step{{Name: "check"}}}
		c := Candidate{Image: "program:1", Files: map[string]string{"config": "a"}}
		change(&s, &c)
		hash, err := c.hash()
		if err != nil {
			t.Fatal(err)
		}
		name, _, err := s.job(in, c, hash)
		if err != nil || len(name) > 63 || names[name] {
			t.Errorf("%d: %s of %d characters, %v", i, name, len(name), err)
		}
		names[name] = true
	}
	if len(names) != 5 {
		t.Errorf("%s", fmt.Sprint(names))
	}
}
