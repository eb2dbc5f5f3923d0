package gather

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr/testr"
	appsv1 "k8s.io/api/apps/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/openapi"
	"k8s.io/client-go/rest"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/utils/ptr"

	"github.com/kubebot/kubebot/internal/diagnosis"
	"github.com/kubebot/kubebot/internal/diagnosis/detectors"
	"github.com/kubebot/kubebot/internal/diagnosis/fixcheck"
	"github.com/kubebot/kubebot/internal/testutil/apitest"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// deployment has a pod template that mounts a ConfigMap which does not exist.
func deployment() *appsv1.Deployment {
	set := map[string]string{"app": "web"}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "shop"},
		Spec: appsv1.DeploymentSpec{
			Replicas: ptr.To[int32](1), Selector: &metav1.LabelSelector{MatchLabels: set},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: set},
				Spec: corev1.PodSpec{
					Containers: []corev1.Container{{Name: "app", Image: "registry.example.com/web:v1", VolumeMounts: []corev1.VolumeMount{{Name: "config", MountPath: "/etc/web"}}}},
					Volumes: []corev1.Volume{{Name: "config", VolumeSource: corev1.VolumeSource{
						ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: "web-config"}}}}},
				},
			},
		},
	}
}

func seed(t *testing.T, ctx context.Context, admin kubernetes.Interface) {
	t.Helper()
	create := metav1.CreateOptions{}
	_, err := admin.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}, create)
	must(t, err)
	d, err := admin.AppsV1().Deployments("shop").Create(ctx, deployment(), create)
	must(t, err)
	rs, err := admin.AppsV1().ReplicaSets("shop").Create(ctx, &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{Name: "web-1", Namespace: "shop", OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(d, appsv1.SchemeGroupVersion.WithKind("Deployment"))}},
		Spec:       appsv1.ReplicaSetSpec{Replicas: ptr.To[int32](1), Selector: d.Spec.Selector, Template: d.Spec.Template},
	}, create)
	must(t, err)
	for name, owners := range map[string][]metav1.OwnerReference{
		"web-1-a": {*metav1.NewControllerRef(rs, appsv1.SchemeGroupVersion.WithKind("ReplicaSet"))},
		"other":   nil,
	} {
		_, err = admin.CoreV1().Pods("shop").Create(ctx, &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "shop", Labels: d.Spec.Template.Labels, OwnerReferences: owners}, Spec: d.Spec.Template.Spec,
		}, create)
		must(t, err)
	}
	_, err = admin.CoreV1().Secrets("shop").Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "db", Namespace: "shop"}, StringData: map[string]string{"password": "hunter2"}}, create)
	must(t, err)
}

// grant makes a user with the given rules in the namespace and returns their client.
func grant(t *testing.T, ctx context.Context, config *rest.Config, admin kubernetes.Interface, user string, rules ...rbacv1.PolicyRule) kubernetes.Interface {
	t.Helper()
	_, err := admin.RbacV1().Roles("shop").Create(ctx, &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: user, Namespace: "shop"}, Rules: rules}, metav1.CreateOptions{})
	must(t, err)
	_, err = admin.RbacV1().RoleBindings("shop").Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: user, Namespace: "shop"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: user},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: user}},
	}, metav1.CreateOptions{})
	must(t, err)
	as := rest.CopyConfig(config)
	as.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: []string{"system:authenticated"}}
	as.QPS = -1
	as.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json" // as the responder asks
	client, err := kubernetes.NewForConfig(as)
	must(t, err)
	if len(rules) == 0 {
		return client
	}
	last := rules[len(rules)-1]
	review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{
		Namespace: "shop", Group: last.APIGroups[0], Resource: last.Resources[0], Verb: last.Verbs[0],
	}}}
	// The API server learns of new roles by a watch of its own.
	must(t, wait.PollUntilContextCancel(ctx, 20*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		answer, err := client.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
		return err == nil && answer.Status.Allowed, err
	}))
	return client
}

