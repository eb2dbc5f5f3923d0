//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component/grafana/dashboards"
	"github.com/kubebot/kubebot/test/stack"
)

// dashboardValues are what a person would choose above the panels: a part of the shop.
func dashboardValues(ctx context.Context) (map[string]string, error) {
	var nodes corev1.NodeList
	if err := cluster.Client.List(ctx, &nodes); err != nil || len(nodes.Items) == 0 {
		return nil, fmt.Errorf("list nodes: %d found, %w", len(nodes.Items), err)
	}
	return map[string]string{
		"namespace": stack.ShopNamespace, "workload": "checkout", "service": "checkout", "node": nodes.Items[0].Name, "search": "",
		"__rate_interval": "2m", "__auto": "5m", "__interval": "15s", "__range": "1h",
	}, nil
}

// fed are panels that may be empty elsewhere, but not here: the shop serves and calls all the time, the KubeBot has receivers,
// whose counters begin at zero, and the test makes an event of the workload. What only an earlier test may have fed, such as
// the delay of messages, is not among them.
var fed = []string{
	"namespace / Failed requests", "namespace / Events", "workload / Failed requests", "workload / Logs", "workload / Events",
	"service / Called by", "service / Calls", "service / Duration of calls by this service, 95th percentile", "service / Events",
	"incidents / Undelivered messages", "incidents / Deliveries",
}

func panelOf(q dashboards.Query) string { return q.Dashboard + " / " + q.Panel }

// Every query of every panel and variable is asked of the real stores while the shop runs. It returns data, or the panel
// says why there may be none; an error is never a reason.
func TestEveryQueryOfTheDashboardsReturnsData(t *testing.T) {
	ctx := contextOf(t, 12*time.Minute)
	values, err := dashboardValues(ctx)
	must(t, err)
	all := dashboards.Queries(dashboards.Options{Prefix: "kubebot-e2e-", ClusterName: "demo",
		Stores: []dashboards.Store{dashboards.Prometheus, dashboards.Loki, dashboards.Jaeger, dashboards.Alertmanager}}, values)
	if len(all) < 80 {
		t.Fatalf("%d queries", len(all))
	}
	for _, panel := range fed {
		if !slices.ContainsFunc(all, func(q dashboards.Query) bool { return panelOf(q) == panel && q.MayBeEmpty != "" }) {
			t.Errorf("%s: there is no such panel, or it must have data everywhere", panel)
		}
	}
	// A quiet cluster has no event for minutes, and earlier tests may have given it a new Loki.
	must(t, cluster.Client.Create(ctx, &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: stack.ShopNamespace, GenerateName: "checkout-"},
		InvolvedObject: corev1.ObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Namespace: stack.ShopNamespace, Name: "checkout"},
		Reason:         "Tested", Message: "An event for the dashboards", Type: corev1.EventTypeNormal, LastTimestamp: metav1.Now(), Count: 1,
	}))
	open, errs := all, map[dashboards.Query]error{}
	needed := func(q dashboards.Query) bool {
		return q.MayBeEmpty == "" || slices.Contains(fed, panelOf(q)) || errs[q] != nil
	}
	for deadline := time.Now().Add(5 * time.Minute); ; time.Sleep(2 * time.Second) {
		open = slices.DeleteFunc(slices.Clone(open), func(q dashboards.Query) bool {
			var found bool
			found, errs[q] = answers(ctx, q)
			return found && errs[q] == nil
		})
		if !slices.ContainsFunc(open, needed) || time.Now().After(deadline) || ctx.Err() != nil {
			break
		}
	}
	for _, q := range open {
		switch {
		case errs[q] != nil:
			t.Errorf("%s: %v\n%s", panelOf(q), errs[q], q.Expr)
		case needed(q):
			t.Errorf("%s: no data\n%s", panelOf(q), q.Expr)
		default:
			t.Logf("%s: no data: %s", panelOf(q), q.MayBeEmpty)
		}
	}
	t.Logf("%d of %d queries return data", len(all)-len(open), len(all))
}

// answers tells whether the store has data for a query.
func answers(ctx context.Context, q dashboards.Query) (bool, error) {
	switch q.Store {
	case dashboards.Loki:
		return lokiAnswers(ctx, q.Expr)
	case dashboards.Jaeger:
		return jaegerAnswers(ctx, q.Expr)
	}
	found, err := cluster.Query(ctx, "main", q.Expr)
	if q.Values != "" {
		return slices.ContainsFunc(found, func(s stack.Sample) bool { return s.Metric[q.Values] != "" }), err
	}
	return slices.ContainsFunc(found, func(s stack.Sample) bool { return s.Value[1] != "NaN" }), err
}

func lokiAnswers(ctx context.Context, expr string) (bool, error) {
	now := time.Now()
	data, err := cluster.ServiceGet(ctx, stack.Namespace, "main-loki:3100", "loki/api/v1/query_range", map[string]string{
		"query": expr, "limit": "1", "step": "60", "start": strconv.FormatInt(now.Add(-time.Hour).UnixNano(), 10), "end": strconv.FormatInt(now.UnixNano(), 10),
	})
	if err != nil {
		return false, err
	}
	var answer struct {
		Data struct {
			Result []json.RawMessage `json:"result"`
		} `json:"data"`
	}
	err = json.Unmarshal(data, &answer)
	return len(answer.Data.Result) > 0, err
}

