// Package trial keeps what users add to a program's configuration out of what runs until the program itself has taken it:
// a Job has it try the whole configuration, and what it says is kept in a ConfigMap, so that each configuration is tried
// once. Until it is accepted, and when it is refused, what was accepted before goes on. Everything here is pure.
package trial

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/component/pods"
	"github.com/kubebot/kubebot/internal/naming"
)

// Candidate is a whole configuration with a user's part in it.
type Candidate struct {
	// Input is the user's part.
	Input string `json:"input"`
	// Image of the program.
	Image string `json:"image"`
	// Files of the configuration, by name.
	Files map[string]string `json:"files"`
	// TrialFiles are further files that only the trial needs.
	TrialFiles map[string]string `json:"-"`
	// Secrets are the user's variables.
	Secrets []v1alpha1.SecretVariable `json:"secrets,omitempty"`
}

// Env are the user's variables in the program's environment. They are optional: when a Secret goes after its trial, a pod
// that starts has an empty variable, and what does not need it goes on.
func (c Candidate) Env() []corev1.EnvVar {
	var env []corev1.EnvVar
	for _, s := range c.Secrets {
		v := pods.SecretVariable(s.Name, s.ValueSecret)
		v.ValueFrom.SecretKeyRef.Optional = new(true)
		env = append(env, v)
	}
	return env
}

// hash tells candidates apart: two of one hash get the same answer from the program.
func (c Candidate) hash() (string, error) {
	parts := []any{c.Image, c.Files, c.TrialFiles}
	if len(c.Secrets) > 0 {
		parts = append(parts, c.Secrets)
	}
	return naming.Hash(parts)
}

// Subject is a program's configuration to which a user adds.
type Subject struct {
	// Component that the program belongs to, and Field the path of the user's part in the KubeBot.
	Component, Field string
	// Program is what messages call it, such as "the collector".
	Program string
	// Input is the user's part.
	Input string
	// Render makes the whole configuration of a user's part. An InvalidError of Field speaks of the user's part; every other
	// error is one of the component.
	Render func(input string) (Candidate, error)
	// Explain makes of what the program said a short text for the user, with the line of his part where there is one.
	Explain func(input, said string) string

	// Settings say where the pod of a trial may run, and Steps what it does, one after the other.
	Settings v1alpha1.PodSettings
	Steps    []Step
	// Dir is where the files are, and Folders are empty and can be written.
	Dir     string
	Folders []string
	// Variables stand in for those that the program has where it runs.
	Variables map[string]string
	// Secrets are variables that the user's part may name, and SecretsField their path in the KubeBot. A trial waits until the
	// Secrets are there, and goes on with StandIn in place of their values: what the program says of its configuration is told
	// to people, and must hold no secret.
	Secrets      []v1alpha1.SecretVariable
	SecretsField string
	// Idle are arguments by which the program ends at once without a look at its configuration or environment. The step that
	// waits for the Secrets runs it.
	Idle []string
}

// StandIn is in place of a Secret's value while a configuration is tried. It has the form of an address, which is taken for
// a password, a token or part of a header too.
const StandIn = "https://secret.invalid:443"

// Step is one run of the program, which fails when the program refuses the configuration.
type Step struct {
	Name          string
	Command, Args []string
}

// Decision says what runs.
type Decision struct {
	// Candidate is what runs.
	Candidate
	// Objects are what the trials need, and the record of what the program has said.
	Objects []client.Object
	// Reason and Message say why the user's part does not run as it is; Reason is empty when it does.
	Reason, Message string
}

// Health adds to a component's health that the user's part does not run as it is.
func (d Decision) Health(h component.Health) component.Health {
	if d.Reason == "" {
		return h
	}
	if h.Message != "" && h.Status != "True" {
		d.Message += "; " + h.Message
	}
	h.Status, h.Reason, h.Message = "False", d.Reason, d.Message
	return h
}

// Decide says what of a configuration runs, and what is to be tried. An error is one of the component, such as an image
// that is none.
func Decide(in component.Input, s Subject) (Decision, error) {
	base, err := s.Render("")
	if err != nil || strings.TrimSpace(s.Input) == "" {
		return Decision{Candidate: base}, err
	}
	d := decider{in: in, subject: s, record: readRecord(in.Trials[s.Component].Record)}
	wanted, err := d.look(s.Input, s.Secrets)
	if err != nil {
		return Decision{}, err
	}
	out, err := d.choose(base, wanted)
	if err != nil {
		return Decision{}, err
	}
	out.Reason, out.Message = d.tell(wanted)
	out.Objects, err = d.objects(wanted)
	return out, err
}

// decider makes one decision.
type decider struct {
	in      component.Input
	subject Subject
	record  record
	// jobs are the trials that are wanted, keep the hashes whose refusal is to be remembered.
	jobs []client.Object
	keep []string
}

// outcome is what is known of a candidate.
type outcome struct {
	candidate Candidate
	hash      string
	// state is Accepted, Refused, Hindered, Missing or, while nothing is known, empty. Invalid says why the candidate could not even
	// be made, and comes with Refused.
	state   component.RunState
	invalid error
	said    string
}