func TestRealAPIServer(t *testing.T) {
	config := apitest.Start(t)
	config.QPS = -1
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	admin, err := kubernetes.NewForConfig(config)
	must(t, err)
	seed(t, ctx, admin)
	subject := diagnosis.Object{Kind: "Deployment", Namespace: "shop", Name: "web"}
	other, err := dynamic.NewForConfig(config)
	must(t, err)
	options := Options{SourceTimeout: 10 * time.Second, Dynamic: other}

	t.Run("all rights", func(t *testing.T) {
		f, err := Facts(ctx, admin, subject, options)
		must(t, err)
		if len(f.Unread) > 0 {
			t.Errorf("unread with all rights: %+v", f.Unread)
		}
		if len(f.Pods) != 1 || f.Pods[0].Name != "web-1-a" || len(f.Neighbours) != 1 || len(f.ReplicaSets) != 1 {
			t.Errorf("pods %d, neighbours %d, replica sets %d", len(f.Pods), len(f.Neighbours), len(f.ReplicaSets))
		}
		top(t, f, "ConfigMap web-config does not exist in namespace shop; Deployment web mounts it as volume config")
	})
	t.Run("a pod leads to its Deployment", func(t *testing.T) {
		f, err := Facts(ctx, admin, diagnosis.Object{Kind: "Pod", Namespace: "shop", Name: "web-1-a"}, options)
		must(t, err)
		if f.Workload.Kind != "Deployment" || f.Workload.Name != "web" {
			t.Errorf("the workload is %s", f.Workload.Object)
		}
	})
	t.Run("few rights", func(t *testing.T) {
		client := grant(t, ctx, config, admin, "jane",
			rbacv1.PolicyRule{APIGroups: []string{"apps"}, Resources: []string{"deployments", "replicasets"}, Verbs: []string{"get", "list"}},
			rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"get", "list"}})
		f, err := Facts(ctx, client, subject, options)
		must(t, err)
		for _, kind := range []string{"ConfigMap", "Event", "Node", "Service", "NetworkPolicy", "ResourceQuota"} {
			if f.Knows(kind) || !slices.ContainsFunc(f.Unread, func(u diagnosis.Unread) bool { return u.Kind == kind && u.Reason == "forbidden" }) {
				t.Errorf("%s is not said to be forbidden: %+v", kind, f.Unread)
			}
		}
		if !f.Knows("Gateway") || !f.Knows("HTTPRoute") {
			t.Errorf("kinds that the cluster has not are said to be unread: %+v", f.Unread)
		}
		if len(f.Pods) != 1 || !f.Knows("Pod") {
			t.Errorf("pods %d, known %t", len(f.Pods), f.Knows("Pod"))
		}
		for _, found := range diagnosis.Run(f, detectors.All()) {
			if strings.Contains(found.Sentence, "does not exist") {
				t.Errorf("what could not be read is said not to exist: %s", found.Sentence)
			}
		}
	})
	t.Run("fixes are checked without a right to write", func(t *testing.T) {
		client := grant(t, ctx, config, admin, "ann", rbacv1.PolicyRule{APIGroups: []string{"apps"}, Resources: []string{"deployments"}, Verbs: []string{"get"}})
		f, err := Facts(ctx, client, subject, options)
		must(t, err)
		checker := fixcheck.New(openapi.NewClientWithContext(client.Discovery().RESTClient()), testr.New(t))
		const path = "/spec/template/spec/containers/0/"
		fits := diagnosis.JSONPatch(f.Workload.Object, diagnosis.Operation{Op: "test", Path: path + "name", Value: "app"}, diagnosis.Operation{Op: "replace", Path: path + "image", Value: "web:v2"})
		unknown := diagnosis.JSONPatch(f.Workload.Object, diagnosis.Operation{Op: "add", Path: path + "imagePolicy", Value: "Always"})
		missing := diagnosis.JSONPatch(f.Workload.Object, diagnosis.Operation{Op: "remove", Path: path + "command"})
		for left := time.Now().Add(20 * time.Second); ; { // a slow machine
			found := []diagnosis.Finding{{Fix: diagnosis.FixBy("Do it.", []diagnosis.Patch{fits, unknown, missing})}}
			checker.Check(ctx, f, found)
			fix := found[0].Fix
			if len(fix.Unchecked) > 0 && time.Now().Before(left) {
				continue
			}
			if len(fix.Unchecked) > 0 || len(fix.LeftOut) != 2 || len(fix.Commands) != 1 || fix.Commands[0] != fits.Command() {
				t.Errorf("got %+v", fix)
			}
			return
		}
	})
	t.Run("no rights", func(t *testing.T) {
		if _, err := Facts(ctx, grant(t, ctx, config, admin, "joe"), subject, options); err == nil || !strings.Contains(err.Error(), "forbidden") {
			t.Errorf("got %v, want forbidden", err)
		}
	})
	t.Run("not found", func(t *testing.T) {
		if _, err := Facts(ctx, admin, diagnosis.Object{Kind: "Deployment", Namespace: "shop", Name: "wbe"}, options); err == nil || !strings.Contains(err.Error(), "not found") {
			t.Errorf("got %v, want not found", err)
		}
	})
}

