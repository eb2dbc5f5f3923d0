// Package interact is what people do to an Incident by a button: a pure function from the Incident and a press to the
// changed Incident and a sentence for the person. Who pressed what is recorded in the Incident, by which the same press
// is taken once, however often and through whichever replica it arrives.
package interact

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubebot/kubebot/api/v1alpha1"
)

// Action is what a button asks for.
type Action string

// Actions. CauseIs is followed by the place of the right cause, as in cause-is-2.
const (
	Acknowledge Action = "acknowledge"
	Release     Action = "release"
	SilenceHour Action = "silence-1h"
	SilenceDay  Action = "silence-1d"
	Unsilence   Action = "unsilence"
	Mattered    Action = "mattered"
	Noise       Action = "noise"
	CauseRight  Action = "cause-right"
	CauseWrong  Action = "cause-wrong"
	CauseIs     Action = "cause-is-"
	Details     Action = "details"
)

// maxCauses is how many causes an Incident holds.
const maxCauses = 5

// Right is what a person needs to be allowed for an action.
type Right string

// Rights, as spec.alerting.receivers[].slack.interactions.allow names them.
const (
	RightAcknowledge Right = "acknowledge"
	RightSilence     Right = "silence"
	RightFeedback    Right = "feedback"
	RightDetails     Right = "details"
)

// rights of the actions.
var rights = map[Action]Right{
	Acknowledge: RightAcknowledge, Release: RightAcknowledge,
	SilenceHour: RightSilence, SilenceDay: RightSilence, Unsilence: RightSilence,
	Mattered: RightFeedback, Noise: RightFeedback, CauseRight: RightFeedback, CauseWrong: RightFeedback,
	Details: RightDetails,
}

// Parse reads an action.
func Parse(text string) (Action, bool) {
	a := Action(text)
	if _, ok := rights[a]; ok {
		return a, true
	}
	_, ok := a.place()
	return a, ok
}

// place is the place of the cause that is the right one.
func (a Action) place() (int32, bool) {
	rest, ok := strings.CutPrefix(string(a), string(CauseIs))
	if !ok || len(rest) != 1 || rest[0] < '1' || rest[0] > '0'+maxCauses {
		return 0, false
	}
	return int32(rest[0] - '0'), true
}

// Right returns what a person needs to be allowed for the action.
func (a Action) Right() Right {
	if _, ok := a.place(); ok {
		return RightFeedback
	}
	return rights[a]
}

// duration of a silence; 0 for other actions.
func (a Action) duration() time.Duration {
	switch a {
	case SilenceHour:
		return time.Hour
	case SilenceDay:
		return 24 * time.Hour
	}
	return 0
}

// Press is a person pressing a button.
type Press struct {
	// ID is the same however often the press arrives, and no other press has it; at most 64 characters.
	ID     string
	Action Action
	// By names the person for people and in records, such as anna (Slack U0123456789).
	By string
	// At is when the button was pressed.
	At time.Time
	// Cause is the CauseKey of the cause that the person saw and judges; empty for the one in the action's place.
	Cause string
}

// CauseKey is short and tells causes apart, however they are worded and wherever they stand in the list.
func CauseKey(c v1alpha1.Cause) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{c.Object.Kind, c.Object.Namespace, c.Object.Name, string(c.Kind), c.Field}, "\n")))
	return hex.EncodeToString(sum[:6])
}

// Judges returns the place, from 1, of the cause that an action judges by itself; false for actions about no cause.
func (a Action) Judges() (int32, bool) {
	if a == CauseRight || a == CauseWrong {
		return 1, true
	}
	return a.place()
}

// Outcome is what became of a press.
type Outcome struct {
	// Text is a sentence for the person.
	Text string
	// Changed means that the Incident is to be written.
	Changed bool
	// Silence means that Alertmanager is to be told.
	Silence bool
	// Others asks the person which of the other causes is the right one.
	Others bool
}

