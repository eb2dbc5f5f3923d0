package enrich

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/diagnosis"
	"github.com/kubebot/kubebot/internal/diagnosis/change"
	"github.com/kubebot/kubebot/internal/rca"
)

const (
	// StandsOut is the score in percent from which on a cause is said: below it, another one is likelier than not.
	StandsOut = 50
	// maxCauses of an answer.
	maxCauses = 5
	// hint is the score below which a cause of telemetry alone is not told at all.
	hint = 0.15
	// rolloutBefore and rolloutAfter say how near to the alarm a rollout counts as likely rather than possible: an alarm
	// comes minutes after its trouble began, and rarely a little before what clocks say.
	rolloutBefore = 15 * time.Minute
	rolloutAfter  = time.Minute
	// nearRollout is the score of such a rollout.
	nearRollout = 0.7
	// most is what a score may be: nothing here is certain.
	most = 0.99
	// telemetryMost is the most that telemetry alone may claim, for its scores are off by 0.06 on average (docs/rca.md): what
	// the Kubernetes API itself states (diagnosis.ScoreCertain) comes before.
	telemetryMost = 0.94
	// restated is the most that telemetry's blame of the subject itself counts where no call graph tells whether it comes
	// from elsewhere: it only says the alarm again.
	restated = 0.35
	// returned is the score of a rollout that went back to an earlier revision, by itself: that mends more often than it
	// breaks.
	returned = 0.3
	// passedOn is what is left of the score of a finding that blames a Service whose own cause was found.
	passedOn = 0.4
)

// fromTelemetryAlone is the detector of candidates that no object shows.
const fromTelemetryAlone = "telemetry"

// candidate is a cause before it is told.
type candidate struct {
	service  string // the name that telemetry knows
	object   diagnosis.Object
	workload string
	kind     diagnosis.Kind
	detector string
	score    float64
	sentence string
	field    string
	evidence []v1alpha1.CauseEvidence
	path     []string
	region   []string
	fix      diagnosis.Fix
	symptom  bool
	// near is a rollout near the alarm; stale one that is not, that went back to what ran before, or that is outside the
	// program: what the program says can't come of it. Stale is a refusal by RBAC too that the program lives with.
	near, stale, outside bool
	// home is the workload whose dashboard shows the trouble, none where none is known; the object may be another one.
	home diagnosis.Object
}

// rank combines what the state of objects and telemetry say into one list.
//
// The state of objects comes first where it is sure of itself: it names object, field and value. What telemetry says
// about the same workload and a kind that goes with it is further evidence, and the scores are joined as those of
// independent witnesses (1-(1-a)(1-b)). What telemetry alone says stands by its own, calibrated score.
func rank(q Question, diagnoses []Diagnosis, result *rca.Result, t telemetry) []candidate {
	var all []candidate
	explained := map[string]bool{}
	for i, d := range diagnoses {
		list := fromObjects(q, d, t)
		if i+1 < len(diagnoses) && len(diagnoses[i+1].Path) == len(d.Path)+1 && knowsWhy(diagnoses[i+1]) {
			passOn(list)
			explained[t.serviceOf(workloadIn(d))] = true
		}
		if knownBroken(d) ||
			slices.ContainsFunc(list, func(c candidate) bool { return c.kind == diagnosis.KindCertificate && c.workload != workloadIn(d).Name }) {
			explained[t.serviceOf(workloadIn(d))] = true
		}
		all = append(all, list...)
	}
	if result != nil {
		all = join(q, all, result, t, explained)
	}
	all = dropSymptoms(all)
	slices.SortStableFunc(all, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(a.sentence, b.sentence))
	})
	return all[:min(len(all), maxCauses)]
}

