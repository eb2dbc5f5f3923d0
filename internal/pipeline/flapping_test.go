package pipeline

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/alert"
	"github.com/kubebot/kubebot/internal/decide"
)

func TestIncidentThatKeepsComingBackIsKeptOpen(t *testing.T) {
	damping := decide.Damping{Times: 3, Within: time.Hour, Calm: 10 * time.Minute}
	a := fired("A", "1", v1alpha1.SeverityCritical, noon)
	inc, _ := Apply(opened(a), nil, damping, noon)
	now := noon
	flap := func() {
		t.Helper()
		now = now.Add(time.Minute)
		inc, _ = Apply(inc, []alert.Alert{ended(a, now)}, damping, now)
		now = now.Add(time.Minute)
		back := a
		back.StartsAt = now
		inc, _ = Apply(inc, []alert.Alert{back}, damping, now)
	}
	flap()
	flap()
	assert.Equal(t, v1alpha1.TransitionReopened, inc.Status.Transition.Kind)
	flap()
	assert.Equal(t, v1alpha1.TransitionUpdated, inc.Status.Transition.Kind, "the third return is no news in the channel")
	assert.Contains(t, inc.Status.Transition.Text, "it came back 3 times within 1h")
	sequence := sequenceOf(inc)
	for range 5 {
		flap()
	}
	assert.Equal(t, sequence, sequenceOf(inc), "nothing more is told")
	assert.Equal(t, v1alpha1.IncidentOpen, inc.Status.State)
	assert.EqualValues(t, 5, inc.Status.Flapping.HeldBack)

	now = now.Add(time.Minute)
	inc, _ = Apply(inc, []alert.Alert{ended(a, now)}, damping, now)
	assert.Equal(t, v1alpha1.IncidentOpen, inc.Status.State)
	assert.Equal(t, now.Add(damping.Calm), calmAt(inc, damping).UTC())
	almost, _ := Apply(inc, nil, damping, now.Add(damping.Calm-time.Second))
	assert.Equal(t, inc.Status, almost.Status)
	inc, _ = Apply(inc, nil, damping, now.Add(damping.Calm))
	assert.Equal(t, v1alpha1.IncidentResolved, inc.Status.State)
	assert.Equal(t, v1alpha1.TransitionResolved, inc.Status.Transition.Kind)
	assert.False(t, flaps(inc))
	require.NotNil(t, inc.Status.Flapping)
	assert.Empty(t, inc.Status.Flapping.Returns)
}

func TestReturnsThatAreFarApartAreTold(t *testing.T) {
	damping := decide.Damping{Times: 2, Within: time.Minute, Calm: time.Minute}
	a := fired("A", "1", v1alpha1.SeverityCritical, noon)
	inc, _ := Apply(opened(a), nil, damping, noon)
	for i := range 4 {
		now := noon.Add(time.Duration(i+1) * 3 * time.Minute)
		inc, _ = Apply(inc, []alert.Alert{ended(a, now)}, damping, now)
		back := a
		back.StartsAt = now.Add(time.Second)
		inc, _ = Apply(inc, []alert.Alert{back}, damping, now.Add(time.Second))
		assert.Equal(t, v1alpha1.TransitionReopened, inc.Status.Transition.Kind)
	}
	assert.Len(t, inc.Status.Flapping.Returns, 1)
}

func TestPersonClosesAFlappingIncident(t *testing.T) {
	damping := decide.Damping{Times: 3, Within: time.Hour, Calm: time.Hour}
	inc, _ := Apply(opened(fired("A", "1", v1alpha1.SeverityCritical, noon)), nil, damping, noon)
	since := stamp(noon)
	inc.Status.Flapping = &v1alpha1.FlappingStatus{Since: &since}
	inc.Spec.Close = &v1alpha1.Request{By: "ann"}
	inc, _ = Apply(inc, nil, damping, noon)
	assert.Equal(t, v1alpha1.IncidentClosed, inc.Status.State)
}
