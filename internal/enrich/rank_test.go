package enrich

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/diagnosis"
	"github.com/kubebot/kubebot/internal/rca"
)

// facts are those of the catalog with a rollout at a time.
func facts(rolledOut time.Time) *diagnosis.Facts {
	set := func(revision string, at time.Time) appsv1.ReplicaSet {
		return appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Name: "catalog-" + revision, CreationTimestamp: metav1.NewTime(at),
			Annotations: map[string]string{"deployment.kubernetes.io/revision": revision}}}
	}
	return &diagnosis.Facts{Now: noon, Subject: catalog, Workload: diagnosis.Workload{Object: catalog},
		ReplicaSets: []appsv1.ReplicaSet{set("1", noon.Add(-24*time.Hour)), set("2", rolledOut)}}
}

func rollout() diagnosis.Finding {
	return diagnosis.Finding{Detector: "change", Kind: diagnosis.KindConfig, Object: catalog, Field: "containers[app].env[PRICE]", Score: diagnosis.ScorePossible,
		Sentence: "Revision 2 of Deployment catalog changed PRICE", Evidence: []string{"ReplicaSet catalog-2 was made 2 min ago"},
		Fix: diagnosis.Fix{Explanation: "Go back to revision 1.", Commands: []string{"kubectl -n shop rollout undo deployment/catalog --to-revision=1"}}}
}

func logged(score float64) diagnosis.Finding {
	return diagnosis.Finding{Detector: "applog", Kind: diagnosis.KindCode, Object: catalog, Score: score, Sentence: "Container app logs an error again and again",
		Fix: diagnosis.Fix{Explanation: "Look.", Commands: []string{"kubectl -n shop logs deployment/catalog"}}}
}

// told ranks as Analyse does, without links.
func told(q Question, diagnoses []Diagnosis, result *rca.Result, t telemetry) []v1alpha1.Cause {
	var out []v1alpha1.Cause
	for _, c := range rank(q, diagnoses, result, t) {
		out = append(out, c.tell())
	}
	return out
}