// fromObjects are the findings of one diagnosis; a rollout near the alarm joins what it explains. What is wrong with a
// workload is no cause of trouble of the node that it runs on, unless it is what it uses of it.
func fromObjects(q Question, d Diagnosis, t telemetry) []candidate {
	var out []candidate
	workload := workloadIn(d)
	for _, f := range d.Findings {
		if q.Subject.Kind == "Node" && d.Facts.Subject.Kind != "Node" && !slices.Contains(ofNodes, rca.Kind(f.Kind)) {
			continue
		}
		c := candidate{
			service: t.serviceOf(workload), object: f.Object, workload: workload.Name, home: d.Facts.Workload.Object,
			kind: f.Kind, detector: f.Detector, score: f.Score,
			sentence: f.Sentence, field: f.Field, fix: f.Fix, symptom: f.Symptom, path: d.Path,
		}
		for _, e := range f.Evidence {
			c.evidence = append(c.evidence, v1alpha1.CauseEvidence{From: v1alpha1.EvidenceKubernetes, Text: e})
		}
		c.stale = f.Detector == "forbidden" && f.Score < diagnosis.ScorePossible
		if f.Detector == "change" && f.Object.Kind != "ConfigMap" {
			present, before := d.Facts.Revisions()
			at := rolledOut(d.Facts, present)
			c.near = at.After(q.Alarm.Add(-rolloutBefore)) && at.Before(q.Alarm.Add(rolloutAfter))
			c.outside = outside(before, present)
			c.stale = !c.near || present.Back || c.outside
			switch {
			case present.Back:
				c.score = returned
			case c.near && !c.outside:
				c.score = nearRollout
			}
		}
		out = append(out, t.present(q, d, f, c))
	}
	return explainByRollout(out)
}

func workloadIn(d Diagnosis) diagnosis.Object {
	if d.Facts.Workload.Exists() {
		return d.Facts.Workload.Object
	}
	return d.Facts.Subject
}

// outside tells whether all that a revision changed leaves alone what the program runs with.
func outside(before, present *diagnosis.Version) bool {
	changes := change.Diff(&before.Spec, &present.Spec)
	return len(changes) > 0 && !slices.ContainsFunc(changes, change.Change.ReachesProgram)
}

// rolledOut is when a revision was rolled out: when it was made, or, for an earlier revision that was gone back to, when
// the Deployment last scaled its ReplicaSet up.
func rolledOut(f *diagnosis.Facts, present *diagnosis.Version) time.Time {
	if present.Back {
		for _, e := range f.EventsOf("Deployment", f.Workload.Name, f.Workload.UID) {
			if e.Reason == "ScalingReplicaSet" && strings.HasPrefix(e.Message, "Scaled up replica set "+present.Name+" ") {
				return diagnosis.EventTime(&e)
			}
		}
	}
	return present.MadeAt
}

// explainByRollout joins the rollout near the alarm with the first of the findings that it explains: what the program
// says, and what the rollout changed, are one cause, which the rollback mends.
func explainByRollout(list []candidate) []candidate {
	at := slices.IndexFunc(list, func(c candidate) bool { return c.near })
	if at < 0 {
		return list
	}
	roll := list[at]
	i := slices.IndexFunc(list, func(c candidate) bool {
		explained := c.kind == diagnosis.KindConfig || c.kind == diagnosis.KindImage || c.kind == diagnosis.KindCode
		return explained && c.detector != "change" && !c.symptom && (c.detector != "applog" || !roll.outside) && c.object == roll.object
	})
	if i < 0 {
		return list
	}
	c := list[i]
	joined := c
	joined.score = witness(c.score, nearRollout)
	if c.detector != "applog" { // which says what a program complains of; the others name what is wrong by themselves
		joined.evidence = append(slices.Clone(c.evidence), v1alpha1.CauseEvidence{From: v1alpha1.EvidenceKubernetes, Text: roll.sentence})
	} else {
		joined.sentence = roll.sentence + "; since then: " + c.sentence
		joined.evidence = append(slices.Clone(roll.evidence), c.evidence...)
		joined.kind, joined.field = roll.kind, roll.field
	}
	if undo := roll.fix.Commands; len(undo) > 0 {
		rest := slices.DeleteFunc(slices.Clone(c.fix.Commands), func(s string) bool { return slices.Contains(undo, s) })
		joined.fix.Commands = slices.Concat(undo, rest)
		if joined.sentence != c.sentence {
			joined.fix.Explanation = roll.fix.Explanation
		}
	}
	list[i] = joined
	return slices.Delete(list, at, at+1)
}

// witness joins the scores of two independent witnesses.
func witness(a, b float64) float64 { return min(most, 1-(1-a)*(1-b)) }

