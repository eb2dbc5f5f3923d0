package prometheus

import (
	"fmt"
	"slices"
	"strings"
	"time"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/prometheus/common/model"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/component/observe"
	"github.com/kubebot/kubebot/internal/component/pods"
	"github.com/kubebot/kubebot/internal/endpoints"
)

// Keys of the questions.
const (
	keyReady   = "ready"
	keyTargets = "targets"
	keyDown    = "down"
)

// Questions implements component.Component. Targets are counted by queries: their list grows with the cluster, and with
// every label of every node.
func (Component) Questions(in component.Input) []component.Question {
	base := endpoints.Prometheus(in.KubeBot)
	switch {
	case base == "":
		return nil
	case !managed(in.KubeBot):
		return []component.Question{{Key: keyReady, URL: observe.Query(base, "vector(1)")}}
	}
	up := fmt.Sprintf(`up{job=~"%s"}`, strings.Join(jobNames(in), "|"))
	return []component.Question{
		{Key: keyReady, URL: base + "/-/ready"},
		{Key: keyTargets, URL: observe.Query(base, fmt.Sprintf("count by (job, metrics_path) (%s)", up))},
		{Key: keyDown, URL: observe.Query(base, fmt.Sprintf("count by (job, metrics_path) (max_over_time(%s[%s]) == 0 unless on (job, node) (%s))",
			up, downWindow(in), onLostNodes))},
		observe.AskNodesNotReady(base),
	}
}

// onLostNodes are the targets that every node has, of those that are not ready: nothing of the stack mends them, and the
// alert NodeNotReady tells of the nodes.
const onLostNodes = `up{job=~"` + endpoints.JobKubelet + "|" + endpoints.JobNodeExporter + "|" + endpoints.JobFluentBit +
	`"} and on (node) (` + observe.NodesNotReady + `)`

func jobNames(in component.Input) []string {
	var names []string
	for _, j := range ownJobs(in) {
		names = append(names, j.job)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// downWindow is how long a target must have been down to count: three scrapes and at least a minute, so that the
// replacement of a pod is no trouble.
func downWindow(in component.Input) model.Duration {
	scrape, err := component.Duration(field, in.KubeBot.Spec.Metrics.Prometheus.ScrapeInterval, interval)
	if err != nil {
		return model.Duration(time.Minute)
	}
	return max(3*scrape, model.Duration(time.Minute))
}

// Health implements component.Component.
func (Component) Health(in component.Input, seen component.Observed) component.Health {
	kb := in.KubeBot
	base := endpoints.Prometheus(kb)
	if base == "" {
		return observe.Disabled("Prometheus", field+".mode")
	}
	health := judge(in, seen)
	health.Endpoints = []v1alpha1.Endpoint{{Name: name, URL: base}}
	if managed(kb) {
		health.Extra = pods.Ephemeral(kb.Spec.Metrics.Prometheus.Storage, "samples", field+".storage")
	}
	return health
}

func judge(in component.Input, seen component.Observed) component.Health {
	if !managed(in.KubeBot) {
		if why := observe.Unanswered(seen.Answers[keyReady]); why != "" {
			return observe.NotReady(v1alpha1.ReasonNotAnswering,
				"the external Prometheus "+why+": see that "+field+".external.url is right and reachable from the manager")
		}
		return observe.Ready("the external Prometheus answers")
	}
	p, found := observe.Find[monitoringv1.Prometheus](seen, monitoringv1.PrometheusesKind, endpoints.PrometheusResource(in.KubeBot))
	if !found {
		return observe.NotReady(v1alpha1.ReasonProgressing, "the Prometheus resource does not exist yet")
	}
	if why := observe.Unanswered(seen.Answers[keyReady]); why != "" {
		if health, ok := observe.OperatorTrouble(seen.Now, monitoringv1.PrometheusesKind, p.ObjectMeta, p.Status.Conditions); !ok {
			return health
		}
		return observe.NotReady(reasonOf(seen.Answers[keyReady]), observe.With("Prometheus "+why, seen.Pods))
	}
	return judgeTargets(in, seen)
}

// reasonOf tells a Prometheus that is still loading (503) or starting from one that is in trouble.
func reasonOf(a component.Answer) string {
	if a.Status == 503 || a.Status == 0 {
		return v1alpha1.ReasonProgressing
	}
	return v1alpha1.ReasonNotAnswering
}

// judgeTargets compares the jobs that must be there with what Prometheus scrapes.
func judgeTargets(in component.Input, seen component.Observed) component.Health {
	all, err := counts(seen.Answers[keyTargets])
	if err != nil {
		return observe.NotReady(v1alpha1.ReasonNotAnswering, "Prometheus "+err.Error())
	}
	down, err := counts(seen.Answers[keyDown])
	if err != nil {
		return observe.NotReady(v1alpha1.ReasonNotAnswering, "Prometheus "+err.Error())
	}
	var troubles []string
	for _, j := range ownJobs(in) {
		label := strings.TrimSpace(j.job + " " + j.metricsPath)
		of, lost := all[target{j.job, j.metricsPath}], down[target{j.job, j.metricsPath}]
		switch {
		case of == 0:
			troubles = append(troubles, label+" (no target)")
		case lost > 0:
			troubles = append(troubles, fmt.Sprintf("%s (%d of %d)", label, min(lost, of), of))
		}
	}
	if len(troubles) > 0 {
		slices.Sort(troubles)
		return observe.NotReady(v1alpha1.ReasonTargetsDown, "targets of the stack are down: "+strings.Join(troubles, ", ")+
			"; Prometheus' page Status > Target health says why")
	}
	return observe.Ready("Prometheus answers and the targets of the stack are up" + observe.LeftOut(observe.NotReadyNodes(seen)))
}

// target names the targets of a job.
type target struct{ job, metricsPath string }

// counts reads the answer to a query that counts by job and metrics_path.
func counts(a component.Answer) (map[target]int, error) {
	vector, err := observe.Vector(a)
	if err != nil {
		return nil, err
	}
	found := map[target]int{}
	for _, s := range vector {
		found[target{string(s.Metric["job"]), string(s.Metric["metrics_path"])}] = int(s.Value)
	}
	return found, nil
}
