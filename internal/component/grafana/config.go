package grafana

import (
	"fmt"
	"net/url"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/component/grafana/dashboards"
	"github.com/kubebot/kubebot/internal/credentials"
	"github.com/kubebot/kubebot/internal/dashboards/config"
	"github.com/kubebot/kubebot/internal/endpoints"
	"github.com/kubebot/kubebot/internal/naming"
)

// check refuses what the CRD's schema can't.
func check(d v1alpha1.DashboardsSpec) error {
	for i, e := range d.Extra {
		if len(validation.IsDNS1123Subdomain(e.ConfigMap.Name)) > 0 {
			return &component.InvalidError{
				Field:   fmt.Sprintf("spec.dashboards.extra[%d].configMap.name", i),
				Message: fmt.Sprintf("%q can't be the name of a ConfigMap: use lower-case letters, digits, - and .", e.ConfigMap.Name),
			}
		}
		if len(validation.IsConfigMapKey(e.ConfigMap.Key)) > 0 {
			return &component.InvalidError{
				Field:   fmt.Sprintf("spec.dashboards.extra[%d].configMap.key", i),
				Message: fmt.Sprintf("%q can't be a key of a ConfigMap: use letters, digits, -, _ and . (not .. at the beginning)", e.ConfigMap.Key),
			}
		}
	}
	g := d.Grafana
	if g.PublicURL != "" {
		if err := component.CheckURL(field+".publicURL", g.PublicURL, "let people sign in"); err != nil {
			return err
		}
	}
	if g.Mode != v1alpha1.ModeExternal || g.External == nil {
		return nil
	}
	if err := component.CheckURL(field+".external.url", g.External.URL, "use tokenSecret or basicAuth"); err != nil {
		return err
	}
	if g.External.TokenSecret != nil {
		return component.CheckSecret(field+".external.tokenSecret", *g.External.TokenSecret)
	}
	if g.External.BasicAuth == nil {
		return nil // the CRD asks for one of both
	}
	if err := component.CheckSecret(field+".external.basicAuth.usernameSecret", g.External.BasicAuth.UsernameSecret); err != nil {
		return err
	}
	return component.CheckSecret(field+".external.basicAuth.passwordSecret", g.External.BasicAuth.PasswordSecret)
}

// newConfig is what the keeper is told.
func newConfig(in component.Input) (config.Config, error) {
	kb := in.KubeBot
	prefix, err := prefix(in)
	if err != nil {
		return config.Config{}, err
	}
	interval, err := component.Duration("spec.metrics.prometheus.scrapeInterval", kb.Spec.Metrics.Prometheus.ScrapeInterval, v1alpha1.DefaultScrapeInterval)
	if err != nil {
		return config.Config{}, err
	}
	c := config.Config{
		URL: fmt.Sprintf("http://localhost:%d", endpoints.GrafanaPort), Prefix: prefix, ClusterName: in.ClusterName,
		ScrapeInterval: interval.String(), Own: managed(kb),
		Stores: config.Stores{
			Prometheus: endpoints.Prometheus(kb), Alertmanager: endpoints.Alertmanager(kb), Loki: endpoints.Loki(kb), Jaeger: endpoints.Jaeger(kb),
		},
	}
	if external := kb.Spec.Logs.Loki.External; kb.Spec.Logs.Loki.Mode == v1alpha1.ModeExternal && external != nil {
		c.Stores.LokiTenant = external.Tenant
	}
	if c.Own {
		c.User, c.Secrets.Password = adminUser, &config.Ref{Name: naming.Object(kb, credentials.SecretSuffix), Key: credentials.KeyGrafanaPassword}
		if base := publicPath(kb); base != "" {
			c.URL += base
		}
	} else if external := kb.Spec.Dashboards.Grafana.External; external != nil {
		c.URL = external.URL
		c.Secrets.Token = ref(external.TokenSecret)
		if b := external.BasicAuth; b != nil {
			c.Secrets.User, c.Secrets.Password = ref(&b.UsernameSecret), ref(&b.PasswordSecret)
		}
	}
	for _, e := range kb.Spec.Dashboards.Extra {
		c.Extra = append(c.Extra, config.Extra{Name: e.Name, ConfigMap: config.Ref{Name: e.ConfigMap.Name, Key: e.ConfigMap.Key}})
	}
	return c, nil
}

func ref(r *v1alpha1.SecretKeyRef) *config.Ref {
	if r == nil {
		return nil
	}
	return &config.Ref{Name: r.Name, Key: r.Key}
}

// prefix of the UIDs: several KubeBots, of several clusters, may share one Grafana.
func prefix(in component.Input) (string, error) {
	return naming.DashboardPrefix(in.Cluster.UID, in.KubeBot)
}

// HomeURL is the address of the home dashboard as people open it: under spec.dashboards.grafana.publicURL, else that of
// an outside Grafana, else inside the cluster. It is empty when Grafana is switched off.
func HomeURL(in component.Input) (string, error) {
	base := in.KubeBot.Spec.Dashboards.Grafana.PublicURL
	if address := endpoints.Grafana(in.KubeBot); address == "" {
		return "", nil
	} else if base == "" {
		base = address
	}
	p, err := prefix(in)
	if err != nil {
		return "", err
	}
	return strings.TrimSuffix(base, "/") + "/d/" + p + dashboards.Home, nil
}

// publicPath is the path of publicURL, without a slash at its end: Grafana serves under it.
func publicPath(kb *v1alpha1.KubeBot) string {
	u, err := url.Parse(kb.Spec.Dashboards.Grafana.PublicURL)
	if err != nil {
		return "" // check refuses it before
	}
	return strings.TrimSuffix(u.Path, "/")
}