// Bounds of the lists in an Incident.
const (
	maxActions  = 32
	maxFeedback = 32
)

// Apply returns the Incident after the press. It is pure: in is not changed.
func Apply(in *v1alpha1.Incident, p Press, now time.Time) (*v1alpha1.Incident, Outcome) {
	out := in.DeepCopy()
	if slices.ContainsFunc(in.Spec.Actions, func(a v1alpha1.PersonAction) bool { return a.ID == p.ID }) {
		return out, repeated(in, p, now)
	}
	outcome := apply(out, p, now)
	if outcome.Changed || outcome.Others || p.Action == Details {
		outcome.Changed = true
		record(out, p)
	}
	return out, outcome
}

// record notes who pressed what. The oldest goes when there are too many.
func record(inc *v1alpha1.Incident, p Press) {
	inc.Spec.Actions = append(inc.Spec.Actions, v1alpha1.PersonAction{ID: p.ID, Action: string(p.Action), By: p.By, At: stamp(p.At)})
	if extra := len(inc.Spec.Actions) - maxActions; extra > 0 {
		inc.Spec.Actions = slices.Delete(inc.Spec.Actions, 0, extra)
	}
}

// repeated answers a press that was taken before, without doing it again.
func repeated(inc *v1alpha1.Incident, p Press, now time.Time) Outcome {
	out := Outcome{Text: "This was done already."}
	switch p.Action {
	case SilenceHour, SilenceDay, Unsilence:
		out.Silence = inc.Spec.Silence != nil || inc.Status.Silence != nil
	case CauseWrong:
		c := inc.Spec.Cause
		out.Others = len(inc.Status.Causes) > 1 && c != nil && c.Reject != nil
	}
	if s := inc.Spec.Silence; s != nil && p.Action.duration() > 0 && s.Until.After(now) {
		out.Text = fmt.Sprintf("Silenced until %s.", Clock(s.Until.Time))
	}
	return out
}

func stamp(t time.Time) metav1.Time { return metav1.NewTime(t.UTC().Truncate(time.Second)) }

// Clock is how times are shown to people.
func Clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

func over(inc *v1alpha1.Incident) bool {
	return inc.Status.State == v1alpha1.IncidentResolved || inc.Status.State == v1alpha1.IncidentClosed
}

func apply(inc *v1alpha1.Incident, p Press, now time.Time) Outcome {
	switch p.Action {
	case Acknowledge, Release:
		return acknowledge(inc, p)
	case SilenceHour, SilenceDay:
		return silence(inc, p, now)
	case Unsilence:
		return unsilence(inc)
	case Mattered:
		return judge(inc, p, v1alpha1.FeedbackMattered, "Recorded: this mattered.")
	case Noise:
		return judge(inc, p, v1alpha1.FeedbackNoise, "Recorded: this was noise.")
	case Details:
		return Outcome{}
	}
	return cause(inc, p)
}

func acknowledge(inc *v1alpha1.Incident, p Press) Outcome {
	have := inc.Spec.Acknowledge
	switch {
	case over(inc):
		return Outcome{Text: "The incident is over: there is nothing to acknowledge."}
	case p.Action == Release && have == nil:
		return Outcome{Text: "Nobody has acknowledged the incident."}
	case p.Action == Release:
		inc.Spec.Acknowledge = nil
		return Outcome{Text: "The incident is no longer acknowledged.", Changed: true}
	case have != nil && have.By == p.By:
		return Outcome{Text: "You have acknowledged the incident already."}
	case have != nil:
		return Outcome{Text: fmt.Sprintf("%s has acknowledged the incident already.", someone(have.By))}
	}
	inc.Spec.Acknowledge = &v1alpha1.Request{By: p.By}
	return Outcome{Text: "You have acknowledged the incident.", Changed: true}
}

func someone(by string) string {
	if by == "" {
		return "Somebody"
	}
	return by
}

