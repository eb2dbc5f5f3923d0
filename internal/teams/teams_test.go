package teams_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/testr"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/decide"
	"github.com/kubebot/kubebot/internal/notify/notifytest"
	"github.com/kubebot/kubebot/internal/notify/secretfile"
	teamssink "github.com/kubebot/kubebot/internal/notify/teams"
	"github.com/kubebot/kubebot/internal/pipeline"
	"github.com/kubebot/kubebot/internal/pipeline/config"
	"github.com/kubebot/kubebot/internal/teams"
	"github.com/kubebot/kubebot/internal/testutil/apitest"
)

// admin may do everything; responder is the service account kubebot/kubebot-responder with the rights of the chart.
var admin, responder client.Client

func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.Discard())
	os.Exit(apitest.Main(m, func(c *rest.Config) {
		scheme := runtime.NewScheme()
		for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
			if err := add(scheme); err != nil {
				panic(err)
			}
		}
		var err error
		if admin, err = client.New(c, client.Options{Scheme: scheme}); err != nil {
			panic(err)
		}
		as := rest.CopyConfig(c)
		as.Impersonate = rest.ImpersonationConfig{UserName: "system:serviceaccount:kubebot:kubebot-responder", Groups: []string{"system:serviceaccounts", "system:authenticated"}}
		if responder, err = client.New(as, client.Options{Scheme: scheme}); err != nil {
			panic(err)
		}
		rights := []rbacv1.PolicyRule{
			{APIGroups: []string{"kubebot.io"}, Resources: []string{"alertroutes"}, Verbs: []string{"list", "watch"}},
			{APIGroups: []string{"kubebot.io"}, Resources: []string{"alertroutes/status"}, Verbs: []string{"update"}},
			{APIGroups: []string{"events.k8s.io"}, Resources: []string{"events"}, Verbs: []string{"create"}},
		}
		one := []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"secrets"}, ResourceNames: []string{teams.SharedSecret}, Verbs: []string{"get"}}}
		for _, o := range []client.Object{
			&rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "kubebot-responder"}, Rules: rights},
			&rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "kubebot-team-secret"}, Rules: one},
			&rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "kubebot-responder"},
				RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "kubebot-responder"}, Subjects: account()},
		} {
			if err := admin.Create(context.Background(), o); err != nil {
				panic(err)
			}
		}
	}, "bases"))
}

func account() []rbacv1.Subject {
	return []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: "kubebot", Name: "kubebot-responder"}}
}

// target stands for the pipeline.
type target struct {
	routes    []decide.TeamRoute
	receivers []pipeline.Receiver
}

func (t *target) SetTeams(routes []decide.TeamRoute, receivers []pipeline.Receiver) {
	t.routes, t.receivers = routes, receivers
}

func (t *target) Report() []config.ReceiverReport {
	var list []config.ReceiverReport
	for _, r := range t.receivers {
		reason, message := r.Sink.Check(context.Background())
		list = append(list, config.ReceiverReport{Name: r.Name, Reason: reason, Message: message})
	}
	return list
}

func keeper(t *testing.T, to *target, now func() time.Time) *teams.Keeper {
	return teams.New(teams.Options{
		Cache: responder, Client: responder, Target: to, PodName: "responder-0", Now: now, Log: testr.New(t),
		Account: teams.Account{Namespace: "kubebot", ServiceAccount: "kubebot-responder", ClusterRole: "kubebot-team-secret"},
		Make: func(r v1alpha1.Receiver, name string, secret func(*v1alpha1.SecretKeyRef) secretfile.Ref) (pipeline.Receiver, error) {
			if r.Teams == nil {
				return pipeline.Receiver{}, fmt.Errorf("no such type")
			}
			return pipeline.Receiver{Name: name, Type: "teams", Sink: teamssink.New(teamssink.Options{URLSecret: secret(&r.Teams.URLSecret)})}, nil
		},
	})
}

func namespace(t *testing.T, name string) {
	t.Helper()
	create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
}

func create(t *testing.T, o client.Object) {
	t.Helper()
	if err := admin.Create(t.Context(), o); err != nil {
		t.Fatal(err)
	}
}

func route(namespace, name, secret string) *v1alpha1.AlertRoute {
	return &v1alpha1.AlertRoute{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.AlertRouteSpec{Receivers: []v1alpha1.Receiver{{Name: "chat", Teams: &v1alpha1.TeamsReceiver{
			URLSecret: v1alpha1.SecretKeyRef{Name: secret, Key: "url"},
		}}}},
	}
}

// settle lets the keeper look once, some time later, and returns the condition of a route.
func settle(t *testing.T, k *teams.Keeper, r *v1alpha1.AlertRoute) metav1.Condition {
	t.Helper()
	if err := k.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	k.Tell(t.Context())
	if err := admin.Get(t.Context(), client.ObjectKeyFromObject(r), r); err != nil {
		t.Fatal(err)
	}
	c := meta.FindStatusCondition(r.Status.Conditions, v1alpha1.ConditionReady)
	if c == nil {
		t.Fatalf("%s has no condition", r.Name)
	}
	return *c
}

