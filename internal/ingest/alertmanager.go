package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-logr/logr"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/alert"
	"github.com/kubebot/kubebot/internal/pipeline"
)

const (
	// comparePause is the time between two comparisons with Alertmanager.
	comparePause = time.Minute
	// settledAfter is how long Alertmanager must have run before an alert that it does not know counts as gone: it
	// forgets its alerts at a restart, and Prometheus sends them again within its resend delay of a minute.
	settledAfter = 5 * time.Minute
	// maxAnswer of Alertmanager and Prometheus in bytes.
	maxAnswer = 64 << 20
)

// Comparison brings the Incidents in line with what Alertmanager's API says.
type Comparison struct {
	// URL of Alertmanager, without a slash at the end.
	URL        string
	HTTP       *http.Client
	Store      Store
	Index      *pipeline.Index
	Receiver   func() string
	Severities []v1alpha1.SeverityMapping
	Now        func() time.Time
	Log        logr.Logger

	// absent are alerts that fire here and were gone there at the last comparison.
	absent map[string]bool
	wake   chan struct{}
}

// apiAlert is an alert of Alertmanager's API v2.
type apiAlert struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	StartsAt    time.Time         `json:"startsAt"`
	Receivers   []struct {
		Name string `json:"name"`
	} `json:"receivers"`
	Status struct {
		State string `json:"state"`
	} `json:"status"`
}

// Start prepares the comparison; it must be called before Run and Soon.
func (c *Comparison) Start() { c.wake = make(chan struct{}, 1) }

// Soon asks for a comparison at once.
func (c *Comparison) Soon() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Run compares at once and then every minute until the context ends. attempted is called after the first time.
func (c *Comparison) Run(ctx context.Context, attempted func()) error {
	ticker := time.NewTicker(comparePause)
	defer ticker.Stop()
	for {
		if err := c.Compare(ctx); err != nil && ctx.Err() == nil {
			c.Log.Error(err, "Alerts were not compared with Alertmanager")
		}
		attempted()
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		case <-c.wake:
		}
	}
}

// Compare ingests what fires in Alertmanager and is unknown here, and ends what fires here and is gone there at two
// comparisons in a row. What is silenced or inhibited there is neither.
func (c *Comparison) Compare(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	here := c.Index.Firing(v1alpha1.AlertSourceAlertmanager) // before asking: what comes meanwhile is not judged
	started, err := c.uptime(ctx)
	if err != nil {
		return err
	}
	there, err := c.alerts(ctx)
	if err != nil {
		return err
	}
	news := c.unknown(here, there)
	ended := c.gone(here, there, c.Now().Sub(started) >= settledAfter)
	if len(news)+len(ended) == 0 {
		return nil
	}
	c.Log.Info("Comparison with Alertmanager found differences", "unknown", len(news), "ended", len(ended))
	if err := c.Store(ctx, slices.Concat(news, ended)); err != nil {
		return fmt.Errorf("store the differences to Alertmanager: %w", err)
	}
	return nil
}

// unknown returns alerts that fire there for this responder and that no Incident holds as firing.
func (c *Comparison) unknown(here map[string]pipeline.FiringAlert, there map[string]apiAlert) []alert.Alert {
	receiver := c.Receiver()
	var list []alert.Alert
	for fingerprint, a := range there {
		mine := slices.ContainsFunc(a.Receivers, func(r struct {
			Name string `json:"name"`
		}) bool {
			return r.Name == receiver
		})
		if _, known := here[fingerprint]; known || !mine || a.Status.State == "suppressed" {
			continue
		}
		list = append(list, newAlert(a.Labels, a.Annotations, a.StartsAt, v1alpha1.AlertSourceAlertmanager, c.Severities, c.Now()))
	}
	return list
}

// gone returns the end of alerts that fire here and were absent there twice.
func (c *Comparison) gone(here map[string]pipeline.FiringAlert, there map[string]apiAlert, settled bool) []alert.Alert {
	absent := map[string]bool{}
	var list []alert.Alert
	for fingerprint, f := range here {
		if _, ok := there[fingerprint]; ok || !settled {
			continue
		}
		if !c.absent[fingerprint] {
			absent[fingerprint] = true
			continue
		}
		list = append(list, f.End(c.Now()))
	}
	c.absent = absent
	return list
}

func (c *Comparison) alerts(ctx context.Context) (map[string]apiAlert, error) {
	var list []apiAlert
	if err := getJSON(ctx, c.HTTP, c.URL+"/api/v2/alerts?active=true&silenced=true&inhibited=true&unprocessed=true", &list); err != nil {
		return nil, fmt.Errorf("ask Alertmanager for its alerts: %w", err)
	}
	there := make(map[string]apiAlert, len(list))
	for _, a := range list {
		if !alert.AboutKubeBot(a.Labels[alert.LabelName]) {
			there[alert.Fingerprint(a.Labels)] = a
		}
	}
	return there, nil
}

func (c *Comparison) uptime(ctx context.Context) (time.Time, error) {
	var status struct {
		Uptime time.Time `json:"uptime"`
	}
	if err := getJSON(ctx, c.HTTP, c.URL+"/api/v2/status", &status); err != nil {
		return time.Time{}, fmt.Errorf("ask Alertmanager for its status: %w", err)
	}
	return status.Uptime, nil
}

// getJSON gets a JSON document. Errors hold no query.
func getJSON(ctx context.Context, client *http.Client, address string, into any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return fmt.Errorf("make the request: %w", err)
	}
	response, err := client.Do(request)
	if err != nil {
		var failed *url.Error
		if errors.As(err, &failed) {
			err = failed.Err
		}
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(http.MaxBytesReader(nil, response.Body, maxAnswer))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return fmt.Errorf("the answer is larger than %d MiB", maxAnswer>>20)
	case err != nil:
		return fmt.Errorf("read the answer: %w", err)
	case response.StatusCode != http.StatusOK:
		return fmt.Errorf("the answer was %s: %s", response.Status, strings.TrimSpace(string(body[:min(len(body), 200)])))
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	return nil
}