// silence counts from the press, so that a press which arrives late or twice asks for the same.
func silence(inc *v1alpha1.Incident, p Press, now time.Time) Outcome {
	until := stamp(p.At.Add(p.Action.duration()))
	switch have := inc.Spec.Silence; {
	case over(inc):
		return Outcome{Text: "The incident is over: there is nothing to silence."}
	case !until.After(now):
		return Outcome{Text: "The button was pressed too long ago: press it again."}
	case len(Matchers(inc)) == 0:
		return Outcome{Text: "No alert of the incident came from Alertmanager, so there is nothing that it could silence. Acknowledge the incident instead."}
	case have != nil && !have.Until.Before(&until):
		return Outcome{Text: fmt.Sprintf("%s has silenced the incident until %s already.", someone(have.By), Clock(have.Until.Time)), Silence: true}
	}
	inc.Spec.Silence = &v1alpha1.SilenceRequest{By: p.By, Until: until}
	return Outcome{Text: fmt.Sprintf("Silenced until %s.", Clock(until.Time)), Changed: true, Silence: true}
}

func unsilence(inc *v1alpha1.Incident) Outcome {
	if inc.Spec.Silence == nil {
		return Outcome{Text: "The incident is not silenced.", Silence: inc.Status.Silence != nil}
	}
	inc.Spec.Silence = nil
	return Outcome{Text: "The silence is ended.", Changed: true, Silence: true}
}

func judge(inc *v1alpha1.Incident, p Press, verdict v1alpha1.FeedbackVerdict, text string) Outcome {
	mine := func(f v1alpha1.Feedback) bool { return f.By == p.By }
	if i := slices.IndexFunc(inc.Spec.Feedback, mine); i >= 0 && inc.Spec.Feedback[i].Verdict == verdict {
		return Outcome{Text: "You have said so already. Thank you."}
	}
	inc.Spec.Feedback = append(slices.DeleteFunc(inc.Spec.Feedback, mine), v1alpha1.Feedback{Verdict: verdict, By: p.By, At: stamp(p.At)})
	if extra := len(inc.Spec.Feedback) - maxFeedback; extra > 0 {
		inc.Spec.Feedback = slices.Delete(inc.Spec.Feedback, 0, extra)
	}
	return Outcome{Text: text + " Thank you: KubeBot learns from it.", Changed: true}
}

// cause writes the judgement of the named causes into the field that kubectl writes too; the last word counts.
func cause(inc *v1alpha1.Incident, p Press) Outcome {
	if len(inc.Status.Causes) == 0 {
		return Outcome{Text: "The incident names no cause."}
	}
	place, _ := p.Action.Judges()
	if p.Cause != "" {
		place = 1 + int32(slices.IndexFunc(inc.Status.Causes, func(c v1alpha1.Cause) bool { return CauseKey(c) == p.Cause }))
	}
	if place < 1 || int(place) > len(inc.Status.Causes) {
		return Outcome{Text: "The causes have changed since: look at the incident again."}
	}
	says, out := v1alpha1.CauseJudgement{Confirm: &place, By: p.By}, Outcome{Text: "Recorded: the cause is right."}
	switch {
	case p.Action == CauseWrong:
		says.Confirm, says.Reject = nil, &place
		out = Outcome{Text: "Recorded: the cause is wrong.", Others: len(inc.Status.Causes) > 1}
	case place > 1:
		out.Text = fmt.Sprintf("Recorded: the right cause is %s %s.", inc.Status.Causes[place-1].Object.Kind, inc.Status.Causes[place-1].Object.Name)
	}
	if have := inc.Spec.Cause; have != nil && have.By == p.By && reflect.DeepEqual([]*int32{have.Confirm, have.Reject}, []*int32{says.Confirm, says.Reject}) {
		out.Text = "You have said so already. Thank you."
		return out
	}
	inc.Spec.Cause, out.Changed = &says, true
	out.Text += " Thank you: KubeBot learns from it."
	return out
}
