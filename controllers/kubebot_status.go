package controllers

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/apply"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/status"
)

// Bounds of the API type.
const (
	maxConditions   = 32
	maxEndpoints    = 32
	maxOmittedRules = 128
)

// monitoringGroup is the API group of the Prometheus Operator.
const monitoringGroup = "monitoring.coreos.com"

// personMustAct are the reasons that do not go away by waiting.
var personMustAct = map[string]bool{
	v1alpha1.ReasonInvalidSpec:        true,
	v1alpha1.ReasonConfigRefused:      true,
	v1alpha1.ReasonCRDsMissing:        true,
	v1alpha1.ReasonSecretMissing:      true,
	v1alpha1.ReasonNameTaken:          true,
	v1alpha1.ReasonReceiverRefused:    true,
	v1alpha1.ReasonClusterScopeTaken:  true,
	v1alpha1.ReasonNamespaceNotServed: true,
}

// onlySaid are reasons that tell of a weakness outside the stack, of a choice, or of what has a substitute: the stack is
// ready all the same, and the summary mentions them.
var onlySaid = map[string]bool{
	v1alpha1.ReasonNoReceivers:        true,
	v1alpha1.ReasonHistoryUnavailable: true,
	v1alpha1.ReasonUndelivered:        true,
	v1alpha1.ReasonTrainingFailed:     true,
	v1alpha1.ReasonWeightsUnusable:    true,
}

// seen is what the status is made from.
type seen struct {
	now        time.Time
	generation int64
	suspended  bool
	// previous is the status before the pass, inventory and clusterName what the status shall have.
	previous    v1alpha1.KubeBotStatus
	inventory   []v1alpha1.ObjectRef
	clusterName string
	// languages that the OpenTelemetry Operator instruments.
	languages []string
	// changed tells that objects were written or removed.
	changed bool
	// failure ended the pass; pruneFailure did not.
	failure, pruneFailure error
	parts                 []seenPart
	// volumes tells of those that are smaller than the spec says.
	volumes []metav1.Condition
}

// seenPart is what was seen of one component.
type seenPart struct {
	conditionType string
	health        component.Health
	missing       []schema.GroupVersionKind
	err           error
}

func (s *scope) seen(now time.Time) seen {
	out := seen{
		now: now, generation: s.kb.Generation, suspended: s.kb.Spec.Suspend, previous: s.previous,
		inventory: s.kb.Status.Inventory, clusterName: s.input.ClusterName, languages: s.input.Injection.Languages, changed: s.changed,
		failure: s.err, pruneFailure: s.pruneErr, volumes: s.volumes,
	}
	for _, p := range s.parts {
		out.parts = append(out.parts, seenPart{p.component.ConditionType(), p.health, p.missing, p.err})
	}
	return out
}

// summarize makes the status from what was seen. It is pure.
func summarize(in seen) v1alpha1.KubeBotStatus {
	out := v1alpha1.KubeBotStatus{ObservedGeneration: in.generation, ClusterName: in.clusterName, Inventory: in.inventory}
	switch {
	case status.AsStall(in.failure) != nil:
		stall := status.AsStall(in.failure)
		out.Conditions = stalled(stall.Reason, stall.Message)
	case in.failure != nil:
		out = kept(in, out)
	default:
		out = judged(in, out)
	}
	out.Conditions = status.Conditions(in.previous.Conditions, out.Conditions, in.generation, in.now)
	return out
}

func stalled(reason, message string) []metav1.Condition {
	return []metav1.Condition{
		{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: reason, Message: message},
		{Type: v1alpha1.ConditionStalled, Status: metav1.ConditionTrue, Reason: reason, Message: message},
	}
}

// kept leaves what is known of the components as it was: the pass ended before it could look.
func kept(in seen, out v1alpha1.KubeBotStatus) v1alpha1.KubeBotStatus {
	out.ClusterName, out.Endpoints, out.OmittedRules = in.previous.ClusterName, in.previous.Endpoints, in.previous.OmittedRules
	out.Analysis, out.InstrumentedLanguages = in.previous.Analysis, in.previous.InstrumentedLanguages
	reason, progress := v1alpha1.ReasonApplyFailed, v1alpha1.ConditionReconciling
	switch {
	case status.AsWait(in.failure) != nil:
		reason = v1alpha1.ReasonProgressing
	case apply.AsTaken(in.failure) != nil:
		reason, progress = v1alpha1.ReasonNameTaken, v1alpha1.ConditionStalled
	}
	message := apply.Message(in.failure)
	out.Conditions = []metav1.Condition{
		{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: reason, Message: message},
		{Type: progress, Status: metav1.ConditionTrue, Reason: reason, Message: message},
	}
	for _, c := range in.previous.Conditions {
		switch c.Type {
		case v1alpha1.ConditionReady, v1alpha1.ConditionReconciling, v1alpha1.ConditionStalled:
		default:
			out.Conditions = append(out.Conditions, c)
		}
	}
	return out
}

