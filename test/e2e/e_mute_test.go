//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	eventsv1 "k8s.io/api/events/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/test/stack"
)

// beforeMute is what an event says that is read before the watcher is muted, and again by the next one.
var beforeMute = fmt.Sprintf("the watcher of events still listened at %d", time.Now().UnixNano())

// muteWatcherOfEvents lets the API server refuse the watch of events once, as one that has just begun may: the
// collector's watch then ends for good, and its process goes on. The API server is away for a moment, so that no other
// test may run beside this. It returns when that was.
func muteWatcherOfEvents(t *testing.T) (muted time.Time) {
	ctx := contextOf(t, 12*time.Minute)
	must(t, cluster.WaitCondition(ctx, "main", v1alpha1.ConditionEventsFlowing, metav1.ConditionTrue, readyTime))
	must(t, tell(ctx, beforeMute))
	var binding rbacv1.ClusterRoleBinding
	must(t, cluster.Client.Get(ctx, key("", stack.Release+"-collector"), &binding))
	must(t, cluster.Client.Delete(ctx, binding.DeepCopy()))
	defer func() {
		binding.ObjectMeta = metav1.ObjectMeta{Name: binding.Name, Labels: binding.Labels, Annotations: binding.Annotations}
		must(t, cluster.Client.Create(context.WithoutCancel(ctx), &binding))
	}()
	muted = time.Now()
	must(t, cluster.PauseAPIServer(ctx, 3*time.Second))
	must(t, stack.Eventually(ctx, 3*time.Minute, time.Second, func(context.Context) error {
		refused := false
		err := cluster.Audit(muted, func(e stack.AuditEvent) {
			_, account := e.ServiceAccount()
			refused = refused || account == binding.Subjects[0].Name && e.ObjectRef.Resource == "events" && e.ResponseStatus.Code == http.StatusForbidden
		})
		if err == nil && !refused {
			err = errors.New("the watch of events was not refused yet")
		}
		return err
	}))
	return muted
}

// muteWatcherOfEventsIsRestarted sees that KubeBot notices what muteWatcherOfEvents did, and mends it, and that what happened
// while it was mute is told too: the restart itself is such an event. The outages of earlier tests may have muted the watcher
// before; it is then restarted while the API server still refuses it, and again some minutes later.
func muteWatcherOfEventsIsRestarted(t *testing.T, muted time.Time) {
	local(t)
	ctx := contextOf(t, 20*time.Minute)
	must(t, stack.Eventually(ctx, 14*time.Minute, 2*time.Second, func(ctx context.Context) error {
		if err := restartedAfter(ctx, muted); err != nil {
			return err
		}
		lines, err := cluster.Lines(ctx, "main", `{service_name="kubernetes-events"} | k8s_event_reason="`+v1alpha1.ReasonRestarted+`"`)
		if err == nil && !slices.ContainsFunc(lines, func(l stack.Line) bool { return l.Time.After(muted) }) {
			err = errors.New("the event of the watcher's restart has not come to Loki")
		}
		return err
	}))
	must(t, stack.Eventually(ctx, time.Minute, time.Second, func(ctx context.Context) error { return toldOnce(ctx, beforeMute) }))
	ready(t, ctx)
}

func restartedAfter(ctx context.Context, muted time.Time) error {
	var list eventsv1.EventList
	if err := cluster.Client.List(ctx, &list, client.InNamespace(stack.Namespace)); err != nil {
		return err
	}
	for _, e := range list.Items {
		restarted := e.EventTime.Time
		if e.Series != nil {
			restarted = e.Series.LastObservedTime.Time
		}
		if e.Reason == v1alpha1.ReasonRestarted && restarted.After(muted) {
			return nil
		}
	}
	return errors.New("no event says that the watcher was restarted")
}
