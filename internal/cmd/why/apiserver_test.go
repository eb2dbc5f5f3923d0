package why

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"

	"github.com/kubebot/kubebot/internal/diagnosis"
	"github.com/kubebot/kubebot/internal/testutil/apitest"
)

func TestFixesAreCheckedByTheAPIServer(t *testing.T) {
	config := apitest.Start(t)
	admin, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	create := metav1.CreateOptions{}
	set := map[string]string{"app": "web"}
	_, err = admin.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}, create)
	must(t, err)
	_, err = admin.AppsV1().Deployments("shop").Create(t.Context(), &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec: appsv1.DeploymentSpec{Replicas: ptr.To[int32](0), Selector: &metav1.LabelSelector{MatchLabels: set}, Template: corev1.PodTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{Labels: set}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "web:1"}}},
		}},
	}, create)
	must(t, err)
	_, err = admin.RbacV1().ClusterRoles().Create(t.Context(), &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: "reader"}, Rules: []rbacv1.PolicyRule{{APIGroups: []string{"*"}, Resources: []string{"*"}, Verbs: []string{"get", "list"}}},
	}, create)
	must(t, err)
	_, err = admin.RbacV1().ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "ann"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "reader"},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: "ann"}},
	}, create)
	must(t, err)
	viewer := rest.CopyConfig(config)
	viewer.Impersonate = rest.ImpersonationConfig{UserName: "ann", Groups: []string{"system:authenticated"}}
	mayRead(t, viewer)
	scale := diagnosis.Scale(web, 1).Command()

	for name, test := range map[string]struct {
		config *rest.Config
		check  bool
		want   []Result
		says   string
	}{
		"of its own accord with the right to read": {config: viewer},
		"asked for with all rights":                {config: config, check: true, want: []Result{Accepted}},
		"asked for with the right to read":         {config: viewer, check: true, want: []Result{Refused}, says: `cannot patch resource "deployments/scale"`},
	} {
		t.Run(name, func(t *testing.T) {
			options := Options{Config: test.config, Object: web, Output: "json", Check: test.check, Timeout: 30 * time.Second}
			a := ask(t, options)
			for last := time.Now().Add(20 * time.Second); !test.check && len(a.Checks) > 0 && time.Now().Before(last); {
				a = ask(t, options) // a slow machine gives its first schemas late
			}
			if len(a.Findings) == 0 || !slices.Contains(a.Findings[0].Fix.Commands, scale) {
				t.Fatalf("got %+v", a)
			}
			var got []Result
			for _, c := range a.Checks {
				if got = append(got, c.Result); !strings.Contains(c.Says, test.says) {
					t.Errorf("it says %q, want %q", c.Says, test.says)
				}
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("got %+v, want %v", a.Checks, test.want)
			}
		})
	}
	d, err := admin.AppsV1().Deployments("shop").Get(t.Context(), "web", metav1.GetOptions{})
	must(t, err)
	if *d.Spec.Replicas != 0 {
		t.Error("a dry run changed the Deployment")
	}
}

// mayRead waits until the API server has learned of the new role, by a watch of its own.
func mayRead(t *testing.T, config *rest.Config) {
	t.Helper()
	client, err := kubernetes.NewForConfig(config)
	must(t, err)
	must(t, wait.PollUntilContextTimeout(t.Context(), 20*time.Millisecond, 20*time.Second, true, func(ctx context.Context) (bool, error) {
		_, err := client.AppsV1().Deployments("shop").List(ctx, metav1.ListOptions{Limit: 1})
		return err == nil, nil
	}))
}

func ask(t *testing.T, o Options) Answer {
	t.Helper()
	var out bytes.Buffer
	o.Out = &out
	must(t, Run(t.Context(), o))
	var a Answer
	must(t, json.Unmarshal(out.Bytes(), &a))
	return a
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
