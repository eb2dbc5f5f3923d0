package archive

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/testutil/golden"
)

func input(change func(*v1alpha1.KubeBotSpec)) component.Input {
	kb := &v1alpha1.KubeBot{ObjectMeta: metav1.ObjectMeta{Name: "main", Namespace: "kubebot"}}
	if change != nil {
		change(&kb.Spec)
	}
	return golden.Input(kb)
}

func live(available int32) []client.Object {
	return []client.Object{&appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Name: "main-archive"}, Spec: appsv1.StatefulSetSpec{Replicas: new(int32(1))},
		Status: appsv1.StatefulSetStatus{UpdatedReplicas: 1, AvailableReplicas: available},
	}}
}

func answer(label string, values ...string) component.Answer {
	var samples []string
	for _, v := range values {
		samples = append(samples, fmt.Sprintf(`{"metric":{%q:%q},"value":[1,"1"]}`, label, v))
	}
	return component.Answer{Status: 200, Body: []byte(`{"data":{"resultType":"vector","result":[` + strings.Join(samples, ",") + `]}}`)}
}

func TestHealth(t *testing.T) {
	none := answer("")
	answers := func(refusing, failing component.Answer) map[string]component.Answer {
		return map[string]component.Answer{keyRefusing: refusing, keyFailing: failing, keySilent: none}
	}
	silent := map[string]component.Answer{keyRefusing: none, keyFailing: none, keySilent: answer("item", "log_records", "spans")}
	for name, c := range map[string]struct {
		change func(*v1alpha1.KubeBotSpec)
		seen   component.Observed
		status metav1.ConditionStatus
		reason string
		part   string
	}{
		"switched off":          {func(s *v1alpha1.KubeBotSpec) { s.Analysis.Archive.Mode = "Disabled" }, component.Observed{}, metav1.ConditionFalse, v1alpha1.ReasonDisabled, "archive.mode"},
		"not there yet":         {nil, component.Observed{Objects: live(0)}, metav1.ConditionFalse, v1alpha1.ReasonProgressing, "0 of 1 pods"},
		"all is taken":          {nil, component.Observed{Objects: live(1), Answers: answers(none, none)}, metav1.ConditionTrue, v1alpha1.ReasonReady, "takes what it is sent"},
		"the disk is full":      {nil, component.Observed{Objects: live(1), Answers: answers(answer("receiver", "otlp"), none)}, metav1.ConditionFalse, v1alpha1.ReasonNotAnswering, "refuses what it is sent (otlp)"},
		"the bucket refuses":    {nil, component.Observed{Objects: live(1), Answers: answers(none, answer("exporter", "awss3/logs"))}, metav1.ConditionFalse, v1alpha1.ReasonNotAnswering, "can't write (awss3/logs)"},
		"nothing arrives":       {nil, component.Observed{Objects: live(1), Answers: silent}, metav1.ConditionFalse, v1alpha1.ReasonNotAnswering, "got no log records, no spans for"},
		"Prometheus is silent":  {nil, component.Observed{Objects: live(1)}, metav1.ConditionFalse, v1alpha1.ReasonNotAnswering, "unknown, because Prometheus"},
		"no Prometheus of ours": {func(s *v1alpha1.KubeBotSpec) { s.Metrics.Prometheus.Mode = v1alpha1.ModeDisabled }, component.Observed{Objects: live(1)}, metav1.ConditionTrue, v1alpha1.ReasonReady, "runs"},
	} {
		t.Run(name, func(t *testing.T) {
			got := Component{}.Health(input(c.change), c.seen)
			if got.Status != c.status || got.Reason != c.reason || !strings.Contains(got.Message, c.part) {
				t.Errorf("Health = %s %s %q, want %s %s and a message with %q", got.Status, got.Reason, got.Message, c.status, c.reason, c.part)
			}
		})
	}
}

func TestStorageIsEphemeralOnlyInAnEmptyDir(t *testing.T) {
	if extra := (Component{}).Health(input(nil), component.Observed{}).Extra; len(extra) != 1 || extra[0].Type != v1alpha1.ConditionStorageEphemeral {
		t.Errorf("with an emptyDir: %v", extra)
	}
	bucket := func(s *v1alpha1.KubeBotSpec) {
		s.Analysis.Archive.ObjectStorage = &v1alpha1.ObjectStorage{Bucket: "telemetry"}
	}
	if extra := (Component{}).Health(input(bucket), component.Observed{}).Extra; len(extra) != 0 {
		t.Errorf("with a bucket: %v", extra)
	}
}

func TestBuildRefusesANameThatNoSecretCanHave(t *testing.T) {
	_, err := Component{}.Build(input(func(s *v1alpha1.KubeBotSpec) {
		s.Analysis.Archive.ObjectStorage = &v1alpha1.ObjectStorage{
			Bucket: "telemetry", AccessKeySecret: &v1alpha1.SecretKeyRef{Name: "Minio", Key: "a"}, SecretKeySecret: &v1alpha1.SecretKeyRef{Name: "minio", Key: "b"},
		}
	}))
	var invalid *component.InvalidError
	if !errors.As(err, &invalid) || invalid.Field != "spec.analysis.archive.objectStorage.accessKeySecret.name" {
		t.Errorf("Build: %v", err)
	}
}

func TestFilesFitIntoTheVolume(t *testing.T) {
	const room = int64(4) << 30
	used := int64(0)
	for _, e := range newConfig(input(nil), room).Exporters {
		r := e.(fileExporter).Rotation
		used += r.MaxMegabytes << 20 * int64(r.MaxBackups+1)
	}
	if used > room || used < room/2 {
		t.Errorf("the files take up to %d of %d bytes", used, room)
	}
}
