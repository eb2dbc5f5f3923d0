// Package archive reads traces and logs around an incident from the files of the archive: OTLP as JSON, one message a
// line, which the collector's file exporter writes and rotates.
package archive

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/kubebot/kubebot/internal/enrich"
	"github.com/kubebot/kubebot/internal/rca/otlpfile"
)

// Name of the source.
const Name = "archive"

const (
	// maxSpans and maxLines are how much is kept of a question's time. Beyond, spans of half of the traces go, and half
	// of the lines, evenly over the time.
	maxSpans = 50_000
	maxLines = 20_000
	// late is how much later than it happened something may have been written.
	late = 2 * time.Minute
)

// Source is a folder of files. Metrics are not read: what the analysis needs of them are queries of Prometheus.
type Source struct{ Dir string }

// Name implements enrich.Source.
func (Source) Name() string { return Name }

// Read implements enrich.Source.
func (s Source) Read(ctx context.Context, q enrich.Question) (enrich.Telemetry, error) {
	k := &keeper{question: q, out: enrich.NewTelemetry()}
	for _, signal := range []string{"traces", "logs"} {
		files, err := list(s.Dir, signal, q)
		if err != nil {
			return k.result(), err
		}
		for _, f := range files {
			if err := read(ctx, f, k); err != nil {
				return k.result(), err
			}
		}
	}
	return k.result(), nil
}

// file is one file of a signal. The one that is being written may end in half a line.
type file struct {
	path    string
	written time.Time
	current bool
}

// list returns the files of a signal that hold something of the question's time: a file holds what was written between
// the last write to the one before it and the last write to itself.
func list(dir, signal string, q enrich.Question) ([]file, error) {
	paths, err := filepath.Glob(filepath.Join(dir, signal+"*.jsonl"))
	if err != nil {
		return nil, fmt.Errorf("list the archive: %w", err)
	}
	var all []file
	for _, p := range paths {
		info, err := os.Stat(p)
		if errors.Is(err, fs.ErrNotExist) {
			continue // it was rotated away just now
		}
		if err != nil {
			return nil, fmt.Errorf("list the archive: %w", err)
		}
		all = append(all, file{p, info.ModTime(), filepath.Base(p) == signal+".jsonl"})
	}
	slices.SortFunc(all, func(a, b file) int {
		return cmp.Or(a.written.Compare(b.written), cmp.Compare(a.path, b.path))
	})
	var out []file
	var before time.Time
	for _, f := range all {
		if !f.written.Before(q.From()) && !before.After(q.Now.Add(late)) {
			out = append(out, f)
		}
		before = f.written
	}
	return out, nil
}

func read(ctx context.Context, f file, to otlpfile.Sink) error {
	r, err := os.Open(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the archive: %w", err)
	}
	err = otlpfile.ReadJSON(interruptible{ctx, r}, to)
	if closeErr := r.Close(); err == nil {
		err = closeErr
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil && !f.current:
		return fmt.Errorf("read the archive: %w", err)
	}
	return nil
}

// interruptible ends a read when a context does.
type interruptible struct {
	ctx context.Context
	io.Reader
}

func (r interruptible) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}

// keeper keeps what belongs to a question.
type keeper struct {
	question enrich.Question
	out      enrich.Telemetry
	// spans and lines are how many are kept. shift is how often spans were halved; keepEvery and seen do the same with
	// lines.
	spans, lines    int
	shift           uint
	keepEvery, seen int
}

func (k *keeper) result() enrich.Telemetry {
	k.out.Empty = k.out.Traces.SpanCount() == 0 && k.out.Logs.LogRecordCount() == 0
	return k.out
}

// within tells whether a time is of the question.
func (k *keeper) within(t pcommon.Timestamp) bool {
	at := t.AsTime()
	return !at.Before(k.question.From()) && !at.After(k.question.Now)
}

// kept tells whether a trace is one of those that are kept: traces as a whole, by their random IDs.
func (k *keeper) kept(id pcommon.TraceID) bool {
	return binary.BigEndian.Uint64(id[8:])&(1<<k.shift-1) == 0
}

// AddTraces implements otlpfile.Sink.
func (k *keeper) AddTraces(td ptrace.Traces) {
	k.drop(td)
	k.spans += td.SpanCount()
	td.ResourceSpans().MoveAndAppendTo(k.out.Traces.ResourceSpans())
	for k.spans > maxSpans {
		k.shift++
		k.drop(k.out.Traces)
		k.spans = k.out.Traces.SpanCount()
	}
}

func (k *keeper) drop(td ptrace.Traces) {
	td.ResourceSpans().RemoveIf(func(rs ptrace.ResourceSpans) bool {
		rs.ScopeSpans().RemoveIf(func(ss ptrace.ScopeSpans) bool {
			ss.Spans().RemoveIf(func(s ptrace.Span) bool { return !k.within(s.StartTimestamp()) || !k.kept(s.TraceID()) })
			return ss.Spans().Len() == 0
		})
		return rs.ScopeSpans().Len() == 0
	})
}

// AddLogs implements otlpfile.Sink. Only the lines of the subject's namespace are kept.
func (k *keeper) AddLogs(ld plog.Logs) {
	ld.ResourceLogs().RemoveIf(func(rl plog.ResourceLogs) bool {
		ns, ok := rl.Resource().Attributes().Get("k8s.namespace.name")
		if !ok || ns.Str() != k.question.Subject.Namespace {
			return true
		}
		rl.ScopeLogs().RemoveIf(func(sl plog.ScopeLogs) bool {
			sl.LogRecords().RemoveIf(func(r plog.LogRecord) bool { return !k.within(happened(r)) || !k.counted() })
			return sl.LogRecords().Len() == 0
		})
		return rl.ScopeLogs().Len() == 0
	})
	k.lines += ld.LogRecordCount()
	ld.ResourceLogs().MoveAndAppendTo(k.out.Logs.ResourceLogs())
	for k.lines > maxLines {
		k.halve()
		k.lines = k.out.Logs.LogRecordCount()
	}
}

// counted keeps one line of keepEvery.
func (k *keeper) counted() bool {
	k.seen++
	return k.seen%max(k.keepEvery, 1) == 0
}

func (k *keeper) halve() {
	k.keepEvery = 2 * max(k.keepEvery, 1)
	n := 0
	for i := range k.out.Logs.ResourceLogs().Len() {
		scopes := k.out.Logs.ResourceLogs().At(i).ScopeLogs()
		for j := range scopes.Len() {
			scopes.At(j).LogRecords().RemoveIf(func(plog.LogRecord) bool { n++; return n%2 == 0 })
		}
	}
}

func happened(r plog.LogRecord) pcommon.Timestamp {
	if t := r.Timestamp(); t != 0 {
		return t
	}
	return r.ObservedTimestamp()
}

// AddMetrics implements otlpfile.Sink.
func (k *keeper) AddMetrics(pmetric.Metrics) {}
