package telemetry

import (
	"context"
	"io"
	"log/slog"

	"go.opentelemetry.io/otel/trace"
)

// NewHandler writes one JSON object per line: time, severity, message, the attributes, and trace_id, span_id and
// trace_flags when the context carries a span (the field names of OpenTelemetry's "trace context in non-OTLP logs").
func NewHandler(out io.Writer, level slog.Level) slog.Handler {
	return traced{slog.NewJSONHandler(out, &slog.HandlerOptions{Level: level, ReplaceAttr: rename})}
}

func rename(groups []string, a slog.Attr) slog.Attr {
	if len(groups) > 0 {
		return a
	}
	switch a.Key {
	case slog.LevelKey:
		a.Key = "severity"
	case slog.MessageKey:
		a.Key = "message"
	}
	return a
}

// traced adds the ids of the span in the context.
type traced struct{ slog.Handler }

func (h traced) Handle(ctx context.Context, r slog.Record) error {
	if span := trace.SpanContextFromContext(ctx); span.IsValid() {
		r = r.Clone()
		r.AddAttrs(slog.String("trace_id", span.TraceID().String()), slog.String("span_id", span.SpanID().String()),
			slog.String("trace_flags", span.TraceFlags().String()))
	}
	return h.Handler.Handle(ctx, r)
}

func (h traced) WithAttrs(attrs []slog.Attr) slog.Handler { return traced{h.Handler.WithAttrs(attrs)} }
func (h traced) WithGroup(name string) slog.Handler       { return traced{h.Handler.WithGroup(name)} }

// atLevel drops what is below a level, for handlers that have no level of their own.
type atLevel struct {
	slog.Handler
	level slog.Level
}

func (h atLevel) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= h.level && h.Handler.Enabled(ctx, l)
}
func (h atLevel) WithAttrs(attrs []slog.Attr) slog.Handler {
	return atLevel{h.Handler.WithAttrs(attrs), h.level}
}
func (h atLevel) WithGroup(name string) slog.Handler {
	return atLevel{h.Handler.WithGroup(name), h.level}
}

// NewLogger logs from INFO up to out alone, never by OTLP.
func NewLogger(out io.Writer) *slog.Logger { return slog.New(NewHandler(out, slog.LevelInfo)) }
