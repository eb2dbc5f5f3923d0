package enrich

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/diagnosis"
	"github.com/kubebot/kubebot/internal/diagnosis/detectors"
	"github.com/kubebot/kubebot/internal/diagnosis/fixcheck"
	"github.com/kubebot/kubebot/internal/diagnosis/gather"
	"github.com/kubebot/kubebot/internal/links"
	"github.com/kubebot/kubebot/internal/rca"
)

const (
	// maxFollow is how many Services are followed from one to the next.
	maxFollow = 3
	// maxSuspects of telemetry whose objects are looked at, and suspicious the score from which on.
	maxSuspects = 2
	suspicious  = 0.3
)

// Analyst looks for causes. It is safe for concurrent use.
type Analyst struct {
	Kube kubernetes.Interface
	// Metadata reads the metadata of ConfigMaps alone; nil reads them whole and drops their values.
	Metadata metadata.Interface
	// Fixes checks the patches of fixes before they are told; nil tells them unchecked.
	Fixes *fixcheck.Checker
	// Dynamic reads the kinds of the Gateway API; nil reads none.
	Dynamic dynamic.Interface
	// Sources are the stores of telemetry; none is fine.
	Sources []Source
	Engine  *rca.Engine
	// Weights names the version of the engine's weights.
	Weights string
	// SourceTime is how long one source may take; SourceTime of this package when zero.
	SourceTime time.Duration
	// Grafana is where the links of causes lead.
	Grafana links.Grafana
	// MaxObjects bounds how many objects of a kind are read; that of package gather when zero.
	MaxObjects int
}

// Answer is what an analysis found.
type Answer struct {
	// Causes are at most 5, the likeliest first.
	Causes []v1alpha1.Cause
	// Found says that the first cause stands out.
	Found bool
	// Message says in a sentence what came out.
	Message string
	Sources []v1alpha1.AnalysisSource
	Weights string
	// Snapshot is what the engine saw, to be saved and replayed; nil without telemetry.
	Snapshot *rca.Snapshot
	// Services are the names by which telemetry knows workloads, where these differ.
	Services map[string]string
	// Err says why the subject's own state could not be read; nil when it was, or when there is none.
	Err error
	// Diagnoses are of the subject, then of what it blames, then of what telemetry blames.
	Diagnoses []Diagnosis
}

// Diagnosis is what the state of objects says about one object.
type Diagnosis struct {
	Facts    *diagnosis.Facts
	Findings []diagnosis.Finding
	// Path leads from the subject to here.
	Path []string
}

// Analyse looks for the cause. It never fails: what could not be read is said in the answer's sources.
func (a *Analyst) Analyse(ctx context.Context, q Question) Answer {
	limit := a.SourceTime
	if limit == 0 {
		limit = SourceTime
	}
	var diagnoses []Diagnosis
	var objects v1alpha1.AnalysisSource
	var err error
	var readings []reading
	var wg sync.WaitGroup
	wg.Go(func() {
		if broken := guard(func() { diagnoses, objects, err = a.diagnose(ctx, q, limit) }); broken != nil {
			objects, err = v1alpha1.AnalysisSource{Name: SourceKubernetes, State: v1alpha1.SourceMissing, Message: broken.Error()}, broken
		}
	})
	wg.Go(func() { readings = readAll(ctx, a.Sources, q, limit) })
	wg.Wait()
	out := Answer{Sources: []v1alpha1.AnalysisSource{objects}, Weights: a.Weights, Err: err}
	for _, r := range readings {
		out.Sources = append(out.Sources, r.report)
	}
	t := collect(readings)
	out.Services = t.services(q.Subject.Namespace)
	var facts *diagnosis.Facts
	if len(diagnoses) > 0 {
		facts = diagnoses[0].Facts
	}
	var result *rca.Result
	if a.Engine != nil && t.any() {
		out.Snapshot = t.snapshot(q, facts)
		t.know(out.Snapshot)
		if r, err := a.Engine.Analyse(out.Snapshot); err == nil {
			result = r
			more, failed := a.suspects(ctx, q, t, r, diagnoses, limit)
			diagnoses = append(diagnoses, more...)
			for _, d := range more {
				unread(&out.Sources[0], d.Facts)
			}
			for _, said := range failed {
				inPart(&out.Sources[0], said)
			}
		}
	}
	out.Diagnoses = diagnoses
	for _, c := range rank(q, diagnoses, result, t) {
		cause := c.tell()
		cause.Links = a.links(q, c, t)
		out.Causes = append(out.Causes, cause)
	}
	out.conclude()
	return out
}

