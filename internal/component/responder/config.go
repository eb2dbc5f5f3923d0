package responder

import (
	"cmp"
	"fmt"
	"slices"
	"time"
	_ "time/tzdata" // Mute times need time zones, and the image has none.

	"sigs.k8s.io/yaml"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/alert"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/component/pods"
	"github.com/kubebot/kubebot/internal/component/proof"
	"github.com/kubebot/kubebot/internal/component/receivers"
	"github.com/kubebot/kubebot/internal/document"
	"github.com/kubebot/kubebot/internal/endpoints"
	"github.com/kubebot/kubebot/internal/naming"
	"github.com/kubebot/kubebot/internal/pipeline/config"
)

const alertingField = "spec.alerting"

// newConfig checks what the CRD's schema can't and returns the responder's configuration.
func newConfig(in component.Input) (config.Config, error) {
	kb, a := in.KubeBot, in.KubeBot.Spec.Alerting
	for _, check := range []func(v1alpha1.AlertingSpec) error{checkSeverities, checkReceivers, checkSecrets, checkMuteTimes} {
		if err := check(a); err != nil {
			return config.Config{}, err
		}
	}
	every, err := digestEvery(a)
	if err != nil {
		return config.Config{}, err
	}
	after, err := pushAfterOf(a)
	if err != nil {
		return config.Config{}, err
	}
	flapping, err := flappingOf(a)
	if err != nil {
		return config.Config{}, err
	}
	if err := checkEscalations(a); err != nil {
		return config.Config{}, err
	}
	prefix, public := "", kb.Spec.Dashboards.Grafana.PublicURL
	if public != "" {
		if prefix, err = naming.DashboardPrefix(in.Cluster.UID, kb); err != nil {
			return config.Config{}, err
		}
	}
	return config.Config{
		KubeBot:          kb.Name,
		Namespace:        kb.Namespace,
		UID:              string(kb.UID),
		ServiceAccount:   pods.ServiceAccount(in, name),
		TeamSecretRole:   in.Install.ServiceAccountPrefix + "-team-secret",
		ClusterName:      in.ClusterName,
		PrometheusURL:    endpoints.Prometheus(kb),
		AlertmanagerURL:  endpoints.Alertmanager(kb),
		LokiURL:          endpoints.Loki(kb),
		LokiTenant:       lokiTenant(kb),
		JaegerURL:        endpoints.Jaeger(kb),
		RootCause:        kb.Spec.Analysis.RootCause,
		Learning:         kb.Spec.Analysis.Learning,
		Severities:       a.Severities,
		Receivers:        a.Receivers,
		Routes:           a.Routes,
		MuteTimes:        a.MuteTimes,
		DisabledAlerts:   disabledAlerts(a),
		DigestSeconds:    int64(every / time.Second),
		StormAbove:       stormAbove(a),
		PushAfterSeconds: int64(after / time.Second),
		Flapping:         flapping,
		QuietStart:       cmp.Or(a.QuietStart, v1alpha1.SwitchEnabled),
		Heartbeat:        a.Heartbeat,
		GrafanaURL:       public,
		DashboardPrefix:  prefix,
		Proof:            proof.Config(kb),
	}, nil
}

// disabledAlerts are those of the watch alone, so that the name of a rule does not restart the responder.
func disabledAlerts(a v1alpha1.AlertingSpec) []string {
	return slices.DeleteFunc(alert.Watched(), func(name string) bool { return !slices.Contains(a.DefaultRules.Disabled, name) })
}

func lokiTenant(kb *v1alpha1.KubeBot) string {
	if x := kb.Spec.Logs.Loki.External; x != nil {
		return x.Tenant
	}
	return ""
}