// judged makes the status of a whole pass.
func judged(in seen, out v1alpha1.KubeBotStatus) v1alpha1.KubeBotStatus {
	var components []metav1.Condition
	var extras []metav1.Condition
	out.InstrumentedLanguages = in.languages
	for _, p := range in.parts {
		components = append(components, partCondition(p))
		extras = append(extras, p.health.Extra...)
		out.Endpoints = append(out.Endpoints, p.health.Endpoints...)
		out.OmittedRules = append(out.OmittedRules, p.health.OmittedRules...)
		switch {
		case p.health.Analysis != nil:
			out.Analysis = inUseSince(in, *p.health.Analysis)
		case p.err != nil && p.conditionType == v1alpha1.ConditionTrainingReady: // it was not looked at
			out.Analysis = in.previous.Analysis
		}
	}
	out.Endpoints = unique(out.Endpoints, func(e v1alpha1.Endpoint) string { return e.Name }, maxEndpoints)
	out.OmittedRules = unique(out.OmittedRules, func(o v1alpha1.OmittedRule) string { return o.Name }, maxOmittedRules)
	components = merged(slices.Concat(components, extras, in.volumes))
	components = components[:min(len(components), maxConditions-3)]
	out.Conditions = append(summary(in, components), components...)
	return out
}

// inUseSince says since when the weights of the analysis are in use: since they were first seen to be.
func inUseSince(in seen, a v1alpha1.AnalysisStatus) *v1alpha1.AnalysisStatus {
	a.Since = &metav1.Time{Time: in.now.UTC().Truncate(time.Second)}
	if had := in.previous.Analysis; had != nil && had.Weights == a.Weights && had.Since != nil {
		a.Since = had.Since
	}
	return &a
}

// partCondition returns the condition of a component. What hindered its objects comes before what was seen of it.
func partCondition(p seenPart) metav1.Condition {
	c := metav1.Condition{Type: p.conditionType, Status: metav1.ConditionFalse}
	switch {
	case asInvalid(p.err) != nil:
		c.Reason, c.Message = v1alpha1.ReasonInvalidSpec, asInvalid(p.err).Error()
	case status.AsWait(p.err) != nil:
		c.Reason, c.Message = v1alpha1.ReasonProgressing, apply.Message(p.err)
	case apply.AsTaken(p.err) != nil:
		c.Reason, c.Message = v1alpha1.ReasonNameTaken, apply.Message(p.err)
	case p.err != nil:
		c.Reason, c.Message = v1alpha1.ReasonApplyFailed, apply.Message(p.err)
	case len(p.missing) > 0:
		c.Reason, c.Message = missing(p.missing)
	default:
		c.Status, c.Reason, c.Message = p.health.Status, p.health.Reason, p.health.Message
	}
	return c
}

// missing says which kinds the cluster lacks, and how to get them.
func missing(kinds []schema.GroupVersionKind) (reason, message string) {
	var names []string
	operator := true
	for _, gvk := range kinds {
		names = append(names, gvk.Kind+"."+gvk.GroupVersion().String())
		operator = operator && gvk.Group == monitoringGroup
	}
	what := "The cluster does not have " + strings.Join(names, ", ")
	if !operator {
		return v1alpha1.ReasonApplyFailed, what + ": a newer Kubernetes is needed"
	}
	return v1alpha1.ReasonCRDsMissing, what + ": install the Prometheus Operator, by the chart's value " +
		"prometheusOperator.install=true or by its own bundle (kubectl create -f " +
		"https://github.com/prometheus-operator/prometheus-operator/releases/download/v0.94.1/bundle.yaml); " +
		"KubeBot goes on by itself"
}

// summary returns Ready, and Reconciling or Stalled while one of them is true.
func summary(in seen, conditions []metav1.Condition) []metav1.Condition {
	var problems, notes []metav1.Condition
	total := 0
	for _, c := range conditions {
		name, counts := counted(c.Type)
		if !counts || c.Reason == v1alpha1.ReasonDisabled {
			continue
		}
		if name != c.Type {
			total++
		}
		c.Type = name
		switch {
		case c.Status == metav1.ConditionTrue:
		case onlySaid[c.Reason]:
			notes = append(notes, c)
		default:
			problems = append(problems, c)
		}
	}
	if in.pruneFailure != nil {
		problems = append(problems, metav1.Condition{Type: "Removal", Reason: v1alpha1.ReasonPruneFailed, Message: apply.Message(in.pruneFailure)})
	}
	// What only a person can end comes first: it is what the summary's reason tells.
	slices.SortStableFunc(problems, func(a, b metav1.Condition) int {
		switch {
		case personMustAct[a.Reason] == personMustAct[b.Reason]:
			return 0
		case personMustAct[a.Reason]:
			return -1
		}
		return 1
	})
	ready := metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonReady}
	ready.Message = fmt.Sprintf("All %d components are ready", total-len(notes))
	if len(problems) > 0 {
		ready.Status, ready.Reason, ready.Message = metav1.ConditionFalse, problems[0].Reason, told(problems)
	} else if len(notes) > 0 {
		ready.Message += "; " + told(notes)
	}
	if in.suspended {
		ready.Reason, ready.Message = v1alpha1.ReasonSuspended, "Suspended, nothing is changed; "+ready.Message
	}
	return append([]metav1.Condition{ready}, progress(in, problems)...)
}

