package proof

import (
	"encoding/json"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/component/observe"
	"github.com/kubebot/kubebot/internal/endpoints"
	"github.com/kubebot/kubebot/internal/naming"
	"github.com/kubebot/kubebot/internal/pipeline/config"
)

const (
	keyStatus  = "status"
	keyWatcher = "watcher"
)

// watched asks for the process that watches events if it has read any of late, also those of its first list.
const watched = `sum(increase(otelcol_receiver_accepted_log_records_total{job="` + endpoints.JobCollector +
	`", receiver="` + endpoints.EventsReceiver + `"}[2m])) > 0`

// Questions implements component.Component.
func (Component) Questions(in component.Input) []component.Question {
	if Config(in.KubeBot) == nil {
		return nil
	}
	questions := []component.Question{{
		Key: keyStatus, URL: endpoints.ResponderStatus(in.KubeBot), Authenticated: true, ReplicasOf: naming.Object(in.KubeBot, "responder"),
	}}
	if in.KubeBot.Spec.Metrics.Prometheus.Mode.Managed() {
		questions = append(questions, component.Question{Key: keyWatcher, URL: observe.Query(endpoints.Prometheus(in.KubeBot), watched)})
	}
	return questions
}

// Health implements component.Component.
func (Component) Health(in component.Input, seen component.Observed) component.Health {
	known := read(seen)
	var health component.Health
	for i, s := range signals {
		h := judge(in.KubeBot, s, known, seen.Now)
		if i == 0 {
			health.Status, health.Reason, health.Message = h.Status, h.Reason, h.Message
			continue
		}
		health.Extra = append(health.Extra, metav1.Condition{Type: s.condition, Status: h.Status, Reason: h.Reason, Message: h.Message})
	}
	if watcherIsMute(in.KubeBot, known, seen.Now) && !watcherReads(seen) {
		health.Restarts = []component.Restart{{
			Deployment: naming.Object(in.KubeBot, endpoints.EventsWatcher), After: mute,
			Why: "it runs, and no event of the cluster came out of it of late, while lines reach Loki",
		}}
	}
	return health
}

// watcherIsMute tells that the process that watches events is to blame: lines take the same way from the samplers on. The
// collector's watch ends for good, and its process goes on, when the API server once refuses it, as one that has just
// begun may (k8sobjectsreceiver 0.145 on a RetryWatcher that is done).
func watcherIsMute(kb *v1alpha1.KubeBot, known knowledge, now time.Time) bool {
	since := known.proven[config.SignalEvents]
	if since.Before(known.started) {
		since = known.started
	}
	lines := known.proven[config.SignalLogs]
	return kb.Spec.Events.Collection != v1alpha1.SwitchDisabled && logsOff(kb) == "" && !known.started.IsZero() &&
		now.Sub(since) > mute && now.Sub(lines) <= lately
}

// watcherReads tells that events come into the watcher, if not out: one that still sends the first list of a large cluster
// would never come to its end if it was restarted.
func watcherReads(seen component.Observed) bool {
	vector, err := observe.Vector(seen.Answers[keyWatcher])
	return err == nil && len(vector) > 0
}

// knowledge is what the replicas of the responder know together.
type knowledge struct {
	// started is since when the oldest of them waits for proofs; zero when none answers.
	started  time.Time
	proven   map[string]time.Time
	problems map[string]string
}

func read(seen component.Observed) knowledge {
	k := knowledge{proven: map[string]time.Time{}, problems: map[string]string{}}
	for key, answer := range seen.Answers {
		var r config.Report
		if !strings.HasPrefix(key, keyStatus+"/") || observe.Unanswered(answer) != "" || json.Unmarshal(answer.Body, &r) != nil || r.Proof == nil {
			continue
		}
		if k.started.IsZero() || r.Proof.Started.Before(k.started) {
			k.started = r.Proof.Started
		}
		for _, s := range r.Proof.Signals {
			if s.Proven.After(k.proven[s.Name]) {
				k.proven[s.Name] = s.Proven
			}
			if s.Problem != "" && (k.problems[s.Name] == "" || s.Problem < k.problems[s.Name]) {
				k.problems[s.Name] = s.Problem
			}
		}
	}
	return k
}

func judge(kb *v1alpha1.KubeBot, s signal, known knowledge, now time.Time) component.Health {
	if why := s.off(kb); why != "" {
		return observe.NotReady(v1alpha1.ReasonDisabled, why)
	}
	last := known.proven[s.name]
	switch {
	case known.started.IsZero():
		return observe.NotReady(v1alpha1.ReasonProgressing, "the responder, which proves it, does not answer")
	case !last.IsZero() && now.Sub(last) <= patience:
		return component.Health{Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonFlowing, Message: s.proven(kb)}
	case last.IsZero() && now.Sub(known.started) <= patience:
		return observe.NotReady(v1alpha1.ReasonProgressing, "waits for the first proof"+problem(known, s))
	}
	return observe.NotReady(v1alpha1.ReasonNoProof, s.lost(kb)+problem(known, s))
}

func problem(known knowledge, s signal) string {
	if text := known.problems[s.name]; text != "" {
		return ": " + text
	}
	return ""
}
