//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/cmd/rca"
	"github.com/kubebot/kubebot/internal/cmd/why"
	"github.com/kubebot/kubebot/internal/diagnosis"
	"github.com/kubebot/kubebot/internal/endpoints"
	"github.com/kubebot/kubebot/internal/learn/store"
	"github.com/kubebot/kubebot/internal/rca/weights"
	"github.com/kubebot/kubebot/test/stack"
)

// explainedIncident returns the newest Incident about the catalog that names a cause.
func explainedIncident(ctx context.Context) (*v1alpha1.Incident, error) {
	all, err := cluster.Incidents(ctx)
	if err != nil {
		return nil, err
	}
	var newest *v1alpha1.Incident
	for i := range all {
		s := all[i].Spec.Subject
		if s.Namespace == stack.ShopNamespace && s.Name == "catalog" && (newest == nil || newest.CreationTimestamp.Before(&all[i].CreationTimestamp)) {
			newest = &all[i]
		}
	}
	if newest == nil || len(newest.Status.Causes) == 0 {
		return nil, fmt.Errorf("no Incident about the catalog has causes")
	}
	return newest, nil
}

// TestBadRolloutIsExplainedByTheRollout looks at what TestBadRolloutIsOneMessageThatIsUpdatedWhenItIsOver left: the first
// bad rollout of the run, told and analysed while it lasted.
func TestBadRolloutIsExplainedByTheRollout(t *testing.T) {
	ctx := contextOf(t, time.Minute)
	inc, err := explainedIncident(ctx)
	must(t, err)
	first := inc.Status.Causes[0]
	if first.Kind != "config" || first.Object.Kind != "Deployment" || first.Object.Name != "catalog" || !strings.Contains(first.Sentence, "PRICE_FORMAT") {
		t.Errorf("want the changed setting of Deployment catalog, have %+v", first)
	}
	if first.Fix == nil || len(first.Fix.Commands) == 0 || !strings.Contains(first.Fix.Commands[0], "rollout undo deployment/catalog") {
		t.Errorf("want the rollback as the fix, have %+v", first.Fix)
	}
	if len(first.Evidence) == 0 || inc.Status.Analysis == nil || inc.Status.Analysis.State != v1alpha1.AnalysisCauseFound {
		t.Errorf("want evidence and an analysis that found it, have %+v and %+v", first.Evidence, inc.Status.Analysis)
	}
	heads, err := headsAbout(ctx, "shop/catalog")
	must(t, err)
	if len(heads) == 0 || !strings.Contains(heads[0].String(), "Likely cause (") || !strings.Contains(heads[0].String(), "rollout undo deployment/catalog") {
		t.Errorf("want the message to name cause and rollback, have %v", heads)
	}
}

// TestIncidentIsReplayedAndJudged asks about the same Incident again, saves what the engine sees, replays it, and judges
// the cause as a person would.
func TestIncidentIsReplayedAndJudged(t *testing.T) {
	ctx := contextOf(t, 4*time.Minute)
	inc, err := explainedIncident(ctx)
	must(t, err)
	if _, err := cluster.Kubectl(ctx, "-n", inc.Namespace, "patch", "incident", inc.Name, "--type=merge", "-p", `{"spec":{"cause":{"confirm":9}}}`); err == nil {
		t.Error("a place that no cause has is not refused")
	}
	if _, err := cluster.Kubectl(ctx, "-n", inc.Namespace, "patch", "incident", inc.Name, "--type=merge", "-p", `{"spec":{"cause":{"confirm":1,"by":"e2e"}}}`); err != nil {
		t.Errorf("confirm the cause: %v", err)
	}
	file := filepath.Join(t.TempDir(), "incident.json")
	var out bytes.Buffer
	must(t, why.Run(ctx, why.Options{Config: cluster.Config, Object: diagnosis.Object{Kind: "Incident", Namespace: inc.Namespace, Name: inc.Name},
		Output: "json", Timeout: 30 * time.Second, Save: file, Out: &out}))
	data, err := os.ReadFile(file)
	must(t, err)
	var example struct{ Workload, Kind string }
	must(t, json.Unmarshal(data, &example))
	if example.Workload != "catalog" || example.Kind != "config" {
		t.Errorf("want the confirmed cause beside the snapshot, have %+v", example)
	}
	out.Reset()
	must(t, rca.Run(ctx, rca.Options{Snapshot: file, Out: &out}))
	if !strings.Contains(out.String(), "Alarm at") {
		t.Errorf("the snapshot is not replayed: %s", out.String())
	}
}