// checkSeverities refuses to give KubeBot's own severities another meaning: a rule that says critical must stay so.
func checkSeverities(a v1alpha1.AlertingSpec) error {
	for i, m := range a.Severities {
		own := v1alpha1.Severity(m.Value)
		if own == v1alpha1.SeverityCritical || own == v1alpha1.SeverityWarning || own == v1alpha1.SeverityInfo {
			return &component.InvalidError{
				Field:   fmt.Sprintf("%s.severities[%d].value", alertingField, i),
				Message: fmt.Sprintf("%q has its meaning already: map only values that are not critical, warning or info", m.Value),
			}
		}
	}
	return nil
}

// checkReceivers refuses URLs that hold a password, as the configuration is a ConfigMap, and templates that can't work.
func checkReceivers(a v1alpha1.AlertingSpec) error {
	for i, r := range a.Receivers {
		path := fmt.Sprintf("%s.receivers[%d]", alertingField, i)
		for _, u := range plainURLs(r) {
			if err := component.CheckURL(path+u.field, u.value, u.instead); err != nil {
				return err
			}
		}
		if r.Webhook != nil && r.Webhook.BodyTemplate != "" {
			if _, err := document.ParseTemplate(r.Webhook.BodyTemplate); err != nil {
				return &component.InvalidError{Field: path + ".webhook.bodyTemplate",
					Message: err.Error() + ": correct the template; docs/receivers.md lists the fields"}
			}
		}
	}
	if h := a.Heartbeat; h != nil && h.URL != "" {
		return component.CheckURL(alertingField+".heartbeat.url", h.URL, "put the whole URL into a Secret and name it in urlSecret")
	}
	return nil
}

// plainURL is a URL that is in the spec.
type plainURL struct{ field, value, instead string }

// plainURLs are those of a receiver.
func plainURLs(r v1alpha1.Receiver) []plainURL {
	var list []plainURL
	add := func(field, value, instead string) {
		if value != "" {
			list = append(list, plainURL{field, value, instead})
		}
	}
	if r.Slack != nil {
		add(".slack.apiURL", r.Slack.APIURL, "give the token in tokenSecret")
	}
	if r.Webhook != nil {
		add(".webhook.url", r.Webhook.URL, "put the whole URL into a Secret and name it in urlSecret")
	}
	if r.PagerDuty != nil {
		add(".pagerDuty.apiURL", r.PagerDuty.APIURL, "give the key in routingKeySecret")
	}
	if r.OpsGenie != nil {
		add(".opsGenie.apiURL", r.OpsGenie.APIURL, "give the key in apiKeySecret")
	}
	return list
}

// secretRefs are the references of receivers and heartbeat.
func secretRefs(a v1alpha1.AlertingSpec) []receivers.Ref {
	refs := receivers.Refs(a.Receivers)
	if h := a.Heartbeat; h != nil {
		if h.URLSecret != nil {
			refs = append(refs, receivers.Ref{Path: alertingField + ".heartbeat.urlSecret", SecretKeyRef: *h.URLSecret})
		}
		if h.CASecret != nil {
			refs = append(refs, receivers.Ref{Path: alertingField + ".heartbeat.caSecret", SecretKeyRef: *h.CASecret})
		}
	}
	return refs
}

func checkMuteTimes(a v1alpha1.AlertingSpec) error {
	for i, m := range a.MuteTimes {
		if _, err := time.LoadLocation(m.TimeZone); err != nil || m.TimeZone == "Local" {
			return &component.InvalidError{
				Field:   fmt.Sprintf("%s.muteTimes[%d].timeZone", alertingField, i),
				Message: fmt.Sprintf("%q is no time zone: give a name of IANA's data base, such as Europe/Berlin, or leave it out for UTC", m.TimeZone),
			}
		}
	}
	return nil
}

func checkSecrets(a v1alpha1.AlertingSpec) error {
	for _, ref := range secretRefs(a) {
		if err := ref.Check(); err != nil {
			return err
		}
	}
	return nil
}

func marshal(c config.Config) (string, error) {
	data, err := yaml.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("marshal the configuration of the responder: %w", err)
	}
	return string(data), nil
}
