package fluentbit

import (
	"fmt"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/component/observe"
)

// live is the DaemonSet with so many pods available, of 3.
func live(available int32) []client.Object {
	return []client.Object{&appsv1.DaemonSet{
		ObjectMeta: metav1.ObjectMeta{Name: "main-fluent-bit"},
		Status:     appsv1.DaemonSetStatus{DesiredNumberScheduled: 3, UpdatedNumberScheduled: 3, NumberAvailable: available},
	}}
}

// counted are Prometheus' answers; what is 0 is an empty vector, as in Prometheus.
func counted(scraped, stuck, refused int) map[string]component.Answer {
	answers := map[string]component.Answer{}
	for key, n := range map[string]int{keyScraped: scraped, keyStuck: stuck, keyRefused: refused, keyUnread: 0} {
		result := ""
		if n > 0 {
			result = fmt.Sprintf(`{"metric":{},"value":[1767323045.1,"%d"]}`, n)
		}
		answers[key] = component.Answer{Status: 200, Body: []byte(`{"status":"success","data":{"resultType":"vector","result":[` + result + `]}}`)}
	}
	return answers
}

// unread are the answers of a Prometheus that knows of nodes on which nothing is read.
func unread(nodes ...string) map[string]component.Answer {
	answers := counted(3, 0, 0)
	var result []string
	for _, node := range nodes {
		result = append(result, `{"metric":{"node":"`+node+`"},"value":[1767323045.1,"0"]}`)
	}
	answers[keyUnread] = component.Answer{Status: 200, Body: []byte(`{"data":{"resultType":"vector","result":[` + strings.Join(result, ",") + `]}}`)}
	return answers
}

// lost is what is seen of 3 nodes of which one is not ready.
func lost() component.Observed {
	seen := component.Observed{Objects: live(2), Answers: counted(2, 0, 0), Pods: []corev1.Pod{{
		ObjectMeta: metav1.ObjectMeta{OwnerReferences: []metav1.OwnerReference{{Kind: "DaemonSet", Name: "main-fluent-bit", Controller: new(true)}}},
		Spec:       corev1.PodSpec{NodeName: "b"},
	}}}
	seen.Answers[observe.KeyNodesNotReady] = component.Answer{Status: 200, Body: []byte(`{"data":{"resultType":"vector","result":[{"metric":{"node":"b"},"value":[1,"0"]}]}}`)}
	return seen
}

func TestHealth(t *testing.T) {
	for name, c := range map[string]struct {
		spec   v1alpha1.KubeBotSpec
		seen   component.Observed
		status metav1.ConditionStatus
		reason string
		part   string
	}{
		"switched off":               {spec(v1alpha1.FluentBitSpec{Mode: "Disabled"}), component.Observed{}, metav1.ConditionFalse, v1alpha1.ReasonDisabled, "spec.logs.fluentBit.mode"},
		"not applied yet":            {v1alpha1.KubeBotSpec{}, component.Observed{}, metav1.ConditionFalse, v1alpha1.ReasonProgressing, "main-fluent-bit does not exist yet"},
		"a node lags":                {v1alpha1.KubeBotSpec{}, component.Observed{Objects: live(2)}, metav1.ConditionFalse, v1alpha1.ReasonProgressing, "2 of 3 pods"},
		"a node is lost":             {v1alpha1.KubeBotSpec{}, lost(), metav1.ConditionTrue, v1alpha1.ReasonReady, "takes its lines; 1 node(s) that are not ready are left out"},
		"Prometheus is silent":       {v1alpha1.KubeBotSpec{}, component.Observed{Objects: live(3)}, metav1.ConditionFalse, v1alpha1.ReasonNotAnswering, "Prometheus does not answer a query"},
		"nobody scrapes it":          {v1alpha1.KubeBotSpec{}, component.Observed{Objects: live(3), Answers: counted(0, 0, 0)}, metav1.ConditionFalse, v1alpha1.ReasonTargetsDown, "can't scrape"},
		"the collector is away":      {v1alpha1.KubeBotSpec{}, component.Observed{Objects: live(3), Answers: counted(3, 1, 0)}, metav1.ConditionFalse, v1alpha1.ReasonNotAnswering, "wait on the nodes' disks"},
		"the collector refuses":      {v1alpha1.KubeBotSpec{}, component.Observed{Objects: live(3), Answers: counted(3, 1, 7)}, metav1.ConditionFalse, v1alpha1.ReasonNotAnswering, "lost"},
		"two nodes are not read":     {v1alpha1.KubeBotSpec{}, component.Observed{Objects: live(3), Answers: unread("c", "b")}, metav1.ConditionFalse, v1alpha1.ReasonNotAnswering, "on 2 node(s), such as b;"},
		"all is well":                {v1alpha1.KubeBotSpec{}, component.Observed{Objects: live(3), Answers: counted(3, 0, 0)}, metav1.ConditionTrue, v1alpha1.ReasonReady, "takes its lines"},
		"no Prometheus of KubeBot's": {v1alpha1.KubeBotSpec{Metrics: v1alpha1.MetricsSpec{Prometheus: v1alpha1.PrometheusSpec{Mode: v1alpha1.ModeDisabled}}}, component.Observed{Objects: live(3)}, metav1.ConditionTrue, v1alpha1.ReasonReady, "every node"},
	} {
		t.Run(name, func(t *testing.T) {
			in := input(v1alpha1.FluentBitSpec{})
			in.KubeBot.Spec = c.spec
			got := Component{}.Health(in, c.seen)
			if got.Status != c.status || got.Reason != c.reason || !strings.Contains(got.Message, c.part) {
				t.Errorf("Health = %s %s %q, want %s %s and a message with %q", got.Status, got.Reason, got.Message, c.status, c.reason, c.part)
			}
			asked := Component{}.Questions(in)
			if asks := managed(in.KubeBot) && c.spec.Metrics.Prometheus.Mode == ""; (len(asked) > 0) != asks {
				t.Errorf("%d questions are asked, want any: %v", len(asked), asks)
			}
		})
	}
}
