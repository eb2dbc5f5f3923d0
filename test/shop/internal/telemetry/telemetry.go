// Package telemetry sets up the OpenTelemetry SDK of one service: traces, metrics and logs.
//
// Metrics can always be scraped (Handler). Traces, metrics and logs go out by OTLP only when the standard
// environment names an endpoint: OTEL_EXPORTER_OTLP_ENDPOINT, or the same for one signal. All other standard
// variables of the SDK (protocol, headers, intervals, OTEL_<SIGNAL>_EXPORTER=none, resource attributes) work too.
package telemetry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/contrib/bridges/otelslog"
	"go.opentelemetry.io/contrib/exporters/autoexport"
	"go.opentelemetry.io/otel/attribute"
	promexporter "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/propagation"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// Telemetry is what one service reports with. Nothing of it is global, so that several services fit in one process.
type Telemetry struct {
	Log        *slog.Logger // JSON lines with trace and span id, and OTLP log records when logs are exported
	Tracers    *sdktrace.TracerProvider
	Meters     *sdkmetric.MeterProvider
	Propagator propagation.TextMapPropagator // W3C trace context and baggage

	registry *prometheus.Registry
	logs     *sdklog.LoggerProvider // nil without export of logs
}

// Options name the service that reports.
type Options struct {
	Service  string     // service.name
	Version  string     // service.version
	Instance string     // service.instance.id, usually the pod's name
	Out      io.Writer  // receives the JSON log lines
	Level    slog.Level // lowest level that is logged
}

// New starts the SDK. Errors come from exporters whose environment is wrong and from unreadable resource attributes.
func New(ctx context.Context, o Options) (*Telemetry, error) {
	res, err := resource.New(ctx,
		resource.WithTelemetrySDK(),
		resource.WithAttributes(
			attribute.String("service.namespace", "shop"),
			attribute.String("service.name", o.Service),
			attribute.String("service.version", o.Version),
			attribute.String("service.instance.id", o.Instance),
		),
		resource.WithFromEnv(),
	)
	if err != nil {
		return nil, fmt.Errorf("read resource attributes: %w", err)
	}
	t := &Telemetry{
		registry:   prometheus.NewRegistry(),
		Propagator: propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{}),
	}
	t.registry.MustRegister(collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	stdout := NewHandler(o.Out, o.Level)
	t.Log = slog.New(stdout)
	for _, start := range []func(context.Context, *resource.Resource) error{t.startTraces, t.startMetrics, t.startLogs} {
		if err := start(ctx, res); err != nil {
			return nil, errors.Join(err, t.Shutdown(ctx))
		}
	}
	if t.logs != nil {
		bridge := otelslog.NewHandler("github.com/kubebot/kubebot/test/shop", otelslog.WithLoggerProvider(t.logs))
		t.Log = slog.New(slog.NewMultiHandler(stdout, atLevel{bridge, o.Level}))
	}
	return t, nil
}

// Handler serves the metrics of this service and of its Go runtime, with exemplars for those who ask for OpenMetrics.
func (t *Telemetry) Handler() http.Handler {
	return promhttp.HandlerFor(t.registry, promhttp.HandlerOpts{EnableOpenMetrics: true})
}

// Shutdown sends what is still queued, within ctx.
func (t *Telemetry) Shutdown(ctx context.Context) error {
	var errs []error
	if t.Tracers != nil {
		errs = append(errs, t.Tracers.Shutdown(ctx))
	}
	if t.Meters != nil {
		errs = append(errs, t.Meters.Shutdown(ctx))
	}
	if t.logs != nil {
		errs = append(errs, t.logs.Shutdown(ctx))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("send the last telemetry: %w", err)
	}
	return nil
}

func (t *Telemetry) startTraces(ctx context.Context, res *resource.Resource) error {
	options := []sdktrace.TracerProviderOption{sdktrace.WithResource(res)}
	if exported("TRACES") {
		exporter, err := autoexport.NewSpanExporter(ctx)
		if err != nil {
			return fmt.Errorf("start the export of traces: %w", err)
		}
		options = append(options, sdktrace.WithBatcher(exporter))
	}
	t.Tracers = sdktrace.NewTracerProvider(options...)
	return nil
}

func (t *Telemetry) startMetrics(ctx context.Context, res *resource.Resource) error {
	scraped, err := promexporter.New(promexporter.WithRegisterer(t.registry))
	if err != nil {
		return fmt.Errorf("start the metrics endpoint: %w", err)
	}
	// The sizes of bodies would triple the number of series and say little about a shop this small.
	noSizes := sdkmetric.NewView(sdkmetric.Instrument{Name: "http.*.body.size"},
		sdkmetric.Stream{Aggregation: sdkmetric.AggregationDrop{}})
	options := []sdkmetric.Option{sdkmetric.WithResource(res), sdkmetric.WithReader(scraped), sdkmetric.WithView(noSizes)}
	if exported("METRICS") {
		pushed, err := autoexport.NewMetricReader(ctx)
		if err != nil {
			return fmt.Errorf("start the export of metrics: %w", err)
		}
		options = append(options, sdkmetric.WithReader(pushed))
	}
	t.Meters = sdkmetric.NewMeterProvider(options...)
	return nil
}

func (t *Telemetry) startLogs(ctx context.Context, res *resource.Resource) error {
	if !exported("LOGS") {
		return nil
	}
	exporter, err := autoexport.NewLogExporter(ctx)
	if err != nil {
		return fmt.Errorf("start the export of logs: %w", err)
	}
	t.logs = sdklog.NewLoggerProvider(sdklog.WithResource(res), sdklog.WithProcessor(sdklog.NewBatchProcessor(exporter)))
	return nil
}

// exported says whether the environment names an OTLP endpoint for the signal (TRACES, METRICS or LOGS).
func exported(signal string) bool {
	return os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || os.Getenv("OTEL_EXPORTER_OTLP_"+signal+"_ENDPOINT") != ""
}