// look finds out what is known of a user's part, and wants a trial when that is nothing.
func (d *decider) look(input string, secrets []v1alpha1.SecretVariable) (outcome, error) {
	c, err := d.subject.Render(input)
	c.Secrets = secrets
	var invalid *component.InvalidError
	if errors.As(err, &invalid) && invalid.Field == d.subject.Field {
		return outcome{state: component.RunRefused, invalid: err}, nil
	}
	if err != nil {
		return outcome{}, err
	}
	o := outcome{candidate: c}
	if o.hash, err = c.hash(); err != nil {
		return o, err
	}
	if accepted := d.record.Accepted; accepted != nil && accepted.Hash == o.hash {
		o.state = component.RunAccepted
		return o, nil
	}
	if said, ok := d.record.Refused[o.hash]; ok {
		o.state, o.said = component.RunRefused, said
		d.keep = append(d.keep, o.hash)
		return o, nil
	}
	name, objects, err := d.subject.job(d.in, c, o.hash)
	if err != nil {
		return o, err
	}
	run := d.in.Trials[d.subject.Component].Runs[name]
	o.state, o.said = run.State, run.Message
	switch o.state {
	case component.RunAccepted:
	case component.RunRefused:
		o.said = d.subject.words(input, run.Message)
		d.record.Refused[o.hash] = o.said
		d.keep = append(d.keep, o.hash)
	default:
		d.jobs = append(d.jobs, objects...)
	}
	return o, nil
}

// choose returns what runs: the user's part if the program takes it, else the part that it took before with what the spec
// says by now, else all that ran before, as it was. Without any that was accepted the program runs without the user's part.
func (d *decider) choose(base Candidate, wanted outcome) (Decision, error) {
	if wanted.state == component.RunAccepted {
		d.record.accept(wanted)
		return Decision{Candidate: wanted.candidate}, nil
	}
	before := d.record.Accepted
	if before == nil {
		return Decision{Candidate: base}, nil
	}
	changed := before.Input != d.subject.Input || !slices.Equal(before.Secrets, d.subject.Secrets)
	if changed && wanted.state != "" {
		again, err := d.look(before.Input, before.Secrets)
		if err != nil {
			return Decision{}, err
		}
		if again.state == component.RunAccepted {
			d.record.accept(again)
		}
		return Decision{Candidate: d.record.Accepted.Candidate}, nil
	}
	return Decision{Candidate: before.Candidate}, nil
}

// tell says why the user's part does not run, or nothing when it does.
func (d *decider) tell(wanted outcome) (reason, message string) {
	until := d.subject.Program + " runs without it"
	if d.record.Accepted != nil {
		until = d.subject.Program + " runs with what it accepted before"
	}
	field := d.subject.Field
	switch {
	case wanted.state == component.RunAccepted:
		return "", ""
	case wanted.invalid != nil:
		return v1alpha1.ReasonInvalidSpec, wanted.invalid.Error() + "; until then " + until
	case wanted.state == component.RunRefused:
		return v1alpha1.ReasonConfigRefused, fmt.Sprintf("%s: %s refuses it: %s; until it is mended, %s", field, d.subject.Program, wanted.said, until)
	case wanted.state == component.RunMissing:
		return v1alpha1.ReasonSecretMissing, fmt.Sprintf("%s: %s; until then %s", d.subject.SecretsField, wanted.said, until)
	case wanted.state == component.RunHindered:
		return v1alpha1.ReasonConfigUntried, fmt.Sprintf("%s: %s can't be asked whether it takes it: %s; until then %s",
			field, d.subject.Program, wanted.said, until)
	}
	return v1alpha1.ReasonProgressing, fmt.Sprintf("%s is being tried by %s; until it is accepted, %s", field, d.subject.Program, until)
}

// objects are those of the wanted trials, with the policy that closes the network to them, and the record.
func (d *decider) objects(wanted outcome) ([]client.Object, error) {
	objects := []client.Object{d.subject.policy(d.in.KubeBot)}
	data, err := d.record.data(d.keep)
	if err != nil {
		return nil, err
	}
	if len(data) > 0 {
		m := &corev1.ConfigMap{ObjectMeta: d.subject.meta(d.in.KubeBot, RecordName(d.in.KubeBot, d.subject.Component)), Data: data}
		m.APIVersion, m.Kind = "v1", "ConfigMap"
		objects = append(objects, m)
	}
	return append(objects, d.jobs...), nil
}

// record is what the program has said, as it is kept.
type record struct {
	// Accepted is what the program took last.
	Accepted *accepted
	// Refused are the program's words by the hash of a candidate.
	Refused map[string]string
}

type accepted struct {
	Candidate
	Hash string `json:"hash"`
}

// Keys of a record's data.
const (
	keyAccepted = "accepted"
	keyRefused  = "refused"
)

// RecordName is the name of the ConfigMap that holds the record of a component.
func RecordName(kb *v1alpha1.KubeBot, component string) string {
	return naming.Object(kb, component+"-trials")
}

// readRecord reads what data wrote. What can't be read is not known, and so tried again.
func readRecord(data map[string]string) record {
	r := record{Refused: map[string]string{}}
	var a accepted
	if json.Unmarshal([]byte(data[keyAccepted]), &a) == nil && a.Hash != "" && len(a.Files) > 0 {
		r.Accepted = &a
	}
	var refused map[string]string
	if json.Unmarshal([]byte(data[keyRefused]), &refused) == nil && refused != nil {
		r.Refused = refused
	}
	return r
}

func (r *record) accept(o outcome) {
	r.Accepted = &accepted{Candidate: o.candidate, Hash: o.hash}
}

// data is what is written: what was accepted, and the refusals of the hashes that are still of interest.
func (r *record) data(keep []string) (map[string]string, error) {
	data := map[string]string{}
	write := func(key string, value any) error {
		text, err := json.Marshal(value)
		if err != nil {
			return fmt.Errorf("write what was tried: %w", err)
		}
		data[key] = string(text)
		return nil
	}
	if r.Accepted != nil {
		if err := write(keyAccepted, r.Accepted); err != nil {
			return nil, err
		}
	}
	refused := map[string]string{}
	for _, hash := range keep {
		refused[hash] = r.Refused[hash]
	}
	if len(refused) > 0 {
		return data, write(keyRefused, refused)
	}
	return data, nil
}