// The way of a team: the condition names each step, and nothing but the step that it names lets the responder read.
func TestATokenIsReadOnlyWhereTheTeamSaysSo(t *testing.T) {
	now := time.Now()
	to := &target{}
	k := keeper(t, to, func() time.Time { now = now.Add(time.Minute); return now })
	for _, c := range []struct {
		namespace, secret, want string
		grant                   func(t *testing.T, namespace string)
	}{
		{"team-shared", teams.SharedSecret,
			"kubectl create rolebinding kubebot-receivers-responder -n team-shared --serviceaccount=kubebot:kubebot-responder --clusterrole=kubebot-team-secret",
			func(t *testing.T, namespace string) {
				create(t, &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "kubebot-receivers-responder"},
					RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "kubebot-team-secret"}, Subjects: account()})
			}},
		{"team-own", "our-tokens",
			"kubectl create role our-tokens-reader -n team-own --verb=get --resource=secrets --resource-name=our-tokens && " +
				"kubectl create rolebinding our-tokens-responder -n team-own --serviceaccount=kubebot:kubebot-responder --role=our-tokens-reader",
			func(t *testing.T, namespace string) {
				create(t, &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "our-tokens-reader"},
					Rules: []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"secrets"}, ResourceNames: []string{"our-tokens"}, Verbs: []string{"get"}}}})
				create(t, &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "our-tokens-responder"},
					RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "our-tokens-reader"}, Subjects: account()})
			}},
	} {
		t.Run(c.namespace, func(t *testing.T) {
			namespace(t, c.namespace)
			r := route(c.namespace, "alerts", c.secret)
			create(t, r)
			if got := settle(t, k, r); got.Reason != v1alpha1.ReasonSecretForbidden || !strings.Contains(got.Message, c.want) {
				t.Fatalf("without a right: %+v", got)
			}
			c.grant(t, c.namespace)
			if got := eventually(t, k, r, v1alpha1.ReasonSecretMissing); !strings.Contains(got.Message, c.secret) {
				t.Fatalf("without the Secret: %+v", got)
			}
			create(t, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: c.namespace, Name: c.secret}, StringData: map[string]string{"url": "https://planted.example.com/x"}})
			if got := eventually(t, k, r, v1alpha1.ReasonReady); got.Status != metav1.ConditionTrue || r.Status.ObservedGeneration != r.Generation {
				t.Fatalf("with everything: %+v", got)
			}
			var other corev1.Secret
			if err := responder.Get(t.Context(), client.ObjectKey{Namespace: c.namespace, Name: "another"}, &other); err == nil || !strings.Contains(err.Error(), "forbidden") {
				t.Errorf("the responder may read another Secret: %v", err)
			}
			var events eventsv1.EventList
			if err := admin.List(t.Context(), &events, client.InNamespace(c.namespace)); err != nil {
				t.Fatal(err)
			}
			var reasons []string
			for _, e := range events.Items {
				reasons = append(reasons, e.Reason)
				notifytest.Leaks(t, []string{"planted.example.com"}, e.Note)
			}
			for _, want := range []string{v1alpha1.ReasonSecretForbidden, v1alpha1.ReasonSecretMissing, v1alpha1.ReasonReady} {
				if !slices.Contains(reasons, want) {
					t.Errorf("no event %s among %v", want, reasons)
				}
			}
		})
	}
	if len(to.routes) != 2 || !slices.ContainsFunc(to.routes, func(r decide.TeamRoute) bool {
		return r.Namespace == "team-shared" && slices.Equal(r.Receivers, []string{"team-shared/alerts/chat"})
	}) {
		t.Errorf("the pipeline got %+v", to.routes)
	}
}

// eventually waits for a reason: the API server takes up a new right a little later.
func eventually(t *testing.T, k *teams.Keeper, r *v1alpha1.AlertRoute, reason string) metav1.Condition {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		c := settle(t, k, r)
		if c.Reason == reason || time.Now().After(deadline) {
			if c.Reason != reason {
				t.Fatalf("want %s, have %+v", reason, c)
			}
			return c
		}
	}
}

func TestOnlySoManyRoutesOfANamespaceCount(t *testing.T) {
	namespace(t, "team-many")
	now := time.Now()
	to := &target{}
	k := keeper(t, to, func() time.Time { now = now.Add(time.Minute); return now })
	var last *v1alpha1.AlertRoute
	for i := range teams.PerNamespace + 1 {
		last = route("team-many", fmt.Sprintf("r%02d", i), "s")
		create(t, last)
	}
	if got := settle(t, k, last); got.Reason != v1alpha1.ReasonTooManyRoutes || got.Status != metav1.ConditionFalse {
		t.Errorf("got %+v", got)
	}
	count := 0
	for _, r := range to.routes {
		if r.Namespace == "team-many" {
			count++
		}
	}
	if count != teams.PerNamespace {
		t.Errorf("%d routes count, want %d", count, teams.PerNamespace)
	}
}

func TestAReceiverThatCannotBeMadeIsTold(t *testing.T) {
	namespace(t, "team-bad")
	to := &target{}
	k := keeper(t, to, time.Now)
	r := route("team-bad", "alerts", "s")
	r.Spec.Receivers[0].Teams, r.Spec.Receivers[0].Webhook = nil, &v1alpha1.WebhookReceiver{URL: "https://a.example.com"}
	create(t, r)
	if got := settle(t, k, r); got.Reason != v1alpha1.ReasonInvalidSpec || !strings.Contains(got.Message, "chat") {
		t.Errorf("got %+v", got)
	}
}
