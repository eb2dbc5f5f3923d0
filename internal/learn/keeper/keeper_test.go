package keeper

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/learn/store"
)

type holds bool

func (h holds) Holds() bool { return bool(h) }

var made = metav1.NewTime(time.Date(2026, 3, 3, 12, 0, 0, 0, time.UTC))

// noise are Incidents of which a person said that they were noise.
func noise(n int) func() []*v1alpha1.Incident {
	return func() []*v1alpha1.Incident {
		var list []*v1alpha1.Incident
		for i := range n {
			list = append(list, &v1alpha1.Incident{
				ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("inc-%d", i), CreationTimestamp: made},
				Spec: v1alpha1.IncidentSpec{
					GroupKey: fmt.Sprint(i), Number: 1, Subject: v1alpha1.Subject{Kind: "Job", Namespace: "shop", Name: "report"},
					OpeningAlerts: []v1alpha1.IncidentAlert{{Name: "JobFailed", Severity: v1alpha1.SeverityWarning, StartsAt: made}},
					Feedback:      []v1alpha1.Feedback{{By: "ann", Verdict: v1alpha1.FeedbackNoise, At: metav1.NewTime(made.Add(time.Duration(i+1) * time.Minute))}},
				},
				Status: v1alpha1.IncidentStatus{Severity: v1alpha1.SeverityWarning, Decision: &v1alpha1.Decision{
					Verdict: v1alpha1.VerdictNotify, Reason: "Routed", Learned: &v1alpha1.LearnedDecision{Permille: 250},
				}},
			})
		}
		return list
	}
}

// replica returns a keeper on a store that others may share.
func replica(api client.Client, holder bool, incidents func() []*v1alpha1.Incident) *Keeper {
	return &Keeper{Store: store.Store{Client: api, Namespace: "kubebot", KubeBot: "main"}, Holder: holds(holder), Incidents: incidents,
		Now: func() time.Time { return made.Add(time.Hour) }, Log: logr.Discard()}
}

func TestTheHolderLearnsEachJudgementOnceAndOthersRead(t *testing.T) {
	api := fake.NewClientBuilder().Build()
	reader := replica(api, false, noise(3))
	require.NoError(t, reader.Sync(t.Context()))
	require.NotNil(t, reader.Learned())
	assert.Zero(t, reader.model.State().Revision, "only the holder learns")
	for range 3 { // a restart and a failover see the same Incidents again
		require.NoError(t, replica(api, true, noise(3)).Sync(t.Context()))
	}
	require.NoError(t, reader.Sync(t.Context()))
	state := reader.model.State()
	assert.EqualValues(t, 3, state.Revision)
	require.Len(t, state.Cells, 1)
	assert.Len(t, state.Cells[0].Judgements, 3)
	assert.Equal(t, 250, state.Cells[0].Judgements[0].Permille, "how likely the push was, is kept with the judgement")
	assert.Empty(t, reader.Problem())
}

func TestAJudgementOfTheFutureWaits(t *testing.T) {
	judged := noise(2)()
	judged[1].Spec.Feedback[0].At = metav1.NewTime(made.AddDate(70, 0, 0))
	k := replica(fake.NewClientBuilder().Build(), true, func() []*v1alpha1.Incident { return judged })
	require.NoError(t, k.Sync(t.Context()))
	require.Len(t, k.model.State().Cells, 1)
	assert.Len(t, k.model.State().Cells[0].Judgements, 1)
}

func TestADocumentThatCannotBeReadLeavesThePlainRules(t *testing.T) {
	object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "kubebot", Name: store.Name}, Data: map[string]string{store.Key("main"): "{"}}
	api := fake.NewClientBuilder().WithObjects(object).Build()
	k := replica(api, true, noise(1))
	require.ErrorIs(t, k.Sync(t.Context()), store.ErrUnreadable)
	assert.Nil(t, k.Learned())
	assert.Contains(t, k.Problem(), "kubebot learned reset --all")
	require.NoError(t, api.Get(t.Context(), client.ObjectKeyFromObject(object), object))
	assert.Equal(t, "{", object.Data[store.Key("main")], "nothing is learned over it")
}

func TestTheLastStateServesWhileTheAPIServerIsAway(t *testing.T) {
	away := false
	api := fake.NewClientBuilder().WithInterceptorFuncs(interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			if away {
				return errors.New("away")
			}
			return c.Get(ctx, key, o, opts...)
		},
	}).Build()
	k := replica(api, true, noise(2))
	assert.Nil(t, k.Learned(), "nothing was read yet")
	require.NoError(t, k.Sync(t.Context()))
	away = true
	require.Error(t, k.Sync(t.Context()))
	assert.NotNil(t, k.Learned())
	assert.NotEmpty(t, k.Problem())
	away = false
	require.NoError(t, k.Sync(t.Context()))
	assert.Empty(t, k.Problem())
}
