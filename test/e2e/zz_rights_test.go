//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"sort"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/test/stack"
)

// neverAsked are rights that the run need not use, with the reason why they are there.
var neverAsked = map[string]string{
	"prometheus-operator": "the Prometheus Operator's rights are those that its documentation asks for",
	"fluent-bit":          "runs only in clusters that have its image",
	"incidents-edit":      "for people: it goes into the cluster's own roles admin and edit",
	"incidents-view":      "for people: it goes into the cluster's own role view",
	"alertroutes-edit":    "for people: it goes into the cluster's own roles admin and edit",
	"alertroutes-view":    "for people: it goes into the cluster's own role view",
	"team-secret":         "a team binds it to the responder for one Secret of its own",
}

// implied are rights that go with one that was used: a watch streams the list and falls back to listing; who applies
// must also be allowed to create, and to delete what is no longer wanted. A get goes with nothing: who watches needs none.
var implied = map[string][]string{
	"list":   {"watch"},
	"create": {"patch"},
	"delete": {"patch"},
}

// rare are rights that this run does not use.
var rare = map[string]string{
	"kubebot-manager persistentvolumeclaims delete": "only with storage.whenDeleted: Delete",
	"kubebot-manager persistentvolumeclaims list":   "only with storage.whenDeleted: Delete",
	"kubebot-manager persistentvolumeclaims patch":  "only with storage.whenDeleted: Delete",
	"kubebot-manager services list":                 "only where an exporter is switched off",
	"kubebot-manager kubebots patch":                "the finalizer, which a KubeBot in the release's own namespace has not",
	"kubebot-manager incidents delete":              "retention, after 30 days",
	"kubebot-manager kubebots/finalizers update":    "asked by the admission plug-in OwnerReferencesPermissionEnforcement where it is on",
	"kubebot-responder incidents update":            "what people press in Slack, which no interactions are set up for here",
	"kubebot-responder persistentvolumes get":       "only where a workload in trouble uses a claim",
	"kubebot-manager events patch":                  "only when an event repeats",
	"kubebot-manager cronjobs get":                  "the training is looked at before it is removed, when it is switched off",
	"kubebot-manager statefulsets get":              "a store is looked at before it is removed, when it is switched off",
	"kubebot-manager prometheusrules get":           "a rule is looked at before it is removed, when it is switched off",
	"kubebot-prometheus nodes/metrics get":          "asked of the kubelet, which asks by SubjectAccessReview",
}

// foreign are the API groups of others whose resources the run's cluster has not, with whose they are.
var foreign = map[string]string{"opentelemetry.io": "the OpenTelemetry Operator", "gateway.networking.k8s.io": "the Gateway API"}

// auditLogs are those of this run; when it is shared out, those of every part, once they are through.
func auditLogs(t *testing.T) []string {
	t.Helper()
	logs := []string{cluster.AuditLog()}
	if os.Getenv("E2E_PART") != lastPart {
		return logs
	}
	ctx := contextOf(t, 20*time.Minute)
	for part := range parts {
		must(t, stack.Eventually(ctx, 20*time.Minute, time.Second, func(context.Context) error {
			if _, err := os.Stat(overFile(cluster.Root, part)); err != nil {
				return fmt.Errorf("the part %s has not ended: %w", part, err)
			}
			return nil
		}))
		logs = append(logs, stack.AuditLogOf(cluster.Root, clusterName(part)))
	}
	return logs
}

