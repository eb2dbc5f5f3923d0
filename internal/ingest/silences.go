package ingest

import (
	"context"
	"fmt"
	"regexp"
	"time"

	"sigs.k8s.io/yaml"
)

// silencePatience is how long past alerts wait for Alertmanager to say what was silenced: after an outage of the cluster
// it comes back beside the responder.
const silencePatience = 10 * time.Minute

// silence is one of Alertmanager's API v2, which also tells of those that ended within its retention, 5 days by default.
type silence struct {
	Matchers []silenceMatcher `json:"matchers"`
	StartsAt time.Time        `json:"startsAt"`
	EndsAt   time.Time        `json:"endsAt"`
}

type silenceMatcher struct {
	Name    string `json:"name"`
	Value   string `json:"value"`
	IsRegex bool   `json:"isRegex"`
	IsEqual *bool  `json:"isEqual"` // missing before Alertmanager 0.22, which knew no others

	pattern *regexp.Regexp
}

// silences are those that may have kept past alerts away.
type silences struct {
	list []silence
	// external are the labels that Prometheus adds to what it sends to Alertmanager and that its series ALERTS lacks.
	external map[string]string
	// unknown: Alertmanager did not say what it silenced, or Prometheus not what it adds.
	unknown bool
}

// silences returns what Alertmanager silenced. When that can't be found out it is an error at first, and partly unknown once
// that has lasted for silencePatience: an alert that is told too much is better than one that is lost.
func (h *History) silences(ctx context.Context) (silences, error) {
	if h.AlertmanagerURL == "" {
		return silences{}, nil
	}
	found, err := h.askSilences(ctx)
	now := h.Now()
	switch {
	case err == nil:
		h.unanswered = time.Time{}
		return found, nil
	case h.unanswered.IsZero():
		h.unanswered = now
	case now.Sub(h.unanswered) >= silencePatience:
		h.Log.Error(err, "What Alertmanager silenced is not known; past alerts are told of all the same")
		found.unknown = true
		return found, nil
	}
	return silences{}, err
}

// askSilences returns the silences with an error too where only Prometheus did not answer.
func (h *History) askSilences(ctx context.Context) (silences, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	var found silences
	if err := getJSON(ctx, h.HTTP, h.AlertmanagerURL+"/api/v2/silences", &found.list); err != nil {
		return silences{}, fmt.Errorf("ask Alertmanager for its silences: %w", err)
	}
	if len(found.list) == 0 {
		return found, nil
	}
	for _, s := range found.list {
		for i := range s.Matchers {
			if err := s.Matchers[i].compile(); err != nil {
				return silences{}, err
			}
		}
	}
	var err error
	found.external, err = h.externalLabels(ctx)
	return found, err
}

func (h *History) externalLabels(ctx context.Context) (map[string]string, error) {
	prometheus, err := h.api()
	if err != nil {
		return nil, err
	}
	answer, err := prometheus.Config(ctx)
	if err != nil {
		return nil, fmt.Errorf("ask Prometheus for its external labels: %w", err)
	}
	var config struct {
		Global struct {
			ExternalLabels map[string]string `json:"external_labels"`
		} `json:"global"`
	}
	if err := yaml.Unmarshal([]byte(answer.YAML), &config); err != nil {
		return nil, fmt.Errorf("read the configuration of Prometheus: %w", err)
	}
	return config.Global.ExternalLabels, nil
}

// cover tells whether silences held for an alert as long as it fired, one after the other too: one that fired before its
// silence, or after it, was sent.
func (q silences) cover(labels map[string]string, w span) bool {
	at := w.start
	for moved := true; moved; {
		moved = false
		for _, s := range q.list {
			if s.StartsAt.After(at) || !s.EndsAt.After(at) || !q.match(s, labels) {
				continue
			}
			if at, moved = s.EndsAt, true; at.After(w.end) {
				return true
			}
		}
	}
	return false
}

// match tells whether a silence is for an alert; not where it asks for a label of which nothing is known.
func (q silences) match(s silence, labels map[string]string) bool {
	for _, m := range s.Matchers {
		value, has := labels[m.Name]
		if !has {
			value = q.external[m.Name]
		}
		if !has && q.unknown || !m.matches(value) {
			return false
		}
	}
	return len(s.Matchers) > 0
}

// compile reads the regular expression as Alertmanager does: it holds for the whole value.
func (m *silenceMatcher) compile() (err error) {
	if !m.IsRegex {
		return nil
	}
	if m.pattern, err = regexp.Compile("^(?:" + m.Value + ")$"); err != nil {
		return fmt.Errorf("read a silence of Alertmanager: matcher of label %q: %w", m.Name, err)
	}
	return nil
}

// matches tells whether the matcher holds for a value, which is empty for a missing label.
func (m *silenceMatcher) matches(value string) bool {
	same := value == m.Value
	if m.pattern != nil {
		same = m.pattern.MatchString(value)
	}
	return same == (m.IsEqual == nil || *m.IsEqual)
}
