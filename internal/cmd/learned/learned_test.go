package learned

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/kubebot/kubebot/internal/learn"
	"github.com/kubebot/kubebot/internal/learn/store"
)

var monday = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

type holder struct{}

func (holder) Holds() bool { return true }

// taught returns a store with eight judgements of PodCrashLooping, of which seven say noise, and one of JobFailed.
func taught(t *testing.T) store.Store {
	t.Helper()
	s := store.Store{Client: fake.NewClientBuilder().Build(), Namespace: "kubebot", KubeBot: "main"}
	var feedback []learn.Feedback
	for i := range 9 {
		f := learn.Feedback{By: "ann", Signal: learn.Noise, Shown: learn.Push, At: monday.Add(time.Duration(i) * time.Hour), Incident: learn.Incident{
			Name: fmt.Sprintf("inc-%d", i), Team: "shop", Kind: "PodCrashLooping", Case: learn.Case{Severity: learn.SeverityWarning, Subject: "Deployment"},
		}}
		switch i {
		case 0:
			f.Signal = learn.Mattered
		case 8:
			f.Incident.Kind, f.Signal, f.By = "JobFailed", learn.Acknowledged, ""
		}
		feedback = append(feedback, f)
	}
	_, err := s.Learn(t.Context(), holder{}, feedback)
	require.NoError(t, err)
	return s
}

func output(t *testing.T, do func(ctx context.Context, out io.Writer) error) string {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, do(t.Context(), &out))
	return out.String()
}

func shown(t *testing.T, s store.Store, o showOptions) string {
	t.Helper()
	o.now = func() time.Time { return monday.AddDate(0, 0, 1) }
	return output(t, func(ctx context.Context, out io.Writer) error { return show(ctx, s, o, out) })
}

func TestShowSaysWhatWasLearnedAndWhy(t *testing.T) {
	s := taught(t)
	require.NoError(t, pin(t.Context(), s, learn.Pin{Team: "*", Kind: "CertificateExpiring", Action: learn.Push, By: "ann"}, io.Discard))
	text := shown(t, s, showOptions{weights: 1})
	lines := strings.Split(text, "\n")
	assert.Regexp(t, `^shop +JobFailed +0 +0 +1 +2026-03-02 `, lines[1])
	assert.Regexp(t, `^shop +PodCrashLooping +1 +7 +0 +2026-03-02 .* Noise in 7 of 8 judgements of PodCrashLooping in shop, last on 2026-03-02`, lines[2])
	assert.Contains(t, text, "CertificateExpiring  Push")
	assert.Contains(t, text, "FEATURE")
	assert.Contains(t, text, "State 10. Critical incidents are pushed whatever was learned.")
	var sum summary
	require.NoError(t, json.Unmarshal([]byte(shown(t, s, showOptions{output: "json"})), &sum))
	assert.Equal(t, 7, sum.Learned[1].Noise)
	assert.Equal(t, "ann", sum.Pins[0].By)
}

func TestShowOfNothing(t *testing.T) {
	s := store.Store{Client: fake.NewClientBuilder().Build(), Namespace: "kubebot", KubeBot: "main"}
	assert.Equal(t, "Nothing was learned yet (state 0): the plain rules decide.\n", shown(t, s, showOptions{}))
}

func TestExportIsImportedElsewhere(t *testing.T) {
	from := taught(t)
	text := output(t, func(ctx context.Context, out io.Writer) error { return export(ctx, from, out) })
	to := store.Store{Client: fake.NewClientBuilder().Build(), Namespace: "other", KubeBot: "blue"}
	assert.Equal(t, "Imported: 2 cells, 0 pins, now state 10\n", output(t, func(ctx context.Context, out io.Writer) error { return replace(ctx, to, []byte(text), out) }))
	a, err := from.Load(t.Context())
	require.NoError(t, err)
	b, err := to.Load(t.Context())
	require.NoError(t, err)
	assert.Equal(t, a.Cells, b.Cells)
	require.ErrorContains(t, replace(t.Context(), to, []byte("{}"), io.Discard), "version")
}

func TestUndoingSaysWhatItDid(t *testing.T) {
	s := taught(t)
	at := monday.AddDate(0, 0, 1)
	assert.Equal(t, "Forgot the judgements of Incident inc-3, now state 10\n", output(t, func(ctx context.Context, out io.Writer) error { return forget(ctx, s, "inc-3", at, out) }))
	require.ErrorContains(t, forget(t.Context(), s, "inc-3", at, io.Discard), "no judgement of Incident inc-3")
	assert.Equal(t, "Dropped 7 judgements, now state 11\n", output(t, func(ctx context.Context, out io.Writer) error {
		return reset(ctx, s, "shop", "PodCrashLooping", at, out)
	}))
	assert.Equal(t, "Dropped 0 judgements, now state 11\n", output(t, func(ctx context.Context, out io.Writer) error { return reset(ctx, s, "data", "*", at, out) }))
	require.NoError(t, pin(t.Context(), s, learn.Pin{Team: "shop", Kind: "JobFailed"}, io.Discard))
	require.NoError(t, unpin(t.Context(), s, "shop", "JobFailed", io.Discard))
	require.ErrorContains(t, unpin(t.Context(), s, "shop", "JobFailed", io.Discard), "there is no pin of JobFailed in shop")
}

func TestResetOfEverythingMendsABrokenState(t *testing.T) {
	s := taught(t)
	object := &corev1.ConfigMap{}
	require.NoError(t, s.Client.Get(t.Context(), client.ObjectKey{Namespace: "kubebot", Name: store.Name}, object))
	object.Data[store.Key("main")] = "{"
	require.NoError(t, s.Client.Update(t.Context(), object))
	require.ErrorContains(t, reset(t.Context(), s, "shop", "*", monday, io.Discard), store.Name)
	require.NoError(t, reset(t.Context(), s, "*", "*", monday, io.Discard))
	_, err := s.Load(t.Context())
	require.NoError(t, err)
}

func TestUsageErrorsFailTheCommand(t *testing.T) {
	for _, args := range [][]string{
		{"nonsense", "x"}, {"show", "x"}, {"show", "-o", "yaml"}, {"reset"}, {"reset", "--all", "--team", "shop"}, {"forget"},
		{"pin", "shop", "JobFailed"}, {"pin", "shop", "JobFailed", "Shout"}, {"import"}, {"import", "/does/not/exist"},
		{"show", "--kubeconfig", "/does/not/exist"},
	} {
		c := Command()
		c.SilenceErrors, c.SilenceUsage = true, true
		c.SetArgs(args)
		c.SetOut(io.Discard)
		assert.Error(t, c.Execute(), "%v", args)
	}
}

// failing is a client that reads nothing.
type failing struct{ client.Client }

func (failing) Get(context.Context, client.ObjectKey, client.Object, ...client.GetOption) error {
	return errors.New("forbidden")
}

func TestAnUnreadableClusterIsAnError(t *testing.T) {
	s := store.Store{Client: failing{}, Namespace: "kubebot", KubeBot: "main"}
	for _, do := range []action{
		export,
		func(ctx context.Context, s store.Store, out io.Writer) error {
			return reset(ctx, s, "*", "*", monday, out)
		},
		func(ctx context.Context, s store.Store, out io.Writer) error {
			return replace(ctx, s, []byte(`{"version":1}`), out)
		},
	} {
		require.ErrorContains(t, do(t.Context(), s, io.Discard), "read ConfigMap kubebot-learned: forbidden")
	}
}
