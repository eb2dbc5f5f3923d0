package responder

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/openapi"
	"k8s.io/client-go/rest"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/diagnosis/fixcheck"
	"github.com/kubebot/kubebot/internal/enrich"
	"github.com/kubebot/kubebot/internal/enrich/jaeger"
	"github.com/kubebot/kubebot/internal/enrich/loki"
	"github.com/kubebot/kubebot/internal/enrich/prometheus"
	"github.com/kubebot/kubebot/internal/pipeline"
	"github.com/kubebot/kubebot/internal/pipeline/config"
	"github.com/kubebot/kubebot/internal/rca/detectors"
	"github.com/kubebot/kubebot/internal/rca/weights"
)

const (
	// analysisQPS and analysisBurst bound the requests of all analyses to the API server. They have a client of their
	// own, so that no message waits behind them.
	analysisQPS, analysisBurst = 40, 80
	// analysisObjects is how many objects of a kind are read for an analysis: the responder's memory is small.
	analysisObjects = 1000
)

// analyst returns what looks for causes; nil where that is switched off.
func (p *process) analyst() (pipeline.Analyst, error) {
	if p.config.RootCause == v1alpha1.SwitchDisabled {
		return nil, nil
	}
	settings := rest.CopyConfig(p.REST)
	settings.QPS, settings.Burst = analysisQPS, analysisBurst
	settings.UserAgent = "kubebot-analysis"
	settings.WarningHandler = rest.NoWarnings{}
	meta, err := metadata.NewForConfig(settings)
	if err != nil {
		return nil, fmt.Errorf("make the client of the analysis: %w", err)
	}
	other, err := dynamic.NewForConfig(settings)
	if err != nil {
		return nil, fmt.Errorf("make the client of the analysis: %w", err)
	}
	settings.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	settings.ContentType = "application/vnd.kubernetes.protobuf"
	kube, err := kubernetes.NewForConfig(settings)
	if err != nil {
		return nil, fmt.Errorf("make the client of the analysis: %w", err)
	}
	live, err := weights.NewLive(config.WeightsDir, detectors.All())
	if err != nil {
		return nil, err
	}
	fixes := fixcheck.New(openapi.NewClientWithContext(kube.Discovery().RESTClient()), p.Log.WithName("analysis"))
	return ranked(enrich.Analyst{
		Kube: kube, Metadata: meta, Dynamic: other, Fixes: fixes, Sources: stores(p.config), MaxObjects: analysisObjects, Grafana: grafana(p.config),
	}, live), nil
}

// ranked makes each analysis with the weights that are in use when it begins.
func ranked(a enrich.Analyst, live *weights.Live) pipeline.Analyst {
	return func(ctx context.Context, inc *v1alpha1.Incident) v1alpha1.IncidentStatus {
		one := a
		engine, chosen, err := live.Engine()
		if err != nil {
			return v1alpha1.IncidentStatus{Analysis: &v1alpha1.Analysis{State: v1alpha1.AnalysisFailed, Message: err.Error()}}
		}
		one.Engine, one.Weights = engine, chosen.Name
		return one.Explain(ctx, inc)
	}
}

// stores are the configured stores of telemetry.
func stores(c config.Config) []enrich.Source {
	calls := &http.Client{Timeout: 10 * time.Second}
	var list []enrich.Source
	if c.PrometheusURL != "" {
		list = append(list, prometheus.Source{Store: enrich.Store{URL: c.PrometheusURL, HTTP: calls}})
	}
	if c.LokiURL != "" {
		list = append(list, loki.New(c.LokiURL, calls, c.LokiTenant))
	}
	if c.JaegerURL != "" {
		list = append(list, jaeger.Source{Store: enrich.Store{URL: c.JaegerURL, HTTP: calls}})
	}
	return list
}
