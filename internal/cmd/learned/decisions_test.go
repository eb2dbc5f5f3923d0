package learned

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/kubebot/kubebot/api/v1alpha1"
)

func TestDecisionsSayWhatWouldHaveBeenDoneWithout(t *testing.T) {
	scheme := runtime.NewScheme()
	require.NoError(t, v1alpha1.AddToScheme(scheme))
	decided := func(name, kubeBot string, action v1alpha1.LoudAction) *v1alpha1.Incident {
		inc := &v1alpha1.Incident{ObjectMeta: metav1.ObjectMeta{Namespace: "kubebot", Name: name}, Spec: v1alpha1.IncidentSpec{KubeBot: kubeBot}}
		inc.Spec.Subject.Display = "Job shop/report"
		if action != "" {
			inc.Status.Decision = &v1alpha1.Decision{Learned: &v1alpha1.LearnedDecision{Action: action, Without: v1alpha1.ActionPush,
				Reason: "TaughtNoise", ChancePercent: 7, Permille: 900, Message: "Noise in 7 of 8 judgements"}}
		}
		return inc
	}
	api := fake.NewClientBuilder().WithScheme(scheme).WithObjects(decided("a", "main", v1alpha1.ActionQuiet), decided("b", "main", v1alpha1.ActionPush),
		decided("c", "main", ""), decided("d", "other", v1alpha1.ActionQuiet)).Build()
	var out bytes.Buffer
	require.NoError(t, decisions(t.Context(), api, "kubebot", "main", false, &out))
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	require.Len(t, lines, 2)
	assert.Regexp(t, `^a +Job shop/report +Quiet +Push +7 % +TaughtNoise +Noise in 7 of 8 judgements$`, lines[1])
	out.Reset()
	require.NoError(t, decisions(t.Context(), api, "kubebot", "main", true, &out))
	assert.Len(t, strings.Split(strings.TrimSpace(out.String()), "\n"), 3)
	out.Reset()
	require.NoError(t, decisions(t.Context(), api, "kubebot", "nobody", true, &out))
	assert.Contains(t, out.String(), "No incident was decided")
}
