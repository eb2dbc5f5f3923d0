package responder

import (
	"net/http"
	"os"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/internal/naming"
	"github.com/kubebot/kubebot/internal/pipeline/config"
	"github.com/kubebot/kubebot/internal/proof"
)

// storeURL is the address of the store at the end of a signal's path.
func storeURL(c config.Config, signal string) string {
	switch signal {
	case config.SignalMetrics:
		return c.PrometheusURL
	case config.SignalTraces:
		return c.JaegerURL
	}
	return c.LokiURL
}

// prover makes what proves the signals of the configuration, nil for none.
func (p *process) prover(api client.Client, replica string) (prover *proof.Prover, err error) {
	c := p.config
	if c.Proof == nil {
		return nil, nil
	}
	calls := &http.Client{Timeout: 10 * time.Second}
	origin := proof.Origin{Namespace: c.Namespace, Pod: p.PodName, UID: c.UID}
	o := proof.Options{
		Signals: map[string]proof.Signal{}, Seen: map[string]func() time.Time{}, Now: time.Now, Log: p.Log.WithName("proof"),
		Board: &proof.Board{
			Client: api, KubeBot: c.KubeBot, Namespace: c.Namespace, UID: c.UID, Replica: replica, Paths: map[string]string{}, Now: time.Now,
		},
	}
	for _, name := range c.Proof.Signals {
		if o.Board.Paths[name], err = naming.Hash([]string{name, c.Proof.CollectorURL, c.Proof.LogsBy, storeURL(c, name)}); err != nil {
			return nil, err
		}
		switch name {
		case config.SignalMetrics:
			o.Signals[name] = proof.NewMetric(calls, origin, c.Proof.CollectorURL, c.PrometheusURL)
		case config.SignalTraces:
			o.Signals[name] = proof.NewTrace(calls, origin, c.Proof.CollectorURL, c.JaegerURL)
		case config.SignalEvents:
			o.Signals[name] = proof.NewEvent(calls, api, origin, c.KubeBot, c.LokiURL, c.LokiTenant)
		case config.SignalAlerts:
			o.Seen[name] = func() time.Time { return p.heartbeat.Last().Seen }
		case config.SignalLogs:
			if c.Proof.LogsBy == config.LogsByOutput {
				o.Signals[name] = proof.NewOutput(calls, origin, os.Stdout, c.LokiURL, c.LokiTenant)
			} else {
				o.Signals[name] = proof.NewLine(calls, origin, c.Proof.CollectorURL, c.LokiURL, c.LokiTenant)
			}
		}
	}
	return proof.New(o, p.Registry), nil
}