// TestRolesMatchWhatIsAskedFor reads the API server's audit log of the whole run: no process was refused anything, and
// each right that a role gives was used, or is explained above.
func TestRolesMatchWhatIsAskedFor(t *testing.T) {
	if stack.Existing() {
		t.Skip("an existing cluster does not show its audit log")
	}
	logs := auditLogs(t)
	ctx := contextOf(t, time.Minute)
	used := map[string]map[string]bool{} // by service account, "group/resource verb"
	refused, granted := map[string]int{}, map[string]bool{}
	visit := func(e stack.AuditEvent) {
		ns, sa := e.ServiceAccount()
		if !strings.HasPrefix(sa, stack.Release+"-") || !strings.HasPrefix(ns, stack.Release) {
			return
		}
		if used[sa] == nil {
			used[sa] = map[string]bool{}
		}
		used[sa][e.ObjectRef.APIGroup+"/"+e.Resource()+" "+e.Verb] = true
		verb := strings.Replace(e.Verb, "list", "watch", 1) // a watch that is ended falls back to a list
		what := fmt.Sprintf("%s: %s %s %s in namespace %q", sa, verb, e.ObjectRef.APIGroup, e.Resource(), e.ObjectRef.Namespace)
		if e.ResponseStatus.Code != 403 {
			granted[what] = true
		} else if !strings.Contains(e.RequestURI, "dryRun") {
			refused[what]++
		}
	}
	for _, log := range logs {
		must(t, stack.ReadAudit(log, time.Time{}, visit))
	}
	for what, n := range refused {
		// An API server that has just started knows no role for a moment, and a process that is replaced may still watch
		// a namespace whose role was taken away.
		if !granted[what] {
			t.Errorf("refused %d times: %s", n, what)
		}
	}
	for _, unused := range unusedRights(t, ctx, used) {
		t.Errorf("never used: %s", unused)
	}
}

func unusedRights(t *testing.T, ctx context.Context, used map[string]map[string]bool) []string {
	t.Helper()
	match := client.MatchingLabels{"app.kubernetes.io/instance": stack.Release}
	var roles rbacv1.RoleList
	must(t, cluster.Client.List(ctx, &roles, match))
	var clusterRoles rbacv1.ClusterRoleList
	must(t, cluster.Client.List(ctx, &clusterRoles, match))
	rules := map[string][]rbacv1.PolicyRule{}
	for _, r := range roles.Items {
		rules[strings.TrimSuffix(r.Name, "-leases")] = append(rules[strings.TrimSuffix(r.Name, "-leases")], r.Rules...)
	}
	for _, r := range clusterRoles.Items {
		rules[r.Name] = append(rules[r.Name], r.Rules...)
	}
	if len(rules) == 0 {
		t.Fatal("no role of the release was found")
	}
	var unused []string
	for sa, list := range rules {
		if _, ok := neverAsked[strings.TrimPrefix(sa, stack.Release+"-")]; ok || strings.HasSuffix(sa, "-cleanup") {
			continue
		}
		for _, rule := range list {
			for _, right := range rights(rule) {
				if right.group == "*" || right.resource == "*" || right.verb == "*" {
					t.Errorf("%s has a wildcard", sa)
				}
				name := sa + " " + right.resource + " " + right.verb
				if _, ok := foreign[right.group]; ok {
					continue
				}
				if _, ok := rare[name]; !ok && !forDiagnosis(sa, right) && !usedOrImplied(used[sa], right.group+"/"+right.resource, right.verb) {
					unused = append(unused, name)
				}
			}
		}
	}
	sort.Strings(unused)
	return unused
}

// forDiagnosis tells whether the responder has a right only to look at what an incident names: which kinds a run names
// depends on what breaks in it.
func forDiagnosis(sa string, r right) bool {
	return sa == stack.Release+"-responder" && r.verb == "get" && r.group != "kubebot.io" && r.resource != "secrets"
}

// right is one verb on one resource.
type right struct{ group, resource, verb string }

// rights takes a rule apart.
func rights(rule rbacv1.PolicyRule) []right {
	var all []right
	for _, group := range rule.APIGroups {
		for _, resource := range rule.Resources {
			for _, verb := range rule.Verbs {
				all = append(all, right{group, resource, verb})
			}
		}
	}
	return all
}

// usedOrImplied tells whether a right was used, or another with which it goes.
func usedOrImplied(used map[string]bool, resource, verb string) bool {
	if used[resource+" "+verb] {
		return true
	}
	for _, other := range implied[verb] {
		if used[resource+" "+other] {
			return true
		}
	}
	return false
}
