package pipeline

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/alert"
	"github.com/kubebot/kubebot/internal/decide"
	"github.com/kubebot/kubebot/internal/pipeline/config"
)

func TestReceiversAreToldOfASilenceOnceAndOfItsEnd(t *testing.T) {
	inc, _ := Apply(opened(fired("A", "1", v1alpha1.SeverityCritical, noon)), nil, decide.Damping{}, noon)
	until := metav1.NewTime(noon.Add(time.Hour))
	inc.Spec.Silence = &v1alpha1.SilenceRequest{By: "anna", Until: until}
	inc, _ = Apply(inc, nil, decide.Damping{}, noon.Add(time.Minute))
	assert.Equal(t, "Silenced until "+until.UTC().Format("2006-01-02 15:04 UTC")+" by anna", inc.Status.Transition.Text)
	require.NotNil(t, inc.Status.Silence)
	assert.Equal(t, v1alpha1.SilencePending, inc.Status.Silence.State)

	inc.Status.Silence.State = v1alpha1.SilenceActive
	again, _ := Apply(inc, nil, decide.Damping{}, noon.Add(2*time.Minute))
	assert.Equal(t, inc.Status, again.Status)

	later, _ := Apply(inc, nil, decide.Damping{}, noon.Add(time.Hour))
	assert.Equal(t, "The silence is over", later.Status.Transition.Text)
	inc.Spec.Silence = nil
	inc.Status.Silence.State = v1alpha1.SilenceEnded
	ended, _ := Apply(inc, nil, decide.Damping{}, noon.Add(2*time.Minute))
	assert.Equal(t, "The silence was ended", ended.Status.Transition.Text)
	assert.Nil(t, ended.Status.Silence)
}

func TestReceiversAreToldThatNobodyLooksAfterAnIncidentAnyMore(t *testing.T) {
	inc, _ := Apply(opened(fired("A", "1", v1alpha1.SeverityCritical, noon)), nil, decide.Damping{}, noon)
	inc.Spec.Acknowledge = &v1alpha1.Request{By: "anna"}
	inc, _ = Apply(inc, nil, decide.Damping{}, noon)
	assert.Equal(t, "Acknowledged by anna", inc.Status.Transition.Text)
	inc.Spec.Acknowledge = nil
	inc, _ = Apply(inc, nil, decide.Damping{}, noon)
	assert.Equal(t, "No longer acknowledged", inc.Status.Transition.Text)
	assert.Equal(t, v1alpha1.IncidentOpen, inc.Status.State)
}

func TestTheNextIncidentOfSilencedAlertsIsHeldBack(t *testing.T) {
	p := New(Options{Config: config.Config{UID: "uid"}, Rules: decide.Rules{Receivers: []string{"oncall"}}, Topology: shop{}, Replica: "r",
		Receivers: []Receiver{{Name: "oncall", Type: "webhook", Sink: &counter{}}},
		Metrics:   NewMetrics(prometheus.NewRegistry(), nil), Now: func() time.Time { return noon }})
	number := func(n int64, alerts ...alert.Alert) *v1alpha1.Incident {
		inc := opened(alerts...)
		inc.Spec.GroupKey, inc.Spec.Number = "k", n
		inc.Name, inc.ResourceVersion = IncidentName("uid", "k", n), "1"
		inc, _ = Apply(inc, nil, decide.Damping{}, noon)
		return inc
	}
	before := number(1, fired("A", "1", v1alpha1.SeverityWarning, noon))
	before.Spec.Silence = &v1alpha1.SilenceRequest{By: "anna", Until: metav1.NewTime(noon.Add(time.Hour))}
	require.True(t, p.index.Put(before))
	for name, c := range map[string]struct {
		inc  *v1alpha1.Incident
		held bool
	}{
		"the same alert":         {number(2, fired("A", "2", v1alpha1.SeverityWarning, noon)), true},
		"the same, now critical": {number(2, fired("A", "2", v1alpha1.SeverityCritical, noon)), false},
		"another alert":          {number(2, fired("B", "2", v1alpha1.SeverityWarning, noon)), false},
		"some incidents later":   {number(4, fired("A", "2", v1alpha1.SeverityWarning, noon)), true},
	} {
		until, by := p.silencedBefore(c.inc, noon)
		assert.Equal(t, c.held, by == before.Name && until.Equal(noon.Add(time.Hour)), name)
	}
	until, _ := p.silencedBefore(number(2, fired("A", "2", v1alpha1.SeverityWarning, noon)), noon.Add(time.Hour))
	assert.True(t, until.IsZero(), "the silence is over")
}