// knowsWhy tells whether a diagnosis found more than that something is wrong.
func knowsWhy(d Diagnosis) bool {
	return len(d.Findings) > 0 && !d.Findings[0].Symptom && d.Findings[0].Score >= diagnosis.ScorePossible
}

// knownBroken tells whether the first cause is a Service that is called, and whose other end shows that it can't answer.
func knownBroken(d Diagnosis) bool {
	to, ok := blames(d)
	return ok && slices.ContainsFunc(d.Findings, func(f diagnosis.Finding) bool {
		return f.Object == to && f.Kind == diagnosis.KindDependency && f.Score >= diagnosis.ScoreStrong
	})
}

// passOn lowers the findings that blame a Service whose own cause the next diagnosis found.
func passOn(list []candidate) {
	for i := range list {
		if list[i].kind == diagnosis.KindDependency && list[i].object.Kind == "Service" {
			list[i].score *= passedOn
		}
	}
}

// join adds what telemetry says. Of a workload whose callee is known to be broken it says little: a callee that is gone
// has no signals, so that its callers seem to fail by themselves.
func join(q Question, all []candidate, r *rca.Result, t telemetry, explained map[string]bool) []candidate {
	for _, c := range r.Causes[:min(len(r.Causes), maxCauses)] {
		if c = weigh(q, c, t); explained[c.Workload] {
			c.Score = min(c.Score, restated)
		}
		if c.Score < hint {
			continue
		}
		i := slices.IndexFunc(all, func(x candidate) bool {
			return x.service == c.Workload && !x.symptom && !x.stale && agree(x, diagnosis.Kind(c.Kind))
		})
		if i < 0 {
			all = append(all, fromTelemetry(q, c, t))
			continue
		}
		all[i].score = witness(all[i].score, c.Score)
		all[i].evidence = append(all[i].evidence, evidenceOf(c.Evidence)...)
		all[i].region = c.Region
		if len(c.Path) > len(all[i].path) {
			all[i].path = c.Path
		}
	}
	return all
}

// withinWorkload are the kinds of cause by which a workload fails by itself, as seen from outside.
var withinWorkload = []diagnosis.Kind{
	diagnosis.KindConfig, diagnosis.KindImage, diagnosis.KindCode, diagnosis.KindDNS, diagnosis.KindCertificate, diagnosis.KindDisk, diagnosis.KindMemory,
}

// agree tells whether a kind that telemetry shows goes with a finding: code that behaves in another way is what a bad
// configuration or image, names that do not resolve, a refused certificate, a full disk or a lack of memory look like from
// outside.
func agree(x candidate, kind diagnosis.Kind) bool {
	if x.kind == kind {
		return true
	}
	switch kind {
	case diagnosis.KindCode, diagnosis.KindUnknown, diagnosis.KindDependency, diagnosis.KindConfig:
		return slices.Contains(withinWorkload, x.kind)
	case diagnosis.KindNetwork:
		return x.kind == diagnosis.KindDNS
	}
	return false
}

// phrases say a kind of cause about a workload whose objects show nothing.
var phrases = map[rca.Kind]string{
	rca.KindCPU:         "%s is short of CPU",
	rca.KindMemory:      "%s runs short of memory",
	rca.KindDisk:        "a volume of %s fills up",
	rca.KindNetwork:     "calls to or from %s are slow or lost on the network",
	rca.KindDependency:  "%s, on which others depend, is slow or fails",
	rca.KindCode:        "%s itself is slow or fails, in its own code or settings",
	rca.KindConfig:      "%s was changed shortly before",
	rca.KindImage:       "the image of %s can't be pulled or run",
	rca.KindScheduling:  "pods of %s find no node",
	rca.KindQuota:       "a quota keeps pods of %s away",
	rca.KindCertificate: "a certificate of %s is not accepted",
	rca.KindDNS:         "names do not resolve for %s",
	rca.KindNode:        "the node of %s is in trouble",
}

// ofNodes are the kinds of cause by which a workload can trouble the node that it runs on.
var ofNodes = []rca.Kind{rca.KindCPU, rca.KindMemory, rca.KindDisk, rca.KindNetwork, rca.KindNode}