// progress returns Stalled when a person must act, or Reconciling while a change is on its way, or nothing.
func progress(in seen, problems []metav1.Condition) []metav1.Condition {
	var acts, moves []metav1.Condition
	for _, c := range problems {
		if personMustAct[c.Reason] {
			acts = append(acts, c)
		} else if c.Reason == v1alpha1.ReasonProgressing {
			moves = append(moves, c)
		}
	}
	fresh := in.changed || in.previous.ObservedGeneration != in.generation
	switch {
	case len(acts) > 0:
		return []metav1.Condition{{Type: v1alpha1.ConditionStalled, Status: metav1.ConditionTrue, Reason: acts[0].Reason, Message: told(acts)}}
	case in.suspended || len(problems) == 0:
		return nil
	case len(moves) > 0:
		return []metav1.Condition{{
			Type: v1alpha1.ConditionReconciling, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonProgressing, Message: told(moves),
		}}
	case fresh:
		return []metav1.Condition{{
			Type: v1alpha1.ConditionReconciling, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonProgressing, Message: told(problems),
		}}
	}
	return nil
}

// toldInFull is how many conditions a summary tells with their messages; the others it only names, so that the column
// STATUS of `kubectl get kubebot` stays readable while everything starts. Each has its own condition.
const toldInFull = 3

func told(conditions []metav1.Condition) string {
	var parts, names []string
	for i, c := range conditions {
		if i < toldInFull {
			parts = append(parts, c.Type+": "+c.Message)
		} else {
			names = append(names, c.Type)
		}
	}
	if len(names) > 0 {
		parts = append(parts, "and "+strings.Join(names, ", "))
	}
	return strings.Join(parts, "; ")
}

// counted tells whether a condition counts for Ready, and how the summary calls it: a component by its name, a proof of
// flow by the condition's own type.
func counted(conditionType string) (name string, counts bool) {
	if name, ok := strings.CutSuffix(conditionType, "Ready"); ok {
		return name, true
	}
	return conditionType, strings.HasSuffix(conditionType, "Flowing")
}

// merged joins conditions of one type, which several components may say (StorageEphemeral): the messages of those that
// agree are one after another. Where they don't agree the worse one stays, which is False if the type counts for Ready.
func merged(conditions []metav1.Condition) []metav1.Condition {
	var out []metav1.Condition
	at := map[string]int{}
	for _, c := range conditions {
		i, had := at[c.Type]
		if !had {
			at[c.Type] = len(out)
			out = append(out, c)
			continue
		}
		_, counts := counted(c.Type)
		switch {
		case out[i].Status == c.Status:
			if !strings.Contains(out[i].Message, c.Message) {
				out[i].Message += "; " + c.Message
			}
		case (c.Status == metav1.ConditionTrue) != counts:
			out[i] = c
		}
	}
	return out
}

// unique returns the first item of each key, in order and at most limit of them.
func unique[T any](items []T, key func(T) string, limit int) []T {
	had := map[string]bool{}
	items = slices.DeleteFunc(items, func(item T) bool {
		k := key(item)
		again := had[k]
		had[k] = true
		return again
	})
	return items[:min(len(items), limit)]
}

// newsItem is a transition that is worth an event.
type newsItem struct{ kind, reason, message string }

// news returns an event for each condition that became true or ceased to be, and for each new reason for which a person
// must act. A start that goes as it should makes none but that it is ready.
func news(had, have []metav1.Condition) []newsItem {
	var out []newsItem
	for _, c := range have {
		name, counts := counted(c.Type)
		if !counts {
			continue
		}
		if name != "" {
			name += ": "
		}
		old := meta.FindStatusCondition(had, c.Type)
		was := old != nil && old.Status == metav1.ConditionTrue
		is := c.Status == metav1.ConditionTrue
		repeated := name == "" && meta.FindStatusCondition(have, v1alpha1.ConditionStalled) != nil && len(have) > 2
		switch {
		case is && !was && c.Reason != v1alpha1.ReasonDisabled:
			out = append(out, newsItem{corev1.EventTypeNormal, c.Reason, name + c.Message})
		case !is && was && c.Reason != v1alpha1.ReasonDisabled:
			out = append(out, newsItem{corev1.EventTypeWarning, c.Reason, name + c.Message})
		case !is && personMustAct[c.Reason] && !repeated && (old == nil || old.Reason != c.Reason):
			out = append(out, newsItem{corev1.EventTypeWarning, c.Reason, name + c.Message})
		}
	}
	return out
}
