package responder

import (
	"fmt"
	"time"

	"github.com/prometheus/common/model"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/pipeline/config"
)

const (
	// digestInterval is how often what can wait is told.
	digestInterval = "1h"
	// defaultStormAbove is how many new incidents a minute are told one by one: more than a person reads in a minute, and a
	// third of what Slack takes in a channel (one message a second).
	defaultStormAbove = 20

	// pushAfter lets most of what heals itself, such as a pod that is restarted once, be over before anybody is told.
	pushAfter    = "1m"
	maxPushAfter = time.Hour

	// An incident that came back three times within an hour is kept open until it was quiet for as long as a resolved one
	// may reopen.
	flappingTimes  = 3
	flappingWithin = "1h"
	flappingCalm   = "10m"

	escalationAfter = "15m"

	week = 7 * 24 * time.Hour
)

// between parses a duration of the spec that must be within bounds.
func between(field string, value v1alpha1.Duration, fallback string, least, most time.Duration) (time.Duration, error) {
	d, err := component.Duration(field, value, fallback)
	if err != nil {
		return 0, err
	}
	if got := time.Duration(d); got < least || got > most {
		return 0, &component.InvalidError{Field: field, Message: fmt.Sprintf("%s is not between %s and %s", d, model.Duration(least), model.Duration(most))}
	}
	return time.Duration(d), nil
}

// digestEvery returns how often digests are sent.
func digestEvery(a v1alpha1.AlertingSpec) (time.Duration, error) {
	return between(alertingField+".digest.interval", a.Digest.Interval, digestInterval, time.Minute, week)
}

func stormAbove(a v1alpha1.AlertingSpec) int {
	if n := a.Digest.StormAbove; n != nil {
		return int(*n)
	}
	return defaultStormAbove
}

// pushAfterOf returns how long an incident that is not critical must last before it is first pushed; 0s means at once.
func pushAfterOf(a v1alpha1.AlertingSpec) (time.Duration, error) {
	if d, err := model.ParseDuration(string(a.PushAfter)); err == nil && d == 0 {
		return 0, nil
	}
	return between(alertingField+".pushAfter", a.PushAfter, pushAfter, time.Second, maxPushAfter)
}

// flappingOf returns when an incident that comes back is kept open.
func flappingOf(a v1alpha1.AlertingSpec) (config.Flapping, error) {
	within, err := between(alertingField+".flapping.within", a.Flapping.Within, flappingWithin, time.Minute, week)
	if err != nil {
		return config.Flapping{}, err
	}
	calm, err := between(alertingField+".flapping.calm", a.Flapping.Calm, flappingCalm, time.Minute, 24*time.Hour)
	if err != nil {
		return config.Flapping{}, err
	}
	times := flappingTimes
	if n := a.Flapping.Times; n != nil {
		times = int(*n)
	}
	return config.Flapping{Times: times, WithinSeconds: int64(within / time.Second), CalmSeconds: int64(calm / time.Second)}, nil
}

func checkEscalations(a v1alpha1.AlertingSpec) error {
	for i, r := range a.Routes {
		if r.Escalation == nil {
			continue
		}
		if _, err := between(fmt.Sprintf("%s.routes[%d].escalation.after", alertingField, i),
			r.Escalation.After, escalationAfter, time.Minute, week); err != nil {
			return err
		}
	}
	return nil
}
