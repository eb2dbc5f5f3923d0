// Package enrich finds the cause of an incident: it gathers what the Kubernetes API and the stores of telemetry show, in
// parallel and each source with its deadline, and ranks causes from the state of objects and from telemetry. What could
// not be read is said. The stores are in the folders below; each only reads.
package enrich

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/diagnosis"
	"github.com/kubebot/kubebot/internal/diagnosis/gather"
)

// Question is what is to be explained.
type Question struct {
	// Subject is what the trouble is about; its kind may be one that the Kubernetes API does not know.
	Subject diagnosis.Object
	// Alarm is when the trouble was noticed, Now until when it is looked at.
	Alarm, Now time.Time
	// Signal is what the alarm measured: rca.SignalLatency, rca.SignalAvailability, or empty.
	Signal string
	// Troubled says that an alert tells of trouble, so that what changed lately is worth telling by itself.
	Troubled bool
}

// Baseline is how long before the alarm telemetry is read to know what is normal.
const Baseline = time.Hour

// From is when the telemetry that is read begins.
func (q Question) From() time.Time { return q.Alarm.Add(-Baseline) }

// Telemetry is what one store gave.
type Telemetry struct {
	Traces  ptrace.Traces
	Logs    plog.Logs
	Metrics pmetric.Metrics
	// Homes are the Kubernetes workloads behind services, by the service's name.
	Homes map[string]diagnosis.Object
	// Empty says that the store answered and holds nothing about the question.
	Empty bool
}

// NewTelemetry returns an empty one.
func NewTelemetry() Telemetry {
	return Telemetry{Traces: ptrace.NewTraces(), Logs: plog.NewLogs(), Metrics: pmetric.NewMetrics(), Homes: map[string]diagnosis.Object{}}
}

// Source reads a store of telemetry. With an error, the telemetry is what was read before it. Read returns soon after
// the context ends.
type Source interface {
	Name() string
	Read(ctx context.Context, q Question) (Telemetry, error)
}

// Names of the sources.
const (
	SourceKubernetes = "kubernetes"
	SourcePrometheus = "prometheus"
	SourceLoki       = "loki"
	SourceJaeger     = "jaeger"
)

// SourceTime is how long one source may take.
const SourceTime = 4 * time.Second

// reading is what came of one source.
type reading struct {
	Telemetry
	report v1alpha1.AnalysisSource
}

// readAll reads every source at once and waits for none longer than its deadline, even for one that ignores it.
func readAll(ctx context.Context, sources []Source, q Question, limit time.Duration) []reading {
	out := make([]reading, len(sources))
	var wg sync.WaitGroup
	for i, s := range sources {
		wg.Go(func() { out[i] = read(ctx, s, q, limit) })
	}
	wg.Wait()
	return out
}

func read(ctx context.Context, s Source, q Question, limit time.Duration) reading {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	type answer struct {
		Telemetry
		err error
	}
	done := make(chan answer, 1)
	go func() {
		var a answer
		defer func() {
			if v := recover(); v != nil {
				a = answer{NewTelemetry(), fmt.Errorf("the answer could not be read (%T)", v)}
			}
			done <- a
		}()
		a.Telemetry, a.err = s.Read(ctx, q)
	}()
	r := reading{report: v1alpha1.AnalysisSource{Name: s.Name(), State: v1alpha1.SourceRead}}
	select {
	case a := <-done:
		r.Telemetry = a.Telemetry
		if a.err != nil {
			r.report.State, r.report.Message = v1alpha1.SourceMissing, Explain(a.err, limit)
			if !a.Empty && (a.Traces.SpanCount() > 0 || a.Logs.LogRecordCount() > 0 || a.Metrics.DataPointCount() > 0) {
				r.report.State = v1alpha1.SourcePartial
			}
		} else if a.Empty {
			r.report.Message = "it holds nothing about the subject"
		}
	case <-ctx.Done():
		r.Telemetry = NewTelemetry()
		r.report.State, r.report.Message = v1alpha1.SourceMissing, Explain(ctx.Err(), limit)
	}
	return r
}

// Recover makes an error of a panic over what a store answered. It is to be deferred where a goroutine begins: a panic there
// would end the process.
func Recover(err *error) {
	if v := recover(); v != nil {
		*err = fmt.Errorf("the answer could not be read (%T)", v)
	}
}

// Explain says why a source was not read, without addresses or what the source itself wrote.
func Explain(err error, limit time.Duration) string {
	var status *StatusError
	switch {
	case errors.As(err, &status):
		return status.Error()
	case errors.Is(err, errTooLarge):
		return errTooLarge.Error()
	}
	return gather.Reason(err, limit)
}