func TestRank(t *testing.T) {
	near, old := facts(noon.Add(-2*time.Minute)), facts(noon.Add(-3*time.Hour))
	back := facts(noon.Add(-2 * time.Minute))
	back.ReplicaSets[1].Annotations[diagnosis.RevisionHistory] = "1"
	again := facts(noon.Add(-time.Hour))
	again.ReplicaSets[1].Annotations[diagnosis.RevisionHistory] = "1"
	again.Events = []corev1.Event{{Reason: "ScalingReplicaSet", Message: "Scaled up replica set catalog-2 from 0 to 1", LastTimestamp: metav1.NewTime(noon.Add(-time.Minute)),
		InvolvedObject: corev1.ObjectReference{Kind: "Deployment", Name: "catalog"}}}
	probed := facts(noon.Add(-2 * time.Minute))
	for i, path := range []string{"/status", "/readyz"} {
		probe := &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: path}}}
		probed.ReplicaSets[i].Spec.Template.Spec.Containers = []corev1.Container{{Name: "app", ReadinessProbe: probe}}
	}
	symptom := diagnosis.Finding{Detector: "rollout", Kind: diagnosis.KindUnknown, Object: catalog, Score: diagnosis.ScoreSymptom, Symptom: true, Sentence: "0 of 1 pods ready"}
	cart := diagnosis.Object{APIVersion: "v1", Kind: "Service", Namespace: "shop", Name: "cart"}
	blamed := diagnosis.Finding{Detector: "dependency", Kind: diagnosis.KindDependency, Object: cart, Score: diagnosis.ScoreStrong, Sentence: "catalog calls cart"}
	telemetryOf := func(kind rca.Kind, score float64) *rca.Result {
		return &rca.Result{Causes: []rca.Cause{{Workload: "catalog", Kind: kind, Score: score, Path: []string{"front", "catalog"}, Fix: kind.Fix(),
			Evidence: []rca.Evidence{{Detector: "cpu", Text: "CPU use rose from 10 % to 95 % of the limit"}}}}}
	}
	for name, c := range map[string]struct {
		diagnoses []Diagnosis
		result    *rca.Result
		want      []string
	}{
		"a rollout near the alarm and what the program says since are one cause": {
			[]Diagnosis{{Facts: near, Findings: []diagnosis.Finding{logged(0.6), rollout()}}}, nil,
			[]string{"88 config Revision 2 of Deployment catalog changed PRICE; since then: Container app logs an error again and again | kubectl -n shop rollout undo deployment/catalog --to-revision=1"},
		},
		"an old rollout is only possible": {
			[]Diagnosis{{Facts: old, Findings: []diagnosis.Finding{logged(0.6), rollout()}}}, nil,
			[]string{"60 code Container app logs an error again and again | kubectl -n shop logs deployment/catalog",
				"50 config Revision 2 of Deployment catalog changed PRICE | kubectl -n shop rollout undo deployment/catalog --to-revision=1"},
		},
		"a rollout that went back is hardly the cause": {
			[]Diagnosis{{Facts: back, Findings: []diagnosis.Finding{rollout()}}}, nil,
			[]string{"30 config Revision 2 of Deployment catalog changed PRICE | kubectl -n shop rollout undo deployment/catalog --to-revision=1"},
		},
		"one that went back to what fails is": {
			[]Diagnosis{{Facts: again, Findings: []diagnosis.Finding{logged(0.9), rollout()}}}, nil,
			[]string{"97 config Revision 2 of Deployment catalog changed PRICE; since then: Container app logs an error again and again | kubectl -n shop rollout undo deployment/catalog --to-revision=1"},
		},
		"what the program says does not come of another probe": {
			[]Diagnosis{{Facts: probed, Findings: []diagnosis.Finding{logged(0.9), rollout()}}}, nil,
			[]string{"90 code Container app logs an error again and again | kubectl -n shop logs deployment/catalog",
				"50 config Revision 2 of Deployment catalog changed PRICE | kubectl -n shop rollout undo deployment/catalog --to-revision=1"},
		},
		"what names by itself what is wrong leads": {
			[]Diagnosis{{Facts: near, Findings: []diagnosis.Finding{{Detector: "missingref", Kind: diagnosis.KindConfig, Object: catalog, Score: 0.5,
				Sentence: "Secret key does not exist", Fix: diagnosis.Fix{Explanation: "Make it."}}, rollout()}}}, nil,
			[]string{"85 config Secret key does not exist | kubectl -n shop rollout undo deployment/catalog --to-revision=1"},
		},
		"the alarm's own signal says nothing new without a call graph": {
			[]Diagnosis{{Facts: old, Findings: []diagnosis.Finding{logged(0.6)}}},
			&rca.Result{Causes: []rca.Cause{{Workload: "catalog", Kind: rca.KindNetwork, Score: 0.99, Fix: rca.KindNetwork.Fix(), Evidence: []rca.Evidence{{Detector: "signal", Text: "availability fell"}}}}},
			[]string{"60 code Container app logs an error again and again | kubectl -n shop logs deployment/catalog",
				"35 network Calls to or from Deployment catalog in namespace shop are slow or lost on the network: availability fell | kubectl kubebot why -n shop deployment/catalog"},
		},
		"a cause drops symptoms": {
			[]Diagnosis{{Facts: old, Findings: []diagnosis.Finding{logged(0.9), symptom}}}, nil,
			[]string{"90 code Container app logs an error again and again | kubectl -n shop logs deployment/catalog"},
		},
		"a symptom alone stays, with its low score": {
			[]Diagnosis{{Facts: old, Findings: []diagnosis.Finding{symptom}}}, nil, []string{"25 unknown 0 of 1 pods ready | "},
		},
		"telemetry that agrees is a second witness": {
			[]Diagnosis{{Facts: old, Findings: []diagnosis.Finding{logged(0.6)}}}, telemetryOf(rca.KindCode, 0.5),
			[]string{"80 code Container app logs an error again and again | kubectl -n shop logs deployment/catalog"},
		},
		"what the API states comes before what telemetry alone shows": {
			[]Diagnosis{{Facts: old, Findings: []diagnosis.Finding{{Detector: "node", Kind: diagnosis.KindDisk, Object: catalog, Score: diagnosis.ScoreCertain, Sentence: "Its volume is full"}}}},
			&rca.Result{Causes: []rca.Cause{{Workload: "cart", Kind: rca.KindCode, Score: 0.99, Fix: rca.KindCode.Fix(), Evidence: []rca.Evidence{{Detector: "signal", Text: "availability fell"}}}}},
			[]string{"97 disk Its volume is full | ", "94 code Service cart in namespace shop itself is slow or fails, in its own code or settings: availability fell | "},
		},
		"a name that does not resolve looks like failing code from outside": {
			[]Diagnosis{{Facts: old, Findings: []diagnosis.Finding{{Detector: "dns", Kind: diagnosis.KindDNS, Object: catalog, Score: 0.9, Sentence: "Its nameserver gives no answer"}}}}, telemetryOf(rca.KindCode, 0.5),
			[]string{"95 dns Its nameserver gives no answer | "},
		},
		"telemetry that shows another kind stands by itself": {
			[]Diagnosis{{Facts: old, Findings: []diagnosis.Finding{logged(0.6)}}}, telemetryOf(rca.KindCPU, 0.9),
			[]string{"90 cpu Deployment catalog in namespace shop is short of CPU: CPU use rose from 10 % to 95 % of the limit | kubectl kubebot why -n shop deployment/catalog",
				"60 code Container app logs an error again and again | kubectl -n shop logs deployment/catalog"},
		},
		"who blames a service comes after why that one fails": {
			[]Diagnosis{{Facts: old, Findings: []diagnosis.Finding{blamed}, Path: []string{"catalog"}},
				{Facts: old, Findings: []diagnosis.Finding{logged(0.75)}, Path: []string{"catalog", "cart"}}}, nil,
			[]string{"75 code Container app logs an error again and again | kubectl -n shop logs deployment/catalog", "36 dependency catalog calls cart | "},
		},
		"nor where only its other end could be read": {
			[]Diagnosis{{Facts: old, Findings: []diagnosis.Finding{blamed}, Path: []string{"catalog"}}}, telemetryOf(rca.KindCode, 0.98),
			[]string{"90 dependency catalog calls cart | ",
				"35 code Deployment catalog in namespace shop itself is slow or fails, in its own code or settings: CPU use rose from 10 % to 95 % of the limit | kubectl kubebot why -n shop deployment/catalog"},
		},
		"telemetry is no witness of a refusal that the program lives with": {
			[]Diagnosis{{Facts: old, Findings: []diagnosis.Finding{{Detector: "forbidden", Kind: diagnosis.KindConfig, Object: catalog, Score: 0.3, Sentence: "ServiceAccount catalog may not list pods"}}}}, telemetryOf(rca.KindCode, 0.8),
			[]string{"80 code Deployment catalog in namespace shop itself is slow or fails, in its own code or settings: CPU use rose from 10 % to 95 % of the limit | kubectl kubebot why -n shop deployment/catalog",
				"30 config ServiceAccount catalog may not list pods | "},
		},
		"telemetry is no witness of a rollout that went back": {
			[]Diagnosis{{Facts: back, Findings: []diagnosis.Finding{rollout()}}}, telemetryOf(rca.KindCode, 0.5),
			[]string{"50 code Deployment catalog in namespace shop itself is slow or fails, in its own code or settings: CPU use rose from 10 % to 95 % of the limit | kubectl kubebot why -n shop deployment/catalog",
				"30 config Revision 2 of Deployment catalog changed PRICE | kubectl -n shop rollout undo deployment/catalog --to-revision=1"},
		},
		"telemetry says little of who calls what is known to be broken": {
			[]Diagnosis{{Facts: old, Findings: []diagnosis.Finding{blamed}, Path: []string{"catalog"}},
				{Facts: &diagnosis.Facts{Now: noon, Subject: cart}, Findings: []diagnosis.Finding{{Detector: "service", Kind: diagnosis.KindConfig, Object: cart, Score: diagnosis.ScoreCertain, Sentence: "Service cart selects no pod"}},
					Path: []string{"catalog", "cart"}}}, telemetryOf(rca.KindCode, 0.98),
			[]string{"97 config Service cart selects no pod | ", "36 dependency catalog calls cart | ",
				"35 code Deployment catalog in namespace shop itself is slow or fails, in its own code or settings: CPU use rose from 10 % to 95 % of the limit | kubectl kubebot why -n shop deployment/catalog"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, cause := range told(asked, c.diagnoses, c.result, collect(nil)) {
				command := ""
				if cause.Fix != nil && len(cause.Fix.Commands) > 0 {
					command = cause.Fix.Commands[0]
				}
				got = append(got, fmt.Sprintf("%d %s %s | %s", cause.ScorePercent, cause.Kind, cause.Sentence, command))
			}
			assert.Equal(t, c.want, got)
		})
	}
}

