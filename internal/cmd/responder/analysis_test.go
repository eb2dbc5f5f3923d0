package responder

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/enrich"
	"github.com/kubebot/kubebot/internal/notify"
	"github.com/kubebot/kubebot/internal/pipeline/config"
	"github.com/kubebot/kubebot/internal/testutil/golden"
)

// says is an analysis that finds a bad rollout.
func says(sentence string) v1alpha1.IncidentStatus {
	return v1alpha1.IncidentStatus{
		Analysis: &v1alpha1.Analysis{State: v1alpha1.AnalysisCauseFound, Message: sentence},
		Causes: []v1alpha1.Cause{{Object: v1alpha1.CauseObject{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "shop", Name: "checkout"}, Kind: "config",
			ScorePercent: 90, Sentence: sentence, Evidence: []v1alpha1.CauseEvidence{{From: v1alpha1.EvidenceKubernetes, Text: "it was seen"}},
			Fix: &v1alpha1.CauseFix{Explanation: "Go back.", Commands: []string{"kubectl -n shop rollout undo deployment/checkout"}}}},
	}
}

func TestCauseIsToldAfterTheFirstMessageWhichDoesNotWaitForIt(t *testing.T) {
	r := newRig(t, nil)
	release := make(chan struct{})
	r.analyse = func(ctx context.Context, _ *v1alpha1.Incident) v1alpha1.IncidentStatus {
		select {
		case <-release:
		case <-ctx.Done():
		}
		return says("Revision 2 is bad")
	}
	p := r.start("a")
	require.Equal(t, http.StatusOK, p.post(token, body(t, down("checkout", "firing"))))
	require.Eventually(t, func() bool { return len(r.sink.messages()) == 1 }, 30*time.Second, 10*time.Millisecond, "the analysis hangs and the message goes out")
	assert.Empty(t, r.sink.messages()[0].Incident.Status.Causes)
	close(release)
	require.Eventually(t, func() bool { return len(r.sink.messages()) == 2 }, 30*time.Second, 10*time.Millisecond)
	told := r.sink.messages()[1]
	assert.Equal(t, v1alpha1.TransitionUpdated, told.Transition)
	assert.Contains(t, told.Text, "Likely cause (90 %): Revision 2 is bad")
	assert.Contains(t, told.Text, "rollout undo")
	assert.Equal(t, "Revision 2 is bad", told.Incident.Status.Cause)
	inc := r.incidents()[0]
	assert.Equal(t, v1alpha1.AnalysisCauseFound, inc.Status.Analysis.State)
	assert.EqualValues(t, 1, inc.Status.Analysis.Runs)
}

func TestTwoReplicasAnalyseOnce(t *testing.T) {
	r := newRig(t, nil)
	var runs atomic.Int32
	r.analyse = func(context.Context, *v1alpha1.Incident) v1alpha1.IncidentStatus {
		runs.Add(1)
		time.Sleep(300 * time.Millisecond)
		return says("Revision 2 is bad")
	}
	a, b := r.start("a"), r.start("b")
	for _, p := range []*replica{a, b} {
		require.Equal(t, http.StatusOK, p.post(token, body(t, down("checkout", "firing"))))
	}
	require.Eventually(t, func() bool { return len(r.sink.messages()) == 2 }, 30*time.Second, 10*time.Millisecond)
	time.Sleep(2500 * time.Millisecond) // the other replica looks a little later; it must find nothing to do
	assert.EqualValues(t, 1, runs.Load())
	version := r.incidents()[0].ResourceVersion
	time.Sleep(2 * time.Second)
	assert.Equal(t, version, r.incidents()[0].ResourceVersion, "what is told is at rest")
}

func TestAnalysisOfAReplicaThatDiedIsMadeByAnother(t *testing.T) {
	r := newRig(t, nil)
	var later atomic.Bool
	started := make(chan struct{})
	r.analyse = func(ctx context.Context, _ *v1alpha1.Incident) v1alpha1.IncidentStatus {
		if !later.Swap(true) {
			close(started)
			<-ctx.Done()
		}
		return says("Revision 2 is bad")
	}
	a := r.start("a")
	require.Equal(t, http.StatusOK, a.post(token, body(t, down("checkout", "firing"))))
	<-started
	r.start("b")
	a.stop()
	require.Eventually(t, func() bool { return r.incidents()[0].Status.Cause == "Revision 2 is bad" }, 10*time.Second, 20*time.Millisecond)
}

