package train

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/retry"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/endpoints"
	"github.com/kubebot/kubebot/internal/enrich"
	"github.com/kubebot/kubebot/internal/enrich/archive"
	"github.com/kubebot/kubebot/internal/enrich/jaeger"
	"github.com/kubebot/kubebot/internal/enrich/loki"
	"github.com/kubebot/kubebot/internal/enrich/prometheus"
	"github.com/kubebot/kubebot/internal/rca"
	"github.com/kubebot/kubebot/internal/rca/detectors"
	"github.com/kubebot/kubebot/internal/rca/training"
	"github.com/kubebot/kubebot/internal/rca/weights"
)

const (
	// maxRecorded is how many Incidents one run reads telemetry of, the newest first.
	maxRecorded = 50
	// storeTime is how long a store may take for one Incident, archiveTime the files of the archive.
	storeTime   = 30 * time.Second
	archiveTime = 5 * time.Minute
)

// ClusterOptions refit from the Incidents of a KubeBot whose cause people judged. Examples and weights are kept in the
// ConfigMaps endpoints.ExamplesConfigMap and endpoints.WeightsConfigMap, which the manager makes.
type ClusterOptions struct {
	// Config reaches the cluster.
	Config             *rest.Config
	KubeBot, Namespace string
	// Prometheus, Loki and Jaeger are base URLs, empty for none; LokiTenant is sent as X-Scope-OrgID.
	Prometheus, Loki, LokiTenant, Jaeger string
	// Archive is the folder of the archive's files; empty where they can't be read.
	Archive string
}

// refitter is one run.
type refitter struct {
	ClusterOptions
	client client.Client
	// record reads what the engine sees of an Incident.
	record func(ctx context.Context, q enrich.Question) enrich.Answer
	now    func() time.Time
}

func (o ClusterOptions) refit(ctx context.Context) (*weights.Refit, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("make client: %w", err)
		}
	}
	c, err := client.New(o.Config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("make client: %w", err)
	}
	r := refitter{ClusterOptions: o, client: c, record: o.recorder(), now: time.Now}
	return r.run(ctx)
}

// recorder reads the stores, as an analysis does; what they no longer hold of logs and traces, the archive may.
func (o ClusterOptions) recorder() func(context.Context, enrich.Question) enrich.Answer {
	calls := &http.Client{Timeout: storeTime}
	var always, rest []enrich.Source
	if o.Prometheus != "" {
		always = append(always, prometheus.Source{Store: enrich.Store{URL: o.Prometheus, HTTP: calls}})
	}
	if o.Loki != "" {
		rest = append(rest, loki.New(o.Loki, calls, o.LokiTenant))
	}
	if o.Jaeger != "" {
		rest = append(rest, jaeger.Source{Store: enrich.Store{URL: o.Jaeger, HTTP: calls}})
	}
	return func(ctx context.Context, q enrich.Question) enrich.Answer {
		a := enrich.Analyst{Sources: slices.Concat(always, rest), SourceTime: storeTime}
		first := a.Record(ctx, q)
		if o.Archive == "" || first.Snapshot != nil && (first.Snapshot.Holds(rca.SignalTraces) || first.Snapshot.Holds(rca.SignalLogs)) {
			return first
		}
		a = enrich.Analyst{Sources: slices.Concat(always, []enrich.Source{archive.Source{Dir: o.Archive}}), SourceTime: archiveTime}
		return a.Record(ctx, q)
	}
}

func (r *refitter) run(ctx context.Context) (*weights.Refit, error) {
	var kept corev1.ConfigMap
	if err := r.read(ctx, endpoints.WeightsConfigMap, &kept); err != nil {
		return nil, err
	}
	chosen, err := weights.Choose(kept.Data, detectors.All())
	if err != nil {
		return nil, err
	}
	index, err := weights.ParseIndex(kept.Data[weights.IndexKey])
	if err != nil {
		return nil, err // nothing is written over what can't be read
	}
	examples, judged, err := r.examples(ctx, chosen.Model)
	if err != nil {
		return nil, err
	}
	made, outcome := attempt(examples, chosen.Model, seenBy(index, chosen.Name), r.now())
	outcome.Judged = judged
	next := weights.Index{Versions: index.Versions, Last: &outcome}
	if made != nil {
		next.Versions = append([]weights.Version{{Number: number(index), Refit: outcome, Seen: ids(examples)}}, index.Versions...)
	}
	if err := r.write(ctx, next, made); err != nil {
		return nil, err
	}
	return &outcome, nil
}

// seenBy names the Incidents that a version was fitted to, directly or through those that it was fitted on top of.
func seenBy(x weights.Index, name string) map[string]bool {
	seen := map[string]bool{}
	in, err := strconv.Atoi(name)
	if err != nil {
		return seen // the built-in weights saw none
	}
	for _, v := range x.Versions {
		if v.Number <= in {
			for _, id := range v.Seen {
				seen[id] = true
			}
		}
	}
	return seen
}

// number of the next version.
func number(x weights.Index) int {
	last := 0
	for _, v := range x.Versions {
		last = max(last, v.Number)
	}
	return last + 1
}

func ids(examples []training.Example) []string {
	var out []string
	for i := range examples {
		out = append(out, examples[i].ID)
	}
	return out
}