func top(t *testing.T, f *diagnosis.Facts, want string) {
	t.Helper()
	found := diagnosis.Run(f, detectors.All())
	if len(found) == 0 || found[0].Sentence != want {
		t.Errorf("got %+v, want first %q", found, want)
	}
}

func TestNoSecretIsRead(t *testing.T) {
	d := deployment()
	d.Spec.Template.Spec.Containers[0].EnvFrom = []corev1.EnvFromSource{{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "db"}}}}
	client := fake.NewClientset(d)
	_, err := Facts(context.Background(), client, diagnosis.Object{Kind: "Deployment", Namespace: "shop", Name: "web"}, Options{})
	must(t, err)
	for _, a := range client.Actions() {
		if a.GetResource().Resource == "secrets" || a.GetVerb() != "get" && a.GetVerb() != "list" {
			t.Errorf("%s %s was asked", a.GetVerb(), a.GetResource().Resource)
		}
	}
}

func TestAServiceWithoutPodsLeadsToWhatItWouldSelect(t *testing.T) {
	d := deployment()
	d.Spec.Replicas, d.Spec.Template.Spec.Volumes = ptr.To[int32](0), nil
	other := deployment()
	other.Name, other.Spec.Template.Labels = "other", map[string]string{"app": "other"}
	client := fake.NewClientset(other, d, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "front", Namespace: "shop"}, Spec: corev1.ServiceSpec{Selector: d.Spec.Template.Labels}})
	f, err := Facts(context.Background(), client, diagnosis.Object{Kind: "Service", Namespace: "shop", Name: "front"}, Options{})
	must(t, err)
	if f.Workload.Kind != "Deployment" || f.Workload.Name != "web" || f.Workload.Desired != 0 {
		t.Errorf("got %v, want Deployment web with no replicas wanted", f.Workload.Object)
	}
	top(t, f, "Deployment web is scaled to 0 (spec.replicas), so Service front has no pod")
}

func TestTheOtherWorkloadsOfTheNamespaceAreKept(t *testing.T) {
	canary := deployment()
	canary.Name, canary.Spec.Template.Labels = "web-canary", map[string]string{"app": "web", "track": "canary"}
	agent := &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Name: "agent", Namespace: "shop"}}
	revision := &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Name: "web-canary-1", Namespace: "shop",
		OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(canary, appsv1.SchemeGroupVersion.WithKind("Deployment"))}}}
	f, err := Facts(t.Context(), fake.NewClientset(deployment(), canary, agent, revision), diagnosis.Object{Kind: "Deployment", Namespace: "shop", Name: "web"}, Options{})
	must(t, err)
	var got []string
	for _, w := range f.Others {
		got = append(got, w.String())
	}
	if want := []string{"DaemonSet agent", "Deployment web-canary"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestAServiceLeadsToADaemonSetWithoutPods(t *testing.T) {
	set := map[string]string{"app": "agent"}
	agent := &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Name: "agent", Namespace: "shop"}, Spec: appsv1.DaemonSetSpec{
		Selector: &metav1.LabelSelector{MatchLabels: set}, Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: set}}}}
	client := fake.NewClientset(agent, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "agent", Namespace: "shop"}, Spec: corev1.ServiceSpec{Selector: set}})
	f, err := Facts(t.Context(), client, diagnosis.Object{Kind: "Service", Namespace: "shop", Name: "agent"}, Options{})
	must(t, err)
	if f.Workload.String() != "DaemonSet agent" {
		t.Errorf("the workload is %q", f.Workload.String())
	}
}