// guard runs what looks at objects in a goroutine of its own, where a panic would end the process, and gives it as an error.
func guard(look func()) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("the state of objects could not be looked at (%T)", v)
		}
	}()
	look()
	return nil
}

// conclude says whether a cause stands out.
func (a *Answer) conclude() {
	a.Found = len(a.Causes) > 0 && a.Causes[0].ScorePercent >= StandsOut
	var missing []string
	for _, s := range a.Sources {
		if s.State != v1alpha1.SourceRead {
			missing = append(missing, s.Name+" ("+s.Message+")")
		}
	}
	a.Message = "Nothing that was read explains the trouble"
	if a.Found {
		a.Message = a.Causes[0].Sentence
	}
	if len(missing) > 0 {
		a.Message += "; not read, or in part: " + strings.Join(missing, ", ")
	}
}

// diagnose reads the facts of the subject, and of the Services that its first cause blames: what it comes to within the
// limit.
func (a *Analyst) diagnose(ctx context.Context, q Question, limit time.Duration) ([]Diagnosis, v1alpha1.AnalysisSource, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	report := v1alpha1.AnalysisSource{Name: SourceKubernetes, State: v1alpha1.SourceRead}
	subject := q.Subject
	if subject.Kind == "Dependency" {
		subject.Kind = "Service"
	}
	if _, err := gather.Kind(subject.Kind); err != nil {
		report.Message = "the subject is no object whose state could be read"
		return nil, report, nil
	}
	first, err := a.facts(ctx, subject, limit, q.Troubled)
	if err != nil {
		report.State, report.Message = v1alpha1.SourceMissing, missingObject(subject, err, limit)
		return nil, report, err
	}
	out := []Diagnosis{{Facts: first, Findings: a.findings(ctx, first), Path: []string{subject.Name}}}
	seen := map[diagnosis.Object]bool{subject: true, first.Workload.Object: true}
	for range maxFollow {
		last := out[len(out)-1]
		next, ok := blames(last)
		if !ok || seen[next] {
			break
		}
		seen[next] = true
		f, err := a.facts(ctx, next, limit, q.Troubled)
		if err != nil {
			if !apierrors.IsNotFound(err) { // which the finding that blames it says already
				inPart(&report, next.String()+": "+gather.Reason(err, limit))
			}
			break
		}
		if f.Workload.Exists() && seen[f.Workload.Object] {
			break
		}
		seen[f.Workload.Object] = true
		name := next.Name
		if f.Workload.Exists() {
			name = f.Workload.Name
		}
		out = append(out, Diagnosis{Facts: f, Findings: a.findings(ctx, f), Path: append(slices.Clone(last.Path), name)})
	}
	for _, d := range out {
		unread(&report, d.Facts)
	}
	return out, report, nil
}

func (a *Analyst) facts(ctx context.Context, o diagnosis.Object, limit time.Duration, troubled bool) (*diagnosis.Facts, error) {
	return gather.Facts(ctx, a.Kube, o, gather.Options{
		SourceTimeout: limit / 2, MaxObjects: a.MaxObjects, Metadata: a.Metadata, Dynamic: a.Dynamic, Troubled: troubled,
	})
}

// findings are what the detectors see, with fixes that fit the objects.
func (a *Analyst) findings(ctx context.Context, f *diagnosis.Facts) []diagnosis.Finding {
	found := diagnosis.Run(f, detectors.All())
	a.Fixes.Check(ctx, f, found)
	return found
}

