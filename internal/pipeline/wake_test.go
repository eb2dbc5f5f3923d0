package pipeline

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/kubebot/kubebot/api/v1alpha1"
)

// What becomes due while the API server takes its time with a write is not forgotten.
func TestWhatBecomesDueDuringAWriteIsDone(t *testing.T) {
	const writing = 10 * time.Second
	slow := func(o *Options) {
		o.Client = interceptor.NewClient(o.Client.(client.WithWatch), interceptor.Funcs{
			SubResourceUpdate: func(ctx context.Context, c client.Client, sub string, obj client.Object, opts ...client.SubResourceUpdateOption) error {
				time.Sleep(writing)
				return c.SubResource(sub).Update(ctx, obj, opts...)
			},
		})
	}
	inBubble(t, slow, func(b *bubble) {
		key := WorkloadGroup(workload("checkout")).Key
		inc := &v1alpha1.Incident{
			ObjectMeta: metav1.ObjectMeta{Namespace: "kubebot", Name: IncidentName("uid", key, 1)},
			Spec: v1alpha1.IncidentSpec{KubeBot: "main", GroupKey: key, Number: 1, Subject: WorkloadGroup(workload("checkout")).Subject,
				OpeningAlerts: []v1alpha1.IncidentAlert{record(failing("checkout", v1alpha1.SeverityCritical), time.Now())}},
		}
		require.NoError(t, b.api.Create(t.Context(), inc))
		inc.Status = v1alpha1.IncidentStatus{
			State: v1alpha1.IncidentOpen, Severity: v1alpha1.SeverityCritical, Alerts: inc.Spec.OpeningAlerts,
			Transition: &v1alpha1.TransitionRecord{Kind: v1alpha1.TransitionOpened, Sequence: 1, At: metav1.Now()},
			Deliveries: []v1alpha1.Delivery{{Key: "k", Receiver: "oncall", Transition: v1alpha1.TransitionOpened, Sequence: 1,
				State: v1alpha1.DeliveryClaimed, Holder: "dead", Until: microStamp(time.Now().Add(writing / 2))}},
		}
		require.NoError(t, b.api.Status().Update(t.Context(), inc))
		b.Observe(inc)
		time.Sleep(3 * writing)
		require.Len(t, b.oncall.messages(), 1)
	})
}
