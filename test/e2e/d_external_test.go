//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/test/stack"
)

// byHand makes what docs/external.md tells users to configure: the document's own examples.
func byHand(t *testing.T) string {
	t.Helper()
	doc, err := os.ReadFile(filepath.Join(cluster.Root, "docs", "external.md"))
	must(t, err)
	var manifests []string
	for _, block := range regexp.MustCompile("(?s)```yaml\n(apiVersion:.*?)```").FindAllSubmatch(doc, -1) {
		manifests = append(manifests, string(block[1]))
	}
	if len(manifests) != 2 {
		t.Fatalf("docs/external.md has %d manifests, want those of Alertmanager and Prometheus", len(manifests))
	}
	// The operator of the chart acts only on what carries its ID.
	return strings.ReplaceAll(strings.Join(manifests, "---\n"), "metadata: {name: byhand, namespace: kubebot}",
		"metadata: {name: byhand, namespace: kubebot, annotations: {operator.prometheus.io/controller-id: kubebot/kubebot}}")
}

// tellOutside tells the outside Alertmanager of an alert until the time.
func tellOutside(t *testing.T, ctx context.Context, ends time.Time) {
	t.Helper()
	body, err := json.Marshal([]map[string]any{{
		"labels":      map[string]string{"alertname": "AlertOfMyOwn", "severity": "critical", "namespace": stack.ShopNamespace},
		"annotations": map[string]string{"summary": "AlertOfMyOwn fires, which only this Alertmanager knows"},
		"endsAt":      ends,
	}})
	must(t, err)
	_, err = cluster.ServicePost(ctx, stack.Namespace, "byhand-alertmanager:9093", "api/v2/alerts", body)
	must(t, err)
}

// TestStoresOutsideBesideATeam changes what the whole cluster's alerts go through, while a team sets up its own.
func TestStoresOutsideBesideATeam(t *testing.T) {
	t.Run("stores outside are used", func(t *testing.T) {
		t.Parallel()
		storesOutsideAreUsed(t)
	})
	t.Run("a team routes its own namespace", func(t *testing.T) {
		t.Parallel()
		aTeamRoutesItsOwnNamespace(t)
	})
}

// storesOutsideAreUsed lets the KubeBot use a Prometheus, an Alertmanager, a Loki and a Jaeger that are not its own,
// and back.
func storesOutsideAreUsed(t *testing.T) {
	ctx := contextOf(t, 20*time.Minute)
	must(t, cluster.Apply(ctx, byHand(t)))
	must(t, cluster.RunStoresOutside(ctx))
	must(t, stack.Eventually(ctx, 2*time.Minute, time.Second, func(ctx context.Context) error {
		for _, at := range []struct{ service, path string }{{"byhand-prometheus:9090", "-/ready"}, {"byhand-alertmanager:9093", "-/ready"}} {
			if _, err := cluster.ServiceGet(ctx, stack.Namespace, at.service, at.path, nil); err != nil {
				return fmt.Errorf("ask %s: %w", at.service, err)
			}
		}
		return nil
	}))
	stores := "stores." + stack.OutsideNamespace + ".svc"
	patchMain(t, ctx, fmt.Sprintf(`{"spec":{
		"metrics":{
			"prometheus":{"mode":"External","external":{"url":"http://byhand-prometheus.kubebot.svc:9090"}},
			"alertmanager":{"mode":"External","external":{"url":"http://byhand-alertmanager.kubebot.svc:9093"}}},
		"logs":{"loki":{"mode":"External","external":{"url":"http://%[1]s:3100","tenant":"team-a"}}},
		"traces":{"jaeger":{"mode":"External","external":{"url":"http://%[1]s:16686","otlpEndpoint":"%[1]s:4317"}}}}}`, stores))
	t.Cleanup(func() { backInside(t) })
	ownAreGone(t, ctx)
	ready(t, ctx)
	flowing(t, ctx)
	tellOutside(t, ctx, time.Now().Add(time.Hour))
	ownAlertIs(t, ctx, func(m stack.Message) bool { return !m.Resolved() })
	tellOutside(t, ctx, time.Now())
	ownAlertIs(t, ctx, stack.Message.Resolved)
	kb, err := cluster.KubeBot(ctx, "main")
	must(t, err)
	for _, url := range []string{
		"http://byhand-prometheus.kubebot.svc:9090", "http://byhand-alertmanager.kubebot.svc:9093", "http://" + stores + ":3100", "http://" + stores + ":16686",
	} {
		if !hasEndpoint(kb, url) {
			t.Errorf("the status does not name %s: %v", url, kb.Status.Endpoints)
		}
	}
}

// ownAreGone waits until what KubeBot ran itself was removed.
func ownAreGone(t *testing.T, ctx context.Context) {
	t.Helper()
	must(t, stack.Eventually(ctx, 2*time.Minute, time.Second, func(ctx context.Context) error {
		out, err := cluster.Kubectl(ctx, "-n", stack.Namespace, "get", "prometheus/main-prometheus", "alertmanager/main-alertmanager",
			"statefulset/main-loki", "statefulset/main-jaeger", "-o", "name", "--ignore-not-found")
		if left := strings.TrimSpace(out); err == nil && left != "" {
			err = fmt.Errorf("KubeBot's own are still there: %s", left)
		}
		return err
	}))
}

// backInside lets the KubeBot run its own again and removes the others.
func backInside(t *testing.T) {
	t.Helper()
	ctx := contextOf(t, 10*time.Minute)
	patchMain(t, ctx, `{"spec":{"metrics":{"prometheus":{"mode":"Managed","external":null},"alertmanager":{"mode":"Managed","external":null}},
		"logs":{"loki":null},"traces":{"jaeger":null}}}`)
	_, err := cluster.Kubectl(ctx, "-n", stack.Namespace, "delete", "prometheus/byhand", "alertmanager/byhand", "service/byhand-prometheus",
		"service/byhand-alertmanager", "secret/byhand-prometheus", "secret/byhand-alertmanager", "--ignore-not-found")
	must(t, err)
	must(t, cluster.RemoveStoresOutside(ctx))
	ready(t, ctx)
}

// ownAlertIs waits for the one message about the alert in the wanted state.
func ownAlertIs(t *testing.T, ctx context.Context, want func(stack.Message) bool) {
	t.Helper()
	must(t, stack.Eventually(ctx, 3*time.Minute, time.Second, func(ctx context.Context) error {
		heads, err := headsAbout(ctx, "AlertOfMyOwn")
		if err != nil {
			return err
		}
		if len(heads) != 1 || !want(heads[0]) {
			return fmt.Errorf("want one message in the other state, have %d: %v", len(heads), heads)
		}
		return nil
	}))
}

func hasEndpoint(kb *v1alpha1.KubeBot, url string) bool {
	for _, e := range kb.Status.Endpoints {
		if e.URL == url {
			return true
		}
	}
	return false
}