// examples brings what is known of judged Incidents up to date, stores it and returns it, and how many are judged.
func (r *refitter) examples(ctx context.Context, m *rca.Model) ([]training.Example, int, error) {
	engine, err := rca.NewEngine(detectors.All(), m)
	if err != nil {
		return nil, 0, fmt.Errorf("make engine: %w", err)
	}
	var list v1alpha1.IncidentList
	if err := r.client.List(ctx, &list, client.InNamespace(r.Namespace)); err != nil {
		return nil, 0, fmt.Errorf("list Incidents: %w", err)
	}
	slices.SortFunc(list.Items, func(a, b v1alpha1.Incident) int { return b.CreationTimestamp.Compare(a.CreationTimestamp.Time) })
	var config corev1.ConfigMap
	if err := r.read(ctx, endpoints.ExamplesConfigMap, &config); err != nil {
		return nil, 0, err
	}
	all := decodeAll(config.BinaryData)
	judged := r.update(ctx, list.Items, all, engine, m)
	if err := ctx.Err(); err != nil {
		return nil, 0, fmt.Errorf("read Incidents: %w", err)
	}
	data, err := encodeAll(all)
	if err != nil {
		return nil, 0, err
	}
	err = r.change(ctx, endpoints.ExamplesConfigMap, func(c *corev1.ConfigMap) bool {
		changed := !maps.EqualFunc(c.BinaryData, data, slices.Equal[[]byte])
		c.BinaryData = data
		return changed
	})
	var out []training.Example
	for _, name := range slices.Backward(newest(all)) {
		if e, ok := all[name].example(name); ok {
			out = append(out, e)
		}
	}
	return out, judged, err
}

// update takes what people say of Incidents now into the examples: new judgements, changed ones and those taken back. It
// returns how many are judged.
func (r *refitter) update(ctx context.Context, incidents []v1alpha1.Incident, all map[string]*stored, engine *rca.Engine, m *rca.Model) int {
	log := ctrl.LoggerFrom(ctx)
	read, unknown := 0, 0
	for i := range incidents {
		inc := &incidents[i]
		if inc.Spec.KubeBot != r.KubeBot {
			continue
		}
		said, ok := enrich.Judged(inc)
		have := all[inc.Name]
		switch {
		case !ok:
			delete(all, inc.Name)
			continue
		case have != nil && (len(have.Onsets) > 0 || have.says(said)):
			have.judge(said)
			continue
		}
		delete(all, inc.Name)
		unknown++
		if read == maxRecorded || ctx.Err() != nil {
			continue
		}
		read++
		q := enrich.Past(inc, r.now())
		answer := r.record(ctx, q)
		if answer.Snapshot == nil {
			log.Info("No store holds telemetry of a judged Incident", "incident", inc.Name)
			continue
		}
		s := keep(answer, said, q.Alarm, engine, m)
		if e, _ := s.example(inc.Name); !e.Shown() {
			log.Info("Telemetry does not show the cause of a judged Incident", "incident", inc.Name)
		}
		all[inc.Name] = &s
		unknown--
	}
	return len(all) + unknown
}

// write stores the outcome, and the new version if there is one. The version that a person asks for is never dropped.
func (r *refitter) write(ctx context.Context, x weights.Index, made *rca.Model) error {
	return r.change(ctx, endpoints.WeightsConfigMap, func(c *corev1.ConfigMap) bool {
		if c.Data == nil {
			c.Data = map[string]string{}
		}
		if made != nil {
			text, err := json.Marshal(made)
			if err != nil {
				return false // only numbers that were checked are in it
			}
			c.Data[weights.Key(x.Versions[0].Number)] = string(text)
		}
		for len(x.Versions) > weights.MaxVersions {
			last := len(x.Versions) - 1
			if strconv.Itoa(x.Versions[last].Number) == c.Data[weights.PinnedKey] {
				last--
			}
			delete(c.Data, weights.Key(x.Versions[last].Number))
			x.Versions = slices.Delete(x.Versions, last, last+1)
		}
		text, err := json.Marshal(x)
		if err != nil {
			return false // as above
		}
		c.Data[weights.IndexKey] = string(text)
		return true
	})
}

func (r *refitter) read(ctx context.Context, name string, into *corev1.ConfigMap) error {
	err := r.client.Get(ctx, client.ObjectKey{Namespace: r.Namespace, Name: name}, into)
	if apierrors.IsNotFound(err) {
		return errors.New("ConfigMap " + name + " does not exist: the manager makes it while spec.analysis.rootCause is not Disabled")
	}
	if err != nil {
		return fmt.Errorf("read ConfigMap %s: %w", name, err)
	}
	return nil
}

// change updates a ConfigMap; where somebody else wrote in between, it starts again.
func (r *refitter) change(ctx context.Context, name string, apply func(*corev1.ConfigMap) bool) error {
	err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
		var c corev1.ConfigMap
		if err := r.read(ctx, name, &c); err != nil {
			return err
		}
		if !apply(&c) {
			return nil
		}
		return r.client.Update(ctx, &c)
	})
	if err != nil {
		return fmt.Errorf("write ConfigMap %s: %w", name, err)
	}
	return nil
}