// blames is the Service that a diagnosis names as the cause.
func blames(d Diagnosis) (diagnosis.Object, bool) {
	if len(d.Findings) == 0 {
		return diagnosis.Object{}, false
	}
	for _, f := range d.Findings {
		if f.Symptom || f.Score < diagnosis.ScorePossible {
			break
		}
		if f.Kind == diagnosis.KindDependency && f.Object.Kind == "Service" {
			return f.Object, true
		}
		if f.Detector != "change" { // that something changed lately does not make a blamed Service innocent
			break
		}
	}
	return diagnosis.Object{}, false
}

func missingObject(subject diagnosis.Object, err error, limit time.Duration) string {
	if apierrors.IsNotFound(err) {
		return "the subject does not exist any more"
	}
	return subject.String() + ": " + gather.Reason(err, limit)
}

// unread notes what could not be read for a diagnosis.
func unread(report *v1alpha1.AnalysisSource, f *diagnosis.Facts) {
	for _, u := range f.Unread {
		inPart(report, u.Words(f.NS())+": "+u.Reason)
	}
}

// inPart notes that something was not read.
func inPart(report *v1alpha1.AnalysisSource, said string) {
	if strings.Contains(report.Message, said) || len(report.Message) > 300 {
		return
	}
	if report.State == v1alpha1.SourceRead {
		report.State = v1alpha1.SourcePartial
	}
	report.Message = strings.TrimPrefix(report.Message+"; "+said, "; ")
}

// suspects diagnoses the workloads that telemetry blames and that were not looked at yet, within the limit, and says which
// could not be looked at and why. One that does not exist any more is none of these.
func (a *Analyst) suspects(
	ctx context.Context, q Question, t telemetry, r *rca.Result, known []Diagnosis, limit time.Duration,
) (out []Diagnosis, failed []string) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var objects []diagnosis.Object
	var paths [][]string
	for _, c := range r.Causes {
		o := t.home(q, c.Workload)
		if c.Score < suspicious || len(objects) == maxSuspects || o.APIVersion == "" || slices.Contains(objects, o) || looked(known, o) {
			continue
		}
		objects, paths = append(objects, o), append(paths, c.Path)
	}
	found := make([]*Diagnosis, len(objects))
	said := make([]string, len(objects))
	var wg sync.WaitGroup
	for i, o := range objects {
		wg.Go(func() {
			broken := guard(func() {
				f, err := a.facts(ctx, o, limit, q.Troubled)
				switch {
				case err == nil:
					found[i] = &Diagnosis{Facts: f, Findings: a.findings(ctx, f), Path: paths[i]}
				case !apierrors.IsNotFound(err):
					said[i] = o.String() + ": " + gather.Reason(err, limit)
				}
			})
			if broken != nil {
				said[i] = broken.Error()
			}
		})
	}
	wg.Wait()
	for _, d := range found {
		if d != nil {
			out = append(out, *d)
		}
	}
	return out, slices.DeleteFunc(said, func(s string) bool { return s == "" })
}

func looked(known []Diagnosis, o diagnosis.Object) bool {
	return slices.ContainsFunc(known, func(d Diagnosis) bool {
		w := d.Facts.Workload
		return w.Kind == o.Kind && w.Namespace == o.Namespace && w.Name == o.Name
	})
}

// home is the object behind a service; one that is not known has no version.
func (t telemetry) home(q Question, service string) diagnosis.Object {
	if o, ok := t.homes[service]; ok && o.APIVersion != "" {
		return o
	}
	if q.Subject.Name == service && APIVersion(q.Subject.Kind) != "" {
		o := q.Subject
		o.APIVersion = APIVersion(o.Kind)
		return o
	}
	return diagnosis.Object{Kind: "Service", Namespace: q.Subject.Namespace, Name: service}
}

// display is an object as sentences name it.
func display(o diagnosis.Object) string {
	if o.Namespace == "" {
		return o.String()
	}
	return fmt.Sprintf("%s in namespace %s", o, o.Namespace)
}
