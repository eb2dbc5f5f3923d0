//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/test/stack"
)

const (
	teamNamespace = "team"
	teamAccount   = stack.Release + "-responder"
)

// aTeamRoutesItsOwnNamespace goes the way of a team with nothing but its namespace: an AlertRoute, the RoleBinding that
// the condition asks for, the Secret; and then a broken workload of its own is told to its own receiver, which gets nothing
// of other namespaces.
func aTeamRoutesItsOwnNamespace(t *testing.T) {
	local(t)
	ctx := contextOf(t, 20*time.Minute)
	must(t, cluster.Client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: teamNamespace}}))
	route := &v1alpha1.AlertRoute{
		ObjectMeta: metav1.ObjectMeta{Namespace: teamNamespace, Name: "alerts"},
		Spec: v1alpha1.AlertRouteSpec{
			Match: v1alpha1.AlertRouteMatch{Severities: []v1alpha1.Severity{v1alpha1.SeverityCritical, v1alpha1.SeverityWarning}},
			Receivers: []v1alpha1.Receiver{{Name: "hook", Webhook: &v1alpha1.WebhookReceiver{
				URLSecret:     &v1alpha1.SecretKeyRef{Name: "kubebot-receivers", Key: "url"},
				SigningSecret: &v1alpha1.SecretKeyRef{Name: "kubebot-receivers", Key: "signing"},
			}}},
		},
	}
	must(t, cluster.Client.Create(ctx, route))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		_ = cluster.Client.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: teamNamespace}})
	})
	message := waitRoute(t, ctx, v1alpha1.ReasonSecretForbidden)
	if !strings.Contains(message, "kubectl create rolebinding") || !strings.Contains(message, "--serviceaccount="+stack.Namespace+":"+teamAccount) {
		t.Errorf("the condition does not say which RoleBinding to make: %s", message)
	}
	must(t, cluster.Client.Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: teamNamespace, Name: "kubebot-receivers-responder"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: stack.Release + "-team-secret"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: stack.Namespace, Name: teamAccount}},
	}))
	waitRoute(t, ctx, v1alpha1.ReasonSecretMissing)
	must(t, cluster.Client.Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: teamNamespace, Name: "kubebot-receivers"},
		StringData: map[string]string{"url": "http://slack.slack.svc:8080/webhook/team", "signing": stack.SigningKey},
	}))
	waitRoute(t, ctx, v1alpha1.ReasonReady)

	must(t, cluster.Client.Create(ctx, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: teamNamespace, Name: "broken"},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "registry.invalid/no-such-image:v1"}}},
	}))
	must(t, stack.Eventually(ctx, 5*time.Minute, 2*time.Second, func(ctx context.Context) error {
		var list v1alpha1.IncidentList
		if err := cluster.Client.List(ctx, &list); err != nil {
			return err
		}
		told := false
		for i := range list.Items {
			inc := &list.Items[i]
			for _, d := range inc.Status.Deliveries {
				if !strings.HasPrefix(d.Receiver, teamNamespace+"/") {
					continue
				}
				if inc.Spec.Subject.Namespace != teamNamespace {
					return fmt.Errorf("the team was told of %s/%s", inc.Spec.Subject.Namespace, inc.Spec.Subject.Name)
				}
				told = told || d.Receiver == teamNamespace+"/alerts/hook" && d.State == v1alpha1.DeliveryDelivered
			}
		}
		if !told {
			return fmt.Errorf("no incident of namespace %s was delivered to the team's receiver", teamNamespace)
		}
		return nil
	}))
	ready(t, ctx)
}

// waitRoute waits for a reason of the route's condition and returns the message.
func waitRoute(t *testing.T, ctx context.Context, reason string) string {
	t.Helper()
	message := ""
	must(t, stack.Eventually(ctx, 2*time.Minute, time.Second, func(ctx context.Context) error {
		var route v1alpha1.AlertRoute
		if err := cluster.Client.Get(ctx, key(teamNamespace, "alerts"), &route); err != nil {
			return err
		}
		c := meta.FindStatusCondition(route.Status.Conditions, v1alpha1.ConditionReady)
		if c == nil || c.Reason != reason {
			return fmt.Errorf("want the reason %s, have %+v", reason, c)
		}
		message = c.Message
		return nil
	}))
	return message
}
