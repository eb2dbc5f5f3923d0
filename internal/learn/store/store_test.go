package store

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/internal/learn"
	"github.com/kubebot/kubebot/internal/testutil/apitest"
)

var (
	config *rest.Config
	writes apitest.Writes
)

func TestMain(m *testing.M) {
	os.Exit(apitest.Main(m, func(c *rest.Config) { config = writes.Wrap(c) }))
}

func newStore(t *testing.T, kubeBot string) Store {
	t.Helper()
	c, err := client.New(config, client.Options{})
	require.NoError(t, err)
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: kubeBot}}
	require.NoError(t, client.IgnoreAlreadyExists(c.Create(t.Context(), namespace)))
	return Store{Client: c, Namespace: namespace.Name, KubeBot: kubeBot}
}

type holder bool

func (h holder) Holds() bool { return bool(h) }

func noise(incident string, minute int) learn.Feedback {
	return learn.Feedback{
		Incident: learn.Incident{Name: incident, Team: "shop", Kind: "JobFailed", Case: learn.Case{Severity: learn.SeverityWarning}},
		By:       "ann", Signal: learn.Noise, Shown: learn.Push, At: time.Date(2026, 3, 2, 0, minute, 0, 0, time.UTC),
	}
}

func TestOnlyTheHolderLearnsAndOnlyNewsIsWritten(t *testing.T) {
	s := newStore(t, "holder")
	state, err := s.Load(t.Context())
	require.NoError(t, err)
	assert.Equal(t, learn.State{Version: learn.Version}, state, "without a ConfigMap nothing is known")
	feedback := []learn.Feedback{noise("a", 1), noise("b", 2)}
	_, err = s.Learn(t.Context(), holder(false), feedback)
	require.ErrorIs(t, err, ErrNotHolder)
	writes.Take()
	stored, err := s.Learn(t.Context(), holder(true), feedback)
	require.NoError(t, err)
	assert.Len(t, writes.Take(), 1)
	again, err := s.Learn(t.Context(), holder(true), feedback)
	require.NoError(t, err)
	assert.Empty(t, writes.Take(), "known judgements were written again")
	loaded, err := newStore(t, "holder").Load(t.Context())
	require.NoError(t, err)
	assert.Equal(t, stored, loaded, "a restart lost something")
	assert.Equal(t, stored, again)
}

func TestWritersThatMeetLoseNothing(t *testing.T) {
	const writers, each = 3, 3
	var wait sync.WaitGroup
	errs := make([]error, writers)
	for w := range writers {
		s := newStore(t, "race")
		wait.Go(func() {
			for i := range each {
				if _, err := s.Learn(context.Background(), holder(true), []learn.Feedback{noise(fmt.Sprintf("%d-%d", w, i), w*each+i)}); err != nil {
					errs[w] = err
				}
			}
		})
	}
	wait.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	state, err := newStore(t, "race").Load(t.Context())
	require.NoError(t, err)
	require.Len(t, state.Cells, 1)
	assert.Len(t, state.Cells[0].Judgements, writers*each)
	assert.EqualValues(t, writers*each, state.Revision)
}

func TestABrokenDocumentIsNotLearnedOver(t *testing.T) {
	s := newStore(t, "broken")
	broken := s.empty()
	broken.Data = map[string]string{Key("broken"): "{", "note": "mine"}
	require.NoError(t, s.Client.Create(t.Context(), broken))
	_, err := s.Learn(t.Context(), holder(true), []learn.Feedback{noise("a", 1)})
	require.ErrorContains(t, err, "ConfigMap kubebot-learned, key broken.json")
	require.ErrorIs(t, err, ErrUnreadable)
	imported, _ := learn.State{}.Learn(noise("a", 1))
	_, err = s.Replace(t.Context(), imported)
	require.NoError(t, err)
	state, err := s.Load(t.Context())
	require.NoError(t, err)
	assert.Len(t, state.Cells, 1)
	kept := &corev1.ConfigMap{}
	require.NoError(t, s.Client.Get(t.Context(), client.ObjectKeyFromObject(broken), kept))
	assert.Equal(t, "mine", kept.Data["note"], "another key was dropped")
}

func TestReplacingGoesUpInRevisions(t *testing.T) {
	s := newStore(t, "import")
	for i := range 3 {
		_, err := s.Learn(t.Context(), holder(true), []learn.Feedback{noise(fmt.Sprint(i), i)})
		require.NoError(t, err)
	}
	state, err := s.Replace(t.Context(), learn.State{})
	require.NoError(t, err)
	assert.EqualValues(t, 4, state.Revision)
}

func TestKubeBotsOfOneNamespaceKeepApart(t *testing.T) {
	a := newStore(t, "together")
	b := a
	b.KubeBot = "other"
	a.Owner, b.Owner = &metav1.OwnerReference{APIVersion: "v1", Kind: "Namespace", Name: "a", UID: "1"}, &metav1.OwnerReference{APIVersion: "v1", Kind: "Namespace", Name: "b", UID: "2"}
	for range 2 {
		_, err := a.Learn(t.Context(), holder(true), []learn.Feedback{noise("a", 1), noise("b", 2)})
		require.NoError(t, err)
		_, err = b.Learn(t.Context(), holder(true), []learn.Feedback{noise("c", 1)})
		require.NoError(t, err)
	}
	state, err := b.Load(t.Context())
	require.NoError(t, err)
	require.Len(t, state.Cells, 1)
	assert.Len(t, state.Cells[0].Judgements, 1)
	object := &corev1.ConfigMap{}
	require.NoError(t, a.Client.Get(t.Context(), client.ObjectKey{Namespace: "together", Name: Name}, object))
	assert.Len(t, object.OwnerReferences, 2)
}
