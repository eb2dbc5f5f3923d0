package responder

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/decide"
	"github.com/kubebot/kubebot/internal/learn"
	"github.com/kubebot/kubebot/internal/learn/store"
	"github.com/kubebot/kubebot/internal/notify"
	"github.com/kubebot/kubebot/internal/pipeline/config"
)

// shipped gives the responder's ServiceAccount in the rig's namespace the rights that config/rbac gives it, and returns
// how to be it.
func (r *rig) shipped() *rest.Config {
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "config", "rbac", "rbac.yaml"))
	require.NoError(r.t, err)
	account := []rbacv1.Subject{{Kind: "ServiceAccount", Name: "kubebot-responder", Namespace: r.namespace}}
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	for {
		var role rbacv1.ClusterRole // a Role has the same fields
		err := decoder.Decode(&role)
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(r.t, err)
		if role.Name != "kubebot-responder" || role.Kind != "Role" && role.Kind != "ClusterRole" {
			continue
		}
		about := metav1.ObjectMeta{Name: r.namespace}
		if role.Kind == "ClusterRole" {
			require.NoError(r.t, api.Create(r.t.Context(), &rbacv1.ClusterRole{ObjectMeta: about, Rules: role.Rules}))
			require.NoError(r.t, api.Create(r.t.Context(), &rbacv1.ClusterRoleBinding{ObjectMeta: about, Subjects: account,
				RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: role.Kind, Name: about.Name}}))
			continue
		}
		about.Namespace = r.namespace
		require.NoError(r.t, api.Create(r.t.Context(), &rbacv1.Role{ObjectMeta: about, Rules: role.Rules}))
		require.NoError(r.t, api.Create(r.t.Context(), &rbacv1.RoleBinding{ObjectMeta: about, Subjects: account,
			RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: role.Kind, Name: about.Name}}))
	}
	as := rest.CopyConfig(apiServer)
	as.Impersonate = rest.ImpersonationConfig{UserName: "system:serviceaccount:" + r.namespace + ":kubebot-responder",
		Groups: []string{"system:serviceaccounts", "system:serviceaccounts:" + r.namespace, "system:authenticated"}}
	return as
}

// failed is an alert of a Job that people find unimportant.
func failed(i int) alert {
	return alert{Status: "firing", StartsAt: time.Now().Truncate(time.Second), Labels: map[string]string{"alertname": "JobFailed",
		"severity": "warning", "namespace": "shop", "workload_kind": "Job", "workload": fmt.Sprintf("report-%c", 'a'+i)}}
}

// judge says that every Incident was noise.
func (r *rig) judge() {
	for _, inc := range r.incidents() {
		if len(inc.Spec.Feedback) > 0 {
			continue
		}
		before := inc.DeepCopy()
		inc.Spec.Feedback = []v1alpha1.Feedback{{By: "anna", Verdict: v1alpha1.FeedbackNoise, At: metav1.Now()}}
		require.NoError(r.t, api.Patch(r.t.Context(), &inc, client.MergeFrom(before)))
	}
}

// TestJudgementsAreLearnedOnceAndDecide runs two replicas with the rights that are shipped.
func TestJudgementsAreLearnedOnceAndDecide(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *config.Config) {
		c.Routes = []v1alpha1.Route{{Receivers: []string{"oncall"}, Match: v1alpha1.RouteMatch{
			Severities: []v1alpha1.Severity{v1alpha1.SeverityWarning, v1alpha1.SeverityCritical}}}}
	})
	as := r.shipped()
	r.with = func(o *Options) { o.REST = as }
	a, b := r.start("a"), r.start("b")
	const judged = 5
	for i := range judged {
		require.Equal(t, http.StatusOK, a.post(token, body(t, failed(i))))
	}
	require.Eventually(t, func() bool { return len(r.sink.messages()) == judged }, 10*time.Second, 20*time.Millisecond)
	r.judge()
	learned := store.Store{Client: api, Namespace: r.namespace, KubeBot: "main"}
	read := func() learn.State {
		state, err := learned.Load(t.Context())
		require.NoError(t, err)
		return state
	}
	require.Eventually(t, func() bool { return read().Revision == judged }, 40*time.Second, 200*time.Millisecond)
	object := &corev1.ConfigMap{}
	require.NoError(t, api.Get(t.Context(), client.ObjectKey{Namespace: r.namespace, Name: store.Name}, object))
	require.Len(t, object.OwnerReferences, 1)

	// The replica that learned goes; the other one finds nothing new but what is judged now.
	a.stop()
	require.Equal(t, http.StatusOK, b.post(token, body(t, failed(judged))))
	require.Eventually(t, func() bool { return len(r.sink.messages()) >= judged+1 || len(r.incidents()) == judged+1 }, 10*time.Second, 20*time.Millisecond)
	r.judge()
	require.Eventually(t, func() bool {
		state := read()
		return len(state.Cells) == 1 && len(state.Cells[0].Judgements) == judged+1
	}, 60*time.Second, 200*time.Millisecond)

	// One may be told to see whether that still holds, by a draw from its name.
	quiet := func() int {
		n := 0
		for _, inc := range r.incidents() {
			if d := inc.Status.Decision; d != nil && d.Reason == decide.ReasonUnimportant && d.Learned.Without == v1alpha1.ActionPush && d.Verdict == v1alpha1.VerdictQuiet {
				n++
			}
		}
		return n
	}
	const more = 4
	time.Sleep(time.Second) // the replica's own write serves it at once
	for i := range more {
		require.Equal(t, http.StatusOK, b.post(token, body(t, failed(judged+1+i))))
	}
	require.Eventually(t, func() bool { return quiet() > more/2 }, 10*time.Second, 50*time.Millisecond)
	critical := failed(judged + 1 + more)
	critical.Labels["severity"] = "critical"
	require.Equal(t, http.StatusOK, b.post(token, body(t, critical)))
	require.Eventually(t, func() bool { // one of the warnings may be told before it
		return slices.ContainsFunc(r.sink.messages(), func(m notify.Message) bool { return m.Incident.Status.Severity == v1alpha1.SeverityCritical })
	}, 30*time.Second, 20*time.Millisecond)
	assert.Empty(t, b.report(t).Problems)
}
