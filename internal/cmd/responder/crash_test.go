package responder

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/notify"
	"github.com/kubebot/kubebot/internal/pipeline"
)

// created makes an Incident as a replica leaves it that dies right after the create.
func (r *rig) created(t *testing.T) *v1alpha1.Incident {
	key := "workload/Deployment/shop/checkout"
	inc := &v1alpha1.Incident{
		ObjectMeta: metav1.ObjectMeta{Namespace: r.namespace, Name: pipeline.IncidentName(r.config.UID, key, 1)},
		Spec: v1alpha1.IncidentSpec{KubeBot: "main", GroupKey: key, Number: 1,
			Subject: v1alpha1.Subject{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "shop", Name: "checkout", Display: "Deployment shop/checkout"},
			OpeningAlerts: []v1alpha1.IncidentAlert{{Fingerprint: "0123456789abcdef", Name: "WorkloadDown", Severity: v1alpha1.SeverityCritical,
				State: v1alpha1.AlertFiring, Source: v1alpha1.AlertSourceAlertmanager, StartsAt: metav1.Now()}}},
	}
	require.NoError(t, api.Create(t.Context(), inc))
	return inc
}

func TestReplicaThatDiedBetweenStoreAndSendIsReplaced(t *testing.T) {
	r := newRig(t, nil)
	r.created(t)
	r.start("b")
	require.Eventually(t, func() bool { return len(r.sink.messages()) == 1 }, 10*time.Second, 10*time.Millisecond)
	assert.False(t, r.sink.messages()[0].MayHaveArrived)
}

func TestClaimOfADeadReplicaIsTakenOverAsPerhapsArrived(t *testing.T) {
	r := newRig(t, nil)
	inc := r.created(t)
	until := metav1.NewMicroTime(time.Now().Add(3 * time.Second))
	inc.Status = v1alpha1.IncidentStatus{
		State: v1alpha1.IncidentOpen, Severity: v1alpha1.SeverityCritical, Alerts: inc.Spec.OpeningAlerts,
		Decision:   &v1alpha1.Decision{Verdict: v1alpha1.VerdictNotify, Reason: "Critical"},
		Transition: &v1alpha1.TransitionRecord{Kind: v1alpha1.TransitionOpened, Sequence: 1, At: metav1.Now()},
		Deliveries: []v1alpha1.Delivery{{Key: "k", Receiver: "oncall", Transition: v1alpha1.TransitionOpened, Sequence: 1,
			State: v1alpha1.DeliveryClaimed, Holder: "b.dead1", Until: &until}},
	}
	require.NoError(t, api.Status().Update(t.Context(), inc))
	r.start("b")
	require.Eventually(t, func() bool { return len(r.sink.messages()) == 1 }, 60*time.Second, 10*time.Millisecond)
	assert.False(t, time.Now().Before(until.Time), "a claim holds until its end")
	got := r.sink.messages()[0]
	assert.True(t, got.MayHaveArrived)
	assert.Equal(t, "k", got.Key)
}

func TestStopEndsWhatIsInFlightAndWritesItsResult(t *testing.T) {
	r := newRig(t, nil)
	begun := make(chan struct{})
	r.sink.answer = func(notify.Message) notify.Result {
		close(begun)
		time.Sleep(time.Second)
		return notify.Result{Outcome: notify.Delivered, Word: "Delivered"}
	}
	p := r.start("a")
	require.Equal(t, http.StatusOK, p.post(token, body(t, down("checkout", "firing"))))
	<-begun
	p.stop()
	assert.Equal(t, "oncall:Delivered", r.incidents()[0].Status.Receivers)
}

func TestRefusedMessageGoesOutSoonAfterTheReceiverIsMended(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.sink.reason = v1alpha1.ReasonSecretMissing
	r.sink.answer = func(notify.Message) notify.Result {
		return notify.Result{Outcome: notify.Refused, Word: "SecretMissing"}
	}
	p := r.start("a")
	require.Equal(t, http.StatusOK, p.post(token, body(t, down("checkout", "firing"))))
	require.Eventually(t, func() bool { return r.incidents()[0].Status.Receivers == "oncall:Failed" }, 30*time.Second, 10*time.Millisecond)
	r.sink.mu.Lock()
	r.sink.reason, r.sink.answer = "", nil
	r.sink.mu.Unlock()
	require.Eventually(t, func() bool { return r.incidents()[0].Status.Receivers == "oncall:Delivered" }, 25*time.Second, 50*time.Millisecond)
}

func TestUnavailableReceiverIsTriedAgain(t *testing.T) {
	r := newRig(t, nil)
	tries := 0
	r.sink.answer = func(notify.Message) notify.Result {
		if tries++; tries < 3 {
			return notify.Result{Outcome: notify.Retry, Word: "ServerError"}
		}
		return notify.Result{Outcome: notify.Delivered, Word: "Delivered"}
	}
	p := r.start("a")
	require.Equal(t, http.StatusOK, p.post(token, body(t, down("checkout", "firing"))))
	require.Eventually(t, func() bool { return r.incidents()[0].Status.Receivers == "oncall:Delivered" }, 20*time.Second, 20*time.Millisecond)
	d := r.incidents()[0].Status.Deliveries[0]
	assert.EqualValues(t, 3, d.AttemptCount)
	assert.Len(t, d.Attempts, 3)
}

func TestDeletedIncidentIsOpenedAgainWhileTheAlertFires(t *testing.T) {
	r := newRig(t, nil)
	p := r.start("a")
	require.Equal(t, http.StatusOK, p.post(token, body(t, down("checkout", "firing"))))
	inc := r.incidents()[0]
	require.NoError(t, api.Delete(context.Background(), &inc))
	require.Eventually(t, func() bool {
		return p.post(token, body(t, down("checkout", "firing"))) == http.StatusOK && len(r.incidents()) == 1
	}, 30*time.Second, 100*time.Millisecond)
	assert.NotEqual(t, inc.UID, r.incidents()[0].UID)
}