// TestTrainingReadsWhatPeopleJudged does not wait for the night. The judged cause is known from a rollout, which the stores
// of telemetry do not show: it is read, it says that what they rank first is wrong, and it is far from enough to adopt anything.
func TestTrainingReadsWhatPeopleJudged(t *testing.T) {
	ctx := contextOf(t, 4*time.Minute)
	inc, err := explainedIncident(ctx)
	must(t, err)
	_, err = cluster.Kubectl(ctx, "-n", stack.Namespace, "create", "job", "--from=cronjob/main-training", "train-now")
	must(t, err)
	t.Cleanup(func() {
		_, err := cluster.Kubectl(context.Background(), "-n", stack.Namespace, "delete", "job", "train-now")
		must(t, err)
	})
	must(t, stack.Eventually(ctx, 3*time.Minute, time.Second, func(ctx context.Context) error {
		kb, err := cluster.KubeBot(ctx, "main")
		if err != nil {
			return err
		}
		if kb.Status.Analysis == nil || kb.Status.Analysis.LastTraining == nil {
			return errors.New("the status tells of no training")
		}
		last := kb.Status.Analysis.LastTraining
		if last.Judged != 1 || last.Usable != 1 || last.Adopted || !strings.Contains(last.Message, "judged incidents") || kb.Status.Analysis.Weights != weights.BuiltIn {
			t.Errorf("want one judged incident and the built-in weights, have %s by %+v", kb.Status.Analysis.Weights, last)
		}
		return nil
	}))
	// Only an Incident of which a store holds telemetry is kept there.
	kept, err := cluster.Kubectl(ctx, "-n", stack.Namespace, "get", "configmap", endpoints.ExamplesConfigMap, "-o", "jsonpath={.binaryData}")
	must(t, err)
	if !strings.Contains(kept, inc.Name+".json.gz") {
		t.Errorf("the training did not find the telemetry of %s: %.200s", inc.Name, kept)
	}
}

// TestWhatPeopleTeachIsLearned judges an Incident as two people would; both are in what KubeBot has learned.
func TestWhatPeopleTeachIsLearned(t *testing.T) {
	ctx := contextOf(t, 10*time.Minute)
	inc, err := explainedIncident(ctx)
	must(t, err)
	var said []string
	for _, by := range []string{"ann", "ben"} {
		said = append(said, fmt.Sprintf(`{"verdict":"Mattered","by":%q,"at":%q}`, by, time.Now().UTC().Format(time.RFC3339)))
		patch := `{"spec":{"feedback":[` + strings.Join(said, ",") + `]}}`
		_, err := cluster.Kubectl(ctx, "-n", inc.Namespace, "patch", "incident", inc.Name, "--type=merge", "-p", patch)
		must(t, err)
		must(t, stack.Eventually(ctx, 4*time.Minute, time.Second, func(ctx context.Context) error {
			out, err := cluster.Kubectl(ctx, "-n", stack.Namespace, "get", "configmap", store.Name, "-o", `jsonpath={.data.main\.json}`)
			if err == nil && !strings.Contains(out, `"`+by+`"`) {
				err = fmt.Errorf("what %s said is not learned: %s", by, out)
			}
			return err
		}))
	}
}