func TestSettledCauseIsNotSearchedForAgain(t *testing.T) {
	r := newRig(t, nil)
	var runs atomic.Int32
	r.analyse = func(context.Context, *v1alpha1.Incident) v1alpha1.IncidentStatus {
		runs.Add(1)
		return says("Revision 2 is bad")
	}
	p := r.start("a")
	require.Equal(t, http.StatusOK, p.post(token, body(t, down("checkout", "firing"))))
	require.Eventually(t, func() bool { return r.incidents()[0].Status.Cause != "" }, 30*time.Second, 20*time.Millisecond)

	inc := r.incidents()[0]
	judge := func(j v1alpha1.CauseJudgement) error {
		changed := inc.DeepCopy()
		changed.Spec.Cause = &j
		return api.Patch(t.Context(), changed, client.MergeFrom(&inc))
	}
	require.ErrorContains(t, judge(v1alpha1.CauseJudgement{Confirm: new(int32(2))}), "place of a cause", "there is one cause")
	require.ErrorContains(t, judge(v1alpha1.CauseJudgement{}), "set one of confirm")
	require.NoError(t, judge(v1alpha1.CauseJudgement{Confirm: new(int32(1)), By: "ada"}))
	more := down("checkout", "firing")
	more.Labels["alertname"] = "ErrorRateHigh"
	require.Equal(t, http.StatusOK, p.post(token, body(t, more)))
	require.Eventually(t, func() bool { return len(r.incidents()[0].Status.Alerts) == 2 }, 30*time.Second, 20*time.Millisecond)
	assert.EqualValues(t, 1, runs.Load())
}

// TestRealAnalysisOfAMissingConfigMap analyses what a real API server shows, with a store of logs that hangs and secrets
// in what the cluster says.
func TestRealAnalysisOfAMissingConfigMap(t *testing.T) {
	hangs := make(chan struct{})
	loki := http.Server{Addr: golden.FreeAddress(t), Handler: http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		select {
		case <-hangs:
		case <-req.Context().Done():
		}
	})}
	go func() { _ = loki.ListenAndServe() }()
	t.Cleanup(func() { close(hangs); _ = loki.Close() })
	r := newRig(t, func(c *config.Config) {
		c.RootCause, c.LokiURL, c.JaegerURL = "", "http://"+loki.Addr, "http://127.0.0.1:1"
	})
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: r.namespace},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "app:1"}}, Volumes: []corev1.Volume{{Name: "config",
			VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: "app-config"}}}}}},
	}
	require.NoError(t, api.Create(t.Context(), pod))
	require.NoError(t, api.Create(t.Context(), &corev1.Event{
		ObjectMeta: metav1.ObjectMeta{Name: "mount", Namespace: r.namespace}, Reason: "FailedMount", Type: "Warning", Count: 3, LastTimestamp: metav1.Now(),
		InvolvedObject: corev1.ObjectReference{Kind: "Pod", Namespace: r.namespace, Name: "web", UID: pod.UID},
		Message:        `MountVolume.SetUp failed for volume "config" : configmap "app-config" not found; token=hunter2hunter2`,
	}))
	p := r.start("a")
	alarm := down("web", "firing")
	alarm.Labels["namespace"], alarm.Labels["workload_kind"] = r.namespace, "Pod"
	require.Equal(t, http.StatusOK, p.post(token, body(t, alarm)))
	require.Eventually(t, func() bool {
		return len(r.sink.messages()) == 2 && r.incidents()[0].Status.Analysis.State != v1alpha1.AnalysisRunning
	}, 60*time.Second, 50*time.Millisecond)

	status := r.incidents()[0].Status
	assert.Equal(t, "ConfigMap app-config does not exist in namespace "+r.namespace+"; Pod web mounts it as volume config", status.Cause)
	assert.EqualValues(t, "config", status.Causes[0].Kind)
	states := map[string]v1alpha1.SourceState{}
	for _, s := range status.Analysis.Sources {
		states[s.Name] = s.State
	}
	assert.Equal(t, map[string]v1alpha1.SourceState{enrich.SourceKubernetes: v1alpha1.SourceRead, enrich.SourceLoki: v1alpha1.SourceMissing,
		enrich.SourceJaeger: v1alpha1.SourceMissing}, states)
	told := r.sink.messages()[1]
	assert.Contains(t, told.Text, "Nothing of loki: no answer within 4s")
	assert.Contains(t, told.Text, "Nothing of jaeger: it can't be reached: connection refused")
	data, err := json.Marshal([]any{status, []notify.Message{told}})
	require.NoError(t, err)
	assert.False(t, strings.Contains(string(data), "hunter2"), "secrets are masked")
}
