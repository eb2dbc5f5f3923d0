package decide

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/kubebot/kubebot/api/v1alpha1"
)

func TestRoutesOfTeamsComeOnTop(t *testing.T) {
	crit, warn := v1alpha1.SeverityCritical, v1alpha1.SeverityWarning
	team := TeamRoute{Namespace: "shop", Match: v1alpha1.AlertRouteMatch{Severities: []v1alpha1.Severity{crit, warn}, Labels: map[string]string{"team": "shop"}}, Receivers: []string{"shop/r/a"}}
	labels := []map[string]string{{"team": "shop"}}
	lunch := map[string]Mute{"lunch": mute(t, v1alpha1.MuteTime{Name: "lunch", Start: "11:30", End: "13:00"})}
	own := []v1alpha1.Route{{Receivers: []string{"own"}}}
	for name, c := range map[string]struct {
		routes []v1alpha1.Route
		nobody bool
		facts  Facts
		reason string
		told   []string
		again  bool
	}{
		"critical is told to both":                {own, false, Facts{Severity: crit, Namespace: "shop", AlertLabels: labels}, ReasonRouted, []string{"own", "shop/r/a"}, false},
		"a warning is told to the team":           {own, false, Facts{Severity: warn, Namespace: "shop", AlertLabels: labels}, ReasonTeam, []string{"shop/r/a"}, false},
		"without receivers of the KubeBot":        {nil, true, Facts{Severity: crit, Namespace: "shop", AlertLabels: labels}, ReasonTeam, []string{"shop/r/a"}, false},
		"though the KubeBot's route is to nobody": {[]v1alpha1.Route{{}}, false, Facts{Severity: crit, Namespace: "shop", AlertLabels: labels}, ReasonTeam, []string{"shop/r/a"}, false},
		"not of another namespace":                {own, false, Facts{Severity: crit, Namespace: "pay", AlertLabels: labels}, ReasonRouted, []string{"own"}, false},
		"not of a namespace that begins alike":    {own, false, Facts{Severity: crit, Namespace: "shop-2", AlertLabels: labels}, ReasonRouted, []string{"own"}, false},
		"not of no namespace":                     {own, false, Facts{Severity: crit, AlertLabels: labels}, ReasonRouted, []string{"own"}, false},
		"not of another label":                    {own, false, Facts{Severity: crit, Namespace: "shop"}, ReasonRouted, []string{"own"}, false},
		"not of another severity":                 {own, false, Facts{Severity: v1alpha1.SeverityInfo, Namespace: "shop", AlertLabels: labels}, ReasonNotRouted, nil, false},
		"a mute time of the KubeBot is its own":   {[]v1alpha1.Route{{Receivers: []string{"own"}, MuteTimes: []string{"lunch"}}}, false, Facts{Severity: crit, Namespace: "shop", AlertLabels: labels}, ReasonTeamAlone, []string{"shop/r/a"}, true},
		"a silence holds for teams too":           {own, false, Facts{Severity: warn, Namespace: "shop", AlertLabels: labels, SilencedUntil: noon.Add(time.Hour)}, ReasonSilenced, nil, true},
		"a lost node explains it to teams too":    {own, false, Facts{Severity: warn, Namespace: "shop", AlertLabels: labels, LostNode: "n"}, ReasonInhibited, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			rules := Rules{Receivers: []string{"own"}, Routes: c.routes, Mutes: lunch, Teams: []TeamRoute{team}}
			if c.nobody {
				rules.Receivers = nil
			}
			out := Decide(rules, c.facts, noon)
			assert.Equal(t, c.reason, out.Reason)
			assert.Equal(t, c.told, out.Receivers)
			assert.Equal(t, c.again, !out.Again.IsZero())
			assert.Equal(t, len(c.told) > 0, out.Verdict == v1alpha1.VerdictNotify)
		})
	}
}

// Without a route of a team every decision is as it was.
func TestNoTeamChangesNothing(t *testing.T) {
	assert.False(t, OfTeam("oncall"))
	facts := Facts{Severity: v1alpha1.SeverityCritical, Namespace: "shop"}
	rules := Rules{Receivers: []string{"own"}}
	before := Decide(rules, facts, noon)
	rules.Teams = []TeamRoute{{Namespace: "pay", Receivers: []string{"pay/r/a"}}}
	assert.Equal(t, before, Decide(rules, facts, noon))
}