func TestWhyWhatIsNotReadIsSaid(t *testing.T) {
	services := schema.GroupResource{Resource: "services"}
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"no rights":                {fmt.Errorf("read: %w", apierrors.NewForbidden(services, "web", nil)), "forbidden"},
		"no answer":                {fmt.Errorf("read: %w", context.DeadlineExceeded), "no answer within 1s"},
		"an answer that is late":   {apierrors.NewTimeoutError("etcd", 1), "no answer within 1s"},
		"the client's own limit":   {errors.New("client rate limiter Wait returned an error: rate: Wait(n=1) would exceed context deadline"), "no answer within 1s"},
		"no server":                {errors.New("Get \"https://10.0.0.1:6443/api\": dial tcp 10.0.0.1:6443: connect: connection refused"), "it can't be reached: connection refused"},
		"a server that says no":    {apierrors.NewBadRequest("a certificate is no service"), "a certificate is no service"},
		"anything else, in a line": {errors.New("etcdserver:\nleader changed"), "etcdserver: leader changed"},
	} {
		if got := Reason(c.err, time.Second); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestASourceThatFailsIsNamedAndTheRestAnswers(t *testing.T) {
	client := fake.NewClientset(deployment())
	client.PrependReactor("list", "events", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, context.DeadlineExceeded
	})
	client.PrependReactor("list", "services", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, errors.New("etcdserver: leader changed")
	})
	f, err := Facts(context.Background(), client, diagnosis.Object{Kind: "Deployment", Namespace: "shop", Name: "web"}, Options{SourceTimeout: time.Second})
	must(t, err)
	reasons := map[string]string{}
	for _, u := range f.Unread {
		reasons[u.Kind] = u.Reason
	}
	if reasons["Event"] != "no answer within 1s" || reasons["Service"] != "etcdserver: leader changed" {
		t.Errorf("got %v", reasons)
	}
	top(t, f, "ConfigMap web-config does not exist in namespace shop; Deployment web mounts it as volume config")
}

func TestANodeComesWithItsPodsAndAllBudgets(t *testing.T) {
	on := func(namespace, name, node string) *corev1.Pod {
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: corev1.PodSpec{NodeName: node}}
	}
	client := fake.NewClientset(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-a"}}, &policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Namespace: "pay", Name: "api"}})
	client.PrependReactor("list", "pods", func(a clienttesting.Action) (bool, runtime.Object, error) {
		if a.GetNamespace() != "" || a.(clienttesting.ListAction).GetListRestrictions().Fields.String() != "spec.nodeName=node-a" {
			return true, nil, errors.New("more pods than those of the node are asked for")
		}
		return true, &corev1.PodList{Items: []corev1.Pod{*on("shop", "web-1", "node-a"), *on("pay", "api-1", "node-a")}}, nil
	})
	f, err := Facts(t.Context(), client, diagnosis.Object{Kind: "Node", Name: "node-a"}, Options{})
	must(t, err)
	if len(f.Unread) > 0 || len(f.Pods) != 0 || len(f.Neighbours) != 2 || len(f.Budgets) != 1 {
		t.Errorf("unread %v, %d own pods, %d on the node, %d budgets", f.Unread, len(f.Pods), len(f.Neighbours), len(f.Budgets))
	}
}

