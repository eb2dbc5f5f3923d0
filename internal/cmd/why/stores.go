package why

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/diagnosis"
	"github.com/kubebot/kubebot/internal/endpoints"
	"github.com/kubebot/kubebot/internal/enrich"
	"github.com/kubebot/kubebot/internal/enrich/jaeger"
	"github.com/kubebot/kubebot/internal/enrich/loki"
	"github.com/kubebot/kubebot/internal/enrich/prometheus"
	"github.com/kubebot/kubebot/internal/rca"
	"github.com/kubebot/kubebot/internal/rca/detectors"
	"github.com/kubebot/kubebot/internal/rca/weights"
)

// analyst makes what answers. Stores of telemetry are read only where the question has a time of alarm: without one,
// nothing says what is normal.
func analyst(ctx context.Context, o Options, q enrich.Question) (*enrich.Analyst, []diagnosis.Unread, error) {
	a := &enrich.Analyst{SourceTime: o.Timeout * 4 / 5}
	if !q.Troubled {
		return a, nil, nil
	}
	model, err := weights.Default()
	if err != nil {
		return nil, nil, err
	}
	if a.Engine, err = rca.NewEngine(detectors.All(), model); err != nil {
		return nil, nil, fmt.Errorf("make engine: %w", err)
	}
	found, unread, err := locate(ctx, o)
	if err != nil {
		return nil, nil, err
	}
	a.Sources = found
	return a, unread, nil
}

// locate finds the stores: those of the flags, else those of the cluster's KubeBot, through the API server's proxy.
func locate(ctx context.Context, o Options) ([]enrich.Source, []diagnosis.Unread, error) {
	direct := &http.Client{Timeout: o.Timeout}
	proxied, err := rest.HTTPClientFor(o.Config)
	if err != nil {
		return nil, nil, fmt.Errorf("make client: %w", err)
	}
	addresses, tenant := [3]string{o.Prometheus, o.Loki, o.Jaeger}, o.LokiTenant
	if addresses == [3]string{} {
		kb, err := kubebot(ctx, o)
		if err != nil {
			return nil, []diagnosis.Unread{{Kind: "Telemetry", Reason: err.Error()}}, nil
		}
		addresses = [3]string{endpoints.Prometheus(kb), endpoints.Loki(kb), endpoints.Jaeger(kb)}
		if x := kb.Spec.Logs.Loki.External; x != nil && tenant == "" {
			tenant = x.Tenant
		}
	}
	var out []enrich.Source
	for i, address := range addresses {
		if address == "" {
			continue
		}
		calls, base := direct, address
		if p, ok := throughProxy(o.Config.Host, address); ok {
			calls, base = proxied, p
		}
		switch i {
		case 0:
			out = append(out, prometheus.Source{Store: enrich.Store{URL: base, HTTP: calls}})
		case 1:
			out = append(out, loki.New(base, calls, tenant))
		default:
			out = append(out, jaeger.Source{Store: enrich.Store{URL: base, HTTP: calls}})
		}
	}
	return out, nil, nil
}

// kubebot returns the KubeBot of the cluster: the oldest.
func kubebot(ctx context.Context, o Options) (*v1alpha1.KubeBot, error) {
	c, err := incidents(o.Config)
	if err != nil {
		return nil, err
	}
	var all v1alpha1.KubeBotList
	switch err := list(ctx, c, o.Home, &all); {
	case apierrors.IsForbidden(err):
		return nil, errors.New("you may not see which KubeBot there is; name the stores by --prometheus, --loki and --jaeger")
	case err != nil, len(all.Items) == 0:
		return nil, errors.New("there is no KubeBot in the cluster; name the stores by --prometheus, --loki and --jaeger")
	}
	kb := slices.MinFunc(all.Items, older)
	return &kb, nil
}

func older(a, b v1alpha1.KubeBot) int { return a.CreationTimestamp.Compare(b.CreationTimestamp.Time) }

// throughProxy returns the address of a Service of the cluster (http://name.namespace.svc:port) by the API server's
// service proxy; false for an address elsewhere.
func throughProxy(host, address string) (string, bool) {
	u, err := url.Parse(address)
	if err != nil {
		return "", false
	}
	parts := strings.Split(u.Hostname(), ".")
	if len(parts) < 3 || parts[2] != "svc" {
		return "", false
	}
	if !strings.Contains(host, "://") {
		host = "https://" + host
	}
	return fmt.Sprintf("%s/api/v1/namespaces/%s/services/%s:%s:%s/proxy%s", strings.TrimSuffix(host, "/"), parts[1], u.Scheme, parts[0], u.Port(), u.Path), true
}

// save writes what the engine saw to a file that `kubebot rca --snapshot` replays. Where a person judged the cause, it is
// an example that `kubebot train` reads.
func save(file string, a enrich.Answer, inc *v1alpha1.Incident) error {
	if a.Snapshot == nil {
		return errors.New("save the snapshot: there was no telemetry; ask about an Incident, or give --since")
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("save the snapshot: %w", err)
	}
	if e, ok := a.Example(inc); ok {
		err = e.Write(f)
	} else {
		err = a.Snapshot.Write(f)
	}
	if closeErr := f.Close(); err == nil && closeErr != nil {
		err = fmt.Errorf("save the snapshot: %w", closeErr)
	}
	return err
}
