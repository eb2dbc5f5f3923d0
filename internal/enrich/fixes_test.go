package enrich

import (
	"testing"

	"github.com/go-logr/logr/funcr"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/openapi"

	"github.com/kubebot/kubebot/internal/diagnosis"
	"github.com/kubebot/kubebot/internal/diagnosis/fixcheck"
)

// early is an API server whose CronJobs have no starting deadline yet.
type early struct{}

func (early) Paths() (map[string]openapi.GroupVersion, error) {
	return map[string]openapi.GroupVersion{"apis/batch/v1": early{}}, nil
}
func (early) ServerRelativeURL() string { return "batch" }
func (early) Schema(string) ([]byte, error) {
	return []byte(`{"components":{"schemas":{"CronJob":{
		"type":"object","x-kubernetes-group-version-kind":[{"group":"batch","version":"v1","kind":"CronJob"}],
		"properties":{"apiVersion":{"type":"string"},"kind":{"type":"string"},
			"metadata":{"type":"object","x-kubernetes-preserve-unknown-fields":true},"status":{"type":"object","x-kubernetes-preserve-unknown-fields":true},
			"spec":{"type":"object","properties":{"schedule":{"type":"string"},"jobTemplate":{"type":"object","x-kubernetes-preserve-unknown-fields":true}}}}}}}}`), nil
}

func TestACauseIsToldWithoutTheCommandThatDoesNotFit(t *testing.T) {
	job := &batchv1.CronJob{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "nightly"}, Spec: batchv1.CronJobSpec{Schedule: "0 3 * * *"}}
	event := &corev1.Event{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "e"}, InvolvedObject: corev1.ObjectReference{Kind: "CronJob", Namespace: "shop", Name: "nightly"},
		Type: corev1.EventTypeWarning, Reason: "TooManyMissedTimes", LastTimestamp: metav1.NewTime(noon),
	}
	q := Question{Subject: diagnosis.Object{APIVersion: "batch/v1", Kind: "CronJob", Namespace: "shop", Name: "nightly"}, Alarm: noon, Now: noon, Troubled: true}
	var said []string
	log := funcr.New(func(_, args string) { said = append(said, args) }, funcr.Options{})
	a := &Analyst{Kube: fake.NewClientset(job, event)}
	unchecked := a.Analyse(t.Context(), q).Status()
	require.NotEmpty(t, unchecked.Causes)
	require.Len(t, unchecked.Causes[0].Fix.Commands, 1)

	a.Fixes = fixcheck.New(openapi.ToClientWithContext(early{}), log)
	checked := a.Analyse(t.Context(), q).Status()
	require.NotEmpty(t, checked.Causes)
	assert.Equal(t, unchecked.Causes[0].Sentence, checked.Causes[0].Sentence)
	assert.Equal(t, unchecked.Causes[0].Fix.Explanation, checked.Causes[0].Fix.Explanation)
	assert.Empty(t, checked.Causes[0].Fix.Commands)
	require.Len(t, said, 1)
	assert.Contains(t, said[0], "startingDeadlineSeconds")
}