func TestASourceThatPanicsIsNamedAndTheRestAnswers(t *testing.T) {
	client := fake.NewClientset(deployment())
	client.PrependReactor("list", "events", func(clienttesting.Action) (bool, runtime.Object, error) { panic("bad answer") })
	f, err := Facts(t.Context(), client, diagnosis.Object{Kind: "Deployment", Namespace: "shop", Name: "web"}, Options{})
	must(t, err)
	want := diagnosis.Unread{Kind: "Event", Namespace: "shop", Reason: "it could not be read (string)"}
	if !slices.Contains(f.Unread, want) || !f.Workload.Exists() {
		t.Errorf("unread: %+v", f.Unread)
	}
}

func TestRolloutsOfStatefulSetsAndDaemonSetsAreSeen(t *testing.T) {
	owned := func(name, kind, owner string, number int64) *appsv1.ControllerRevision {
		return &appsv1.ControllerRevision{Revision: number, ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name,
			OwnerReferences: []metav1.OwnerReference{{Kind: kind, Name: owner, UID: types.UID(owner), Controller: new(true)}}}}
	}
	client := fake.NewClientset(
		&appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "db", UID: "db"}},
		owned("db-a", "StatefulSet", "db", 1), owned("db-b", "StatefulSet", "db", 2), owned("agent-b", "DaemonSet", "agent", 2), owned("other-b", "CloneSet", "other", 2))
	f, err := Facts(t.Context(), client, diagnosis.Object{Kind: "StatefulSet", Namespace: "shop", Name: "db"}, Options{})
	must(t, err)
	want := []diagnosis.Rollout{{Kind: "DaemonSet", Name: "agent", Revision: 2}, {Kind: "StatefulSet", Name: "db", Revision: 2}}
	if !slices.Equal(f.Rollouts, want) || len(f.ControllerRevisions) != 2 || f.ControllerRevisions[0].Name != "db-a" {
		t.Errorf("rollouts %+v, revisions %+v", f.Rollouts, f.ControllerRevisions)
	}
}

func TestKindKnowsWhatKubectlKnows(t *testing.T) {
	for word, want := range map[string]string{"deploy": "Deployment", "Deployment": "Deployment", "deployments.apps": "Deployment", "httproute": "HTTPRoute", "gateways.gateway.networking.k8s.io": "Gateway", "po": "Pod", "sts": "StatefulSet", "svc": "Service", "cj": "CronJob"} {
		if got, err := Kind(word); err != nil || got != want {
			t.Errorf("%s: got %q, %v, want %s", word, got, err, want)
		}
	}
	if _, err := Kind("secret"); err == nil || !strings.Contains(err.Error(), "Deployment") {
		t.Errorf("an unknown kind is not answered with those that are known: %v", err)
	}
}

func TestLinesReadTimesAndMaskSecrets(t *testing.T) {
	got := Lines([]byte("2026-11-21T04:00:00.5Z start\n2026-11-21T04:00:01Z password=hunter2\nno time here\n"))
	if len(got) != 3 || got[0].Text != "start" || got[0].Time.Second() != 0 || got[1].Text != "password=***" || got[2].Text != "no time here" || !got[2].Time.IsZero() {
		t.Errorf("got %+v", got)
	}
}

func TestWordsOfTheKubeletAreNoLog(t *testing.T) {
	for text, lines := range map[string]int{
		"unable to retrieve container logs for containerd://fa432d1297cb7c511038fa448662eb43e7f301488bf774f1ccc91656310a8d4b":                                      0,
		`failed to try resolving symlinks in path "/var/log/pods/shop_web-1_5f/app/3.log": lstat /var/log/pods/shop_web-1_5f/app/3.log: no such file or directory`: 0,
		"2026-11-21T04:00:00Z failed to open log file /data/web.log: no such file or directory\n":                                                                  1,
		"2026-11-21T04:00:00Z start\nfailed to open log file /data/web.log: no such file or directory\n":                                                           2,
		"no time here": 1,
	} {
		if got := Lines([]byte(text)); len(got) != lines {
			t.Errorf("%s: got %+v", text, got)
		}
	}
}

func FuzzLines(f *testing.F) {
	f.Add([]byte("2026-11-21T04:00:00Z -----BEGIN PRIVATE KEY-----\nx\n\xff\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, l := range Lines(text) {
			if len(l.Text) > maxLine {
				t.Errorf("a line of %d bytes", len(l.Text))
			}
		}
	})
}