func jaegerAnswers(ctx context.Context, service string) (bool, error) {
	data, err := cluster.ServiceGet(ctx, stack.Namespace, "main-jaeger:16686", "api/traces", map[string]string{"service": service, "limit": "1", "lookback": "1h"})
	if err != nil {
		return false, err
	}
	var answer struct {
		Data []json.RawMessage `json:"data"`
	}
	err = json.Unmarshal(data, &answer)
	return len(answer.Data) > 0, err
}

// An outside Grafana gets data sources and dashboards, gets them back, and keeps what is other people's.
func TestAnOutsideGrafanaGetsTheDashboards(t *testing.T) {
	if stack.Existing() {
		t.Skip("an existing cluster can't be given the image of the tests' Grafana")
	}
	ctx := contextOf(t, 24*time.Minute)
	must(t, cluster.DeployGrafana(ctx))
	foreign := map[string]any{"dashboard": map[string]any{"uid": "orders", "title": "Orders", "tags": []string{"kubebot"}, "panels": []any{}}}
	must(t, cluster.GrafanaAsPerson(ctx, "POST", "api/dashboards/db", foreign, nil))
	before := grafanaMode(t, ctx, fmt.Sprintf(`{"mode":"External","external":{"url":%q,"tokenSecret":{"name":"outside-grafana","key":"token"}}}`, stack.GrafanaURL))
	defer func() {
		grafanaMode(t, ctx, before)
		_, err := cluster.Kubectl(ctx, "delete", "namespace", stack.GrafanaNamespace, "--wait=false")
		must(t, err)
		_, err = cluster.Kubectl(ctx, "-n", stack.Namespace, "delete", "secret", "outside-grafana")
		must(t, err)
		ready(t, ctx)
	}()
	must(t, cluster.WaitCondition(ctx, "main", v1alpha1.ConditionGrafanaReady, metav1.ConditionTrue, readyTime))

	type hit struct{ UID, Title string }
	search := func(ctx context.Context) (own []hit, err error) {
		var found []hit
		if err := cluster.GrafanaAsPerson(ctx, "GET", "api/search", nil, &found); err != nil {
			return nil, err
		}
		for _, h := range found {
			if strings.HasPrefix(h.UID, "kubebot-") {
				own = append(own, h)
			}
		}
		return own, nil
	}
	brought, err := search(ctx)
	must(t, err)
	if len(brought) < 10 {
		t.Fatalf("the outside Grafana has %d dashboards of KubeBot: %v", len(brought), brought)
	}
	t.Logf("GrafanaReady with %d dashboards", len(brought))
	// Drift: one dashboard is removed, one edited.
	must(t, cluster.GrafanaAsPerson(ctx, "DELETE", "api/dashboards/uid/"+brought[0].UID, nil, nil))
	var edited struct {
		Dashboard map[string]any `json:"dashboard"`
		Meta      map[string]any `json:"meta"`
	}
	must(t, cluster.GrafanaAsPerson(ctx, "GET", "api/dashboards/uid/"+brought[1].UID, nil, &edited))
	edited.Dashboard["title"] = "Mine now"
	must(t, cluster.GrafanaAsPerson(ctx, "POST", "api/dashboards/db", map[string]any{"dashboard": edited.Dashboard, "folderUid": edited.Meta["folderUid"]}, nil))
	must(t, stack.Eventually(ctx, 4*time.Minute, time.Second, func(ctx context.Context) error {
		now, err := search(ctx)
		if err != nil {
			return err
		}
		for _, h := range brought {
			if !slices.Contains(now, h) {
				return fmt.Errorf("the dashboard %q is not back: %v", h.Title, now)
			}
		}
		return nil
	}))
	writes, err := cluster.GrafanaWrites(ctx)
	must(t, err)
	// Four data sources, one folder, the dashboards, and the two that were repaired.
	if want := 4 + 1 + len(brought) + 2; len(writes) != want {
		t.Errorf("KubeBot wrote %d times, want %d: %v", len(writes), want, writes)
	}
	var orders struct {
		Dashboard struct{ Version int } `json:"dashboard"`
	}
	must(t, cluster.GrafanaAsPerson(ctx, "GET", "api/dashboards/uid/orders", nil, &orders))
	if orders.Dashboard.Version != 1 {
		t.Errorf("somebody else's dashboard is at version %d", orders.Dashboard.Version)
	}
}

// grafanaMode sets spec.dashboards.grafana and returns what it was.
func grafanaMode(t *testing.T, ctx context.Context, grafana string) string {
	t.Helper()
	kb, err := cluster.KubeBot(ctx, "main")
	must(t, err)
	was, err := json.Marshal(kb.Spec.Dashboards.Grafana)
	must(t, err)
	patch := fmt.Sprintf(`[{"op":"replace","path":"/spec/dashboards/grafana","value":%s}]`, grafana)
	_, err = cluster.Kubectl(ctx, "-n", stack.Namespace, "patch", "kubebot", "main", "--type=json", "-p", patch)
	must(t, err)
	return string(was)
}
