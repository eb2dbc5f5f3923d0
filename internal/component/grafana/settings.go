package grafana

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/dashboards/config"
	"github.com/kubebot/kubebot/internal/endpoints"
)

// setting is a key of a section of Grafana's configuration
// (https://grafana.com/docs/grafana/latest/setup-grafana/configure-grafana/).
type setting struct {
	section, key string
	value        any
}

// settings of a managed Grafana. It calls nobody outside: no reports, no look for updates, no pictures of people, no
// plugins that are fetched at its start; those that the image brings are there all the same.
func settings(kb *v1alpha1.KubeBot) []setting {
	all := []setting{
		{"server", "http_port", endpoints.GrafanaPort},
		{"paths", "data", dataDir},
		{"paths", "logs", path.Join(dataDir, "log")},
		{"paths", "plugins", path.Join(dataDir, "plugins")},
		{"log", "mode", "console"},
		{"log.console", "format", "json"},
		{"log", "level", "warn"},
		{"analytics", "reporting_enabled", false},
		{"analytics", "check_for_updates", false},
		{"analytics", "check_for_plugin_updates", false},
		{"analytics", "feedback_links_enabled", false},
		{"news", "news_feed_enabled", false},
		{"plugins", "preinstall_disabled", true},
		{"plugins", "public_key_retrieval_disabled", true},
		{"snapshots", "external_enabled", false},
		{"security", "admin_user", adminUser},
		{"security", "admin_password", "$__file{" + path.Join(secretDir, config.PasswordFile) + "}"},
		{"security", "disable_gravatar", true},
		{"users", "allow_sign_up", false},
		{"auth.anonymous", "enabled", false},
		{"metrics", "enabled", true},
	}
	if public := kb.Spec.Dashboards.Grafana.PublicURL; public != "" {
		all = append(all, setting{"server", "root_url", strings.TrimSuffix(public, "/") + "/"})
		if publicPath(kb) != "" {
			all = append(all, setting{"server", "serve_from_sub_path", true})
		}
	}
	return all
}

// environment writes settings as Grafana reads them from its environment: GF_<SECTION>_<KEY>.
func environment(all []setting) []corev1.EnvVar {
	var env []corev1.EnvVar
	for _, s := range all {
		name := "GF_" + strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(s.section)+"_"+s.key)
		env = append(env, corev1.EnvVar{Name: name, Value: text(s.value)})
	}
	slices.SortFunc(env, func(a, b corev1.EnvVar) int { return strings.Compare(a.Name, b.Name) })
	return env
}

func text(value any) string {
	switch v := value.(type) {
	case bool:
		return strconv.FormatBool(v)
	case int:
		return strconv.Itoa(v)
	}
	// $$ is how Kubernetes writes a $ that begins no variable of its own.
	return strings.ReplaceAll(fmt.Sprint(value), "$", "$$")
}