func TestLogsOfPastTriesComeLast(t *testing.T) {
	job := batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "report-1"}, Status: batchv1.JobStatus{CompletionTime: &metav1.Time{Time: time.Now()}}}
	r := &reader{facts: &diagnosis.Facts{Now: time.Now(), Jobs: []batchv1.Job{job}}}
	add := func(name, owner string, phase corev1.PodPhase, state corev1.ContainerState) {
		controller := metav1.OwnerReference{Kind: "Job", Name: owner, Controller: ptr.To(true)}
		r.facts.Pods = append(r.facts.Pods, corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: name, OwnerReferences: []metav1.OwnerReference{controller}},
			Spec:       corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "app"}}},
			Status:     corev1.PodStatus{Phase: phase, ContainerStatuses: []corev1.ContainerStatus{{Name: "app", State: state}}},
		})
	}
	for _, n := range []string{"a", "b", "c", "d"} {
		add("report-1-"+n, "report-1", corev1.PodFailed, corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 1}})
	}
	add("report-2-a", "report-2", corev1.PodRunning, corev1.ContainerState{Running: &corev1.ContainerStateRunning{}})
	if got := r.logSources(); len(got) != maxLogPods || got[0].name != "of pod report-2-a" {
		t.Errorf("%d logs are read, first %s", len(got), got[0].name)
	}
}

func TestTheLogOfAnInitContainerThatWaitsIsRead(t *testing.T) {
	now := time.Date(2026, 11, 21, 4, 8, 0, 0, time.UTC)
	running := func(name string, since time.Duration) corev1.ContainerStatus {
		return corev1.ContainerStatus{Name: name, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(now.Add(-since))}}}
	}
	done := corev1.ContainerStatus{Name: "copy", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "Completed"}}}
	for name, c := range map[string]struct {
		status corev1.ContainerStatus
		want   []string
	}{
		"for 18 minutes":             {running("wait-db", 18*time.Minute), []string{"proxy", "wait-db"}},
		"for a moment, as many do":   {running("wait-db", 10*time.Second), []string{"proxy"}},
		"no more, and all goes well": {corev1.ContainerStatus{Name: "wait-db", State: done.State}, []string{"proxy"}},
	} {
		t.Run(name, func(t *testing.T) {
			d := deployment()
			d.Spec.Template.Spec.Volumes = nil
			set := &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Name: "web-1", Namespace: "shop", Labels: d.Spec.Template.Labels,
				OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(d, appsv1.SchemeGroupVersion.WithKind("Deployment"))}}}
			client := fake.NewClientset(d, set)
			for i := range maxLogPods + 2 { // as many pods are looked at as of any other trouble
				pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("web-%d", i), Namespace: "shop", Labels: d.Spec.Template.Labels,
					OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(set, appsv1.SchemeGroupVersion.WithKind("ReplicaSet"))}}}
				pod.Spec.InitContainers = []corev1.Container{{Name: "proxy", RestartPolicy: ptr.To(corev1.ContainerRestartPolicyAlways)}, {Name: "copy"}, {Name: "wait-db"}}
				pod.Spec.Containers = []corev1.Container{{Name: "app"}}
				pod.Status.InitContainerStatuses = []corev1.ContainerStatus{running("proxy", 18*time.Minute), done, c.status}
				pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "app", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "PodInitializing"}}}}
				must(t, client.Tracker().Add(pod))
			}
			f, err := Facts(t.Context(), client, diagnosis.Object{Kind: "Deployment", Namespace: "shop", Name: "web"}, Options{Now: func() time.Time { return now }})
			must(t, err)
			read := map[string][]string{}
			for _, l := range f.Logs {
				read[l.Pod] = append(read[l.Pod], l.Container)
			}
			if len(read) != maxLogPods || !slices.Equal(read["web-0"], c.want) {
				t.Errorf("read %v, want %v of each of %d pods", read, c.want, maxLogPods)
			}
		})
	}
}
