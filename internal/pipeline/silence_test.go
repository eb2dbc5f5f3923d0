package pipeline

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubebot/kubebot/api/v1alpha1"
)

func TestReceiversAreToldOfASilenceOnceAndOfItsEnd(t *testing.T) {
	inc, _ := Apply(opened(fired("A", "1", v1alpha1.SeverityCritical, noon)), nil, noon)
	until := metav1.NewTime(noon.Add(time.Hour))
	inc.Spec.Silence = &v1alpha1.SilenceRequest{By: "anna", Until: until}
	inc, _ = Apply(inc, nil, noon.Add(time.Minute))
	assert.Equal(t, "Silenced until "+until.UTC().Format("2006-01-02 15:04 UTC")+" by anna", inc.Status.Transition.Text)
	require.NotNil(t, inc.Status.Silence)
	assert.Equal(t, v1alpha1.SilencePending, inc.Status.Silence.State)

	inc.Status.Silence.State = v1alpha1.SilenceActive
	again, _ := Apply(inc, nil, noon.Add(2*time.Minute))
	assert.Equal(t, inc.Status, again.Status)

	later, _ := Apply(inc, nil, noon.Add(time.Hour))
	assert.Equal(t, "The silence is over", later.Status.Transition.Text)
	inc.Spec.Silence = nil
	inc.Status.Silence.State = v1alpha1.SilenceEnded
	ended, _ := Apply(inc, nil, noon.Add(2*time.Minute))
	assert.Equal(t, "The silence was ended", ended.Status.Transition.Text)
	assert.Nil(t, ended.Status.Silence)
}

func TestReceiversAreToldThatNobodyLooksAfterAnIncidentAnyMore(t *testing.T) {
	inc, _ := Apply(opened(fired("A", "1", v1alpha1.SeverityCritical, noon)), nil, noon)
	inc.Spec.Acknowledge = &v1alpha1.Request{By: "anna"}
	inc, _ = Apply(inc, nil, noon)
	assert.Equal(t, "Acknowledged by anna", inc.Status.Transition.Text)
	inc.Spec.Acknowledge = nil
	inc, _ = Apply(inc, nil, noon)
	assert.Equal(t, "No longer acknowledged", inc.Status.Transition.Text)
	assert.Equal(t, v1alpha1.IncidentOpen, inc.Status.State)
}
