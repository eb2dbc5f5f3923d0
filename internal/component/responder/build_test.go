package responder

import (
	"errors"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"sigs.k8s.io/yaml"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/pipeline/config"
)

func webhook(w v1alpha1.WebhookReceiver) v1alpha1.AlertingSpec {
	return v1alpha1.AlertingSpec{Receivers: []v1alpha1.Receiver{{Name: "a", Webhook: &w}}}
}

func TestBuildRefusesWhatTheSchemaCannot(t *testing.T) {
	for field, spec := range map[string]v1alpha1.AlertingSpec{
		"spec.alerting.severities[0].value":                    {Severities: []v1alpha1.SeverityMapping{{Value: "critical", Severity: v1alpha1.SeverityInfo}}},
		"spec.alerting.receivers[0].webhook.url":               webhook(v1alpha1.WebhookReceiver{URL: "https://user:pass@hooks.example.com"}),
		"spec.alerting.receivers[0].slack.apiURL":              {Receivers: []v1alpha1.Receiver{{Name: "a", Slack: &v1alpha1.SlackReceiver{APIURL: "https://x:y@slack.example.com/", TokenSecret: v1alpha1.SecretKeyRef{Name: "a", Key: "b"}}}}},
		"spec.alerting.receivers[0].webhook.urlSecret.name":    webhook(v1alpha1.WebhookReceiver{URLSecret: &v1alpha1.SecretKeyRef{Name: "../credentials", Key: "url"}}),
		"spec.alerting.receivers[0].webhook.signingSecret.key": webhook(v1alpha1.WebhookReceiver{URL: "https://hooks.example.com", SigningSecret: &v1alpha1.SecretKeyRef{Name: "a", Key: ".."}}),
		"spec.alerting.muteTimes[0].timeZone":                  {MuteTimes: []v1alpha1.MuteTime{{Name: "a", TimeZone: "Mars/Olympus"}}},
		"spec.alerting.digest.interval":                        {Digest: v1alpha1.DigestSpec{Interval: "30s"}},
		"spec.alerting.pushAfter":                              {PushAfter: "2h"},
		"spec.alerting.flapping.calm":                          {Flapping: v1alpha1.FlappingSpec{Calm: "2d"}},
		"spec.alerting.flapping.within":                        {Flapping: v1alpha1.FlappingSpec{Within: "1s"}},
		"spec.alerting.routes[0].escalation.after":             {Routes: []v1alpha1.Route{{Escalation: &v1alpha1.Escalation{After: "10s"}}}},
		"spec.alerting.responder.image":                        {Responder: v1alpha1.ResponderSpec{PodSettings: v1alpha1.PodSettings{Image: "a b"}}},
	} {
		t.Run(field, func(t *testing.T) {
			_, err := Component{}.Build(input(v1alpha1.KubeBotSpec{Alerting: spec}))
			var invalid *component.InvalidError
			if !errors.As(err, &invalid) || invalid.Field != field {
				t.Fatalf("Build: %v, want an InvalidError of %s", err, field)
			}
			if strings.Contains(err.Error(), "pass") && strings.Contains(err.Error(), "user:") {
				t.Errorf("the error repeats the password: %v", err)
			}
		})
	}
}

func built[T any](t *testing.T, spec v1alpha1.AlertingSpec) *T {
	t.Helper()
	objects, err := Component{}.Build(input(v1alpha1.KubeBotSpec{Alerting: spec}))
	if err != nil {
		t.Fatalf("Build: %v", err)
	}
	for _, o := range objects {
		if typed, ok := any(o).(*T); ok {
			return typed
		}
	}
	t.Fatalf("Build made no %T", new(T))
	return nil
}

func TestOnlyAnotherConfigurationRollsThePods(t *testing.T) {
	template := func(spec v1alpha1.AlertingSpec) corev1.PodTemplateSpec {
		return built[appsv1.Deployment](t, spec).Spec.Template
	}
	one := template(webhook(v1alpha1.WebhookReceiver{URL: "https://one.example.com"}))
	if other := template(webhook(v1alpha1.WebhookReceiver{URL: "https://other.example.com"})); equality.Semantic.DeepEqual(one, other) {
		t.Error("another webhook leaves the pods as they are")
	}
	sized := webhook(v1alpha1.WebhookReceiver{URL: "https://one.example.com"})
	sized.Responder.Replicas = new(int32(5))
	if other := template(sized); !equality.Semantic.DeepEqual(one, other) {
		t.Error("the number of replicas changes the pods")
	}
}

func TestTheResponderReadsWhatTheManagerWrites(t *testing.T) {
	spec := webhook(v1alpha1.WebhookReceiver{URLSecret: &v1alpha1.SecretKeyRef{Name: "hook", Key: "url"}})
	var read config.Config
	if err := yaml.UnmarshalStrict([]byte(built[corev1.ConfigMap](t, spec).Data["responder.yaml"]), &read); err != nil {
		t.Fatalf("parse the configuration: %v", err)
	}
	if read.KubeBot != "main" || read.Namespace != "kubebot" || read.ClusterName != "test" {
		t.Errorf("the configuration is of %s/%s in %s", read.Namespace, read.KubeBot, read.ClusterName)
	}
	want := config.SecretFile(*read.Receivers[0].Webhook.URLSecret)
	for _, m := range built[appsv1.Deployment](t, spec).Spec.Template.Spec.Containers[0].VolumeMounts {
		if strings.HasPrefix(want, m.MountPath+"/") {
			return
		}
	}
	t.Errorf("no volume is mounted where the responder looks for %s", want)
}