// weigh corrects a cause of the engine by what it does not know: the end of the calls that is a workload of this cluster
// is no outside dependency, blame of the subject by its own alarm's signal says nothing new without a call graph, and a
// node is not troubled by the code of what runs on it, but by what that uses.
func weigh(q Question, c rca.Cause, t telemetry) rca.Cause {
	if q.Subject.Kind == "Node" && !slices.Contains(ofNodes, c.Kind) {
		c.Score = min(c.Score, restated)
	}
	if c.Kind == rca.KindDependency && t.home(q, c.Workload).APIVersion != "" {
		c.Kind, c.Fix = rca.KindCode, rca.KindCode.Fix()
	}
	if c.Workload == t.serviceOf(q.Subject) && !t.called[c.Workload] &&
		!slices.ContainsFunc(c.Evidence, func(e rca.Evidence) bool { return e.Detector != "signal" }) {
		c.Score = min(c.Score, restated)
	}
	return c
}

func fromTelemetry(q Question, c rca.Cause, t telemetry) candidate {
	o := t.home(q, c.Workload)
	phrase, ok := phrases[c.Kind]
	if !ok {
		phrase = "%s behaves in another way than before"
	}
	sentence := diagnosis.Upper(fmt.Sprintf(phrase, display(o)))
	if len(c.Evidence) > 0 {
		sentence += ": " + c.Evidence[0].Text
	}
	fix := diagnosis.Fix{Explanation: c.Fix}
	if o.APIVersion != "" {
		fix.Commands = []string{"kubectl kubebot why -n " + diagnosis.Quote(o.Namespace) + " " + diagnosis.Quote(o.Arg())}
	}
	return candidate{
		service: c.Workload, object: o, workload: c.Workload, home: workloadOnly(o), kind: diagnosis.Kind(c.Kind),
		detector: fromTelemetryAlone, score: min(telemetryMost, c.Score), sentence: sentence,
		evidence: evidenceOf(c.Evidence), path: c.Path, region: c.Region, fix: fix,
	}
}

// origins say which signal a detector of the engine reads.
var origins = map[string]v1alpha1.EvidenceSource{
	"cpu": v1alpha1.EvidenceMetrics, "memory": v1alpha1.EvidenceMetrics, "disk": v1alpha1.EvidenceMetrics, "signal": v1alpha1.EvidenceMetrics,
	"event": v1alpha1.EvidenceKubernetes, "change": v1alpha1.EvidenceKubernetes,
}

func evidenceOf(list []rca.Evidence) []v1alpha1.CauseEvidence {
	var out []v1alpha1.CauseEvidence
	for _, e := range list {
		from, ok := origins[e.Detector]
		if !ok {
			from = v1alpha1.EvidenceTraces
		}
		out = append(out, v1alpha1.CauseEvidence{From: from, Text: e.Text})
	}
	return out
}

// dropSymptoms leaves out what follows from a cause that was found; without one, the first symptom stays.
func dropSymptoms(all []candidate) []candidate {
	cause := slices.ContainsFunc(all, func(c candidate) bool { return !c.symptom && c.score >= 0.4 })
	kept := false
	return slices.DeleteFunc(all, func(c candidate) bool {
		if !c.symptom {
			return false
		}
		drop := cause || kept
		kept = true
		return drop
	})
}

// tell puts a candidate into the words of the API.
func (c candidate) tell() v1alpha1.Cause {
	out := v1alpha1.Cause{
		Object:       v1alpha1.CauseObject{APIVersion: c.object.APIVersion, Kind: c.object.Kind, Namespace: c.object.Namespace, Name: c.object.Name},
		Kind:         v1alpha1.CauseKind(cmp.Or(c.kind, diagnosis.KindUnknown)),
		ScorePercent: int32(math.Round(100 * min(most, max(0, c.score)))), Sentence: c.sentence, Field: c.field, Evidence: c.evidence, Region: c.region,
	}
	if c.workload != c.object.Name {
		out.Workload = c.workload
	}
	if len(c.path) > 1 {
		out.Path = c.path
	}
	if c.fix.Explanation != "" {
		out.Fix = &v1alpha1.CauseFix{Explanation: c.fix.Explanation, Commands: c.fix.Commands}
	}
	return out
}