func TestANodeIsTroubledByWhatWorkloadsUse(t *testing.T) {
	q := asked
	q.Subject = diagnosis.Object{APIVersion: "v1", Kind: "Node", Name: "node-a"}
	for kind, want := range map[rca.Kind]int32{rca.KindUnknown: 35, rca.KindCode: 35, rca.KindMemory: 94} {
		r := &rca.Result{Causes: []rca.Cause{{Workload: "catalog", Kind: kind, Score: 0.98, Evidence: []rca.Evidence{{Detector: "selftime", Text: "GET takes 1.0 ms by itself"}}}}}
		if got := told(q, nil, r, collect(nil)); len(got) != 1 || got[0].ScorePercent != want {
			t.Errorf("%s: got %+v, want one cause of %d %%", kind, got, want)
		}
	}
	workload := diagnosis.Object{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "shop", Name: "checkout"}
	diagnoses := []Diagnosis{
		{Facts: &diagnosis.Facts{Now: noon, Subject: q.Subject}, Findings: []diagnosis.Finding{
			{Detector: "node", Kind: diagnosis.KindMemory, Object: q.Subject, Score: diagnosis.ScoreStrong, Sentence: "Node node-a is short of memory"},
			{Detector: "disruption", Kind: diagnosis.KindConfig, Object: diagnosis.Object{Kind: "PodDisruptionBudget", Namespace: "shop", Name: "cart"}, Score: diagnosis.ScoreLikely, Sentence: "PodDisruptionBudget cart lets no pod go"}}},
		{Facts: &diagnosis.Facts{Now: noon, Subject: workload}, Findings: []diagnosis.Finding{
			{Detector: "certificate", Kind: diagnosis.KindCertificate, Object: workload, Score: diagnosis.ScoreCertain, Sentence: "A certificate that is presented to Deployment checkout has expired"},
			{Detector: "oom", Kind: diagnosis.KindMemory, Object: workload, Score: diagnosis.ScorePossible, Sentence: "Container checkout used more memory than its limit"}}},
	}
	var got []string
	for _, cause := range told(q, diagnoses, nil, collect(nil)) {
		got = append(got, cause.Sentence)
	}
	assert.Equal(t, []string{"Node node-a is short of memory", "PodDisruptionBudget cart lets no pod go", "Container checkout used more memory than its limit"}, got)
}
