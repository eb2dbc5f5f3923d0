package pipeline

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/alert"
)

// TestAlertThatMeetsADeletedIncidentIsStored deletes an Incident behind the back of the replica that adds to it.
func TestAlertThatMeetsADeletedIncidentIsStored(t *testing.T) {
	named := func(name string, source v1alpha1.AlertSource) alert.Alert {
		a := fired(name, "1", v1alpha1.SeverityCritical, time.Now())
		a.Labels["namespace"], a.Labels["workload"], a.Labels["workload_kind"] = "shop", "checkout", "Deployment"
		a.Fingerprint, a.Source = alert.Fingerprint(a.Labels), source
		return a
	}
	first := named("A", v1alpha1.AlertSourceWatch)
	for name, c := range map[string]struct {
		comes alert.Alert
		want  []string // the alerts of the Incident that is there in the end
	}{
		"one that it does not hold":       {named("B", v1alpha1.AlertSourceAlertmanager), []string{"B"}},
		"the end that a rule's alert had": {ended(named("B", v1alpha1.AlertSourceAlertmanager), time.Now()), []string{"B"}},
		"the end of what the watch saw":   {ended(first, time.Now()), nil},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, nil, func(b *bubble) {
				b.take(first)
				time.Sleep(5 * time.Second) // the first message is out and its result is stored
				require.NoError(b.t, b.api.Delete(b.t.Context(), only(b.t, b.api)))
				b.take(c.comes)
				var list v1alpha1.IncidentList
				require.NoError(b.t, b.api.List(b.t.Context(), &list))
				var got []string
				for _, inc := range list.Items {
					for _, r := range inc.Spec.OpeningAlerts {
						got = append(got, r.Name)
					}
				}
				assert.Equal(b.t, c.want, got)
			})
		})
	}
}
