package enrich

import (
	"context"
	"net/url"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/diagnosis"
	"github.com/kubebot/kubebot/internal/links"
)

func TestCausesLinkToWhereTheirEvidenceIsSeen(t *testing.T) {
	traced := []v1alpha1.CauseEvidence{{From: v1alpha1.EvidenceTraces, Text: "calls fail"}}
	dns := diagnosis.Object{APIVersion: "v1", Kind: "Service", Namespace: "kube-system", Name: "kube-dns"}
	jaeger := store{SourceJaeger, func(context.Context) (Telemetry, error) { return NewTelemetry(), nil }}
	a := &Analyst{Grafana: links.Grafana{URL: "https://grafana.example.com", Prefix: "k-"}, Sources: []Source{jaeger}}
	known := collect(nil)
	known.called = map[string]bool{"catalog-svc": true}
	for name, c := range map[string]struct {
		candidate candidate
		want      []string
	}{
		"a workload":                    {candidate{object: catalog, workload: "catalog", namespace: "shop", service: "catalog"}, []string{"/d/k-workload shop/catalog"}},
		"one that the call graph knows": {candidate{object: catalog, workload: "catalog", namespace: "shop", service: "catalog-svc"}, []string{"/d/k-workload shop/catalog", "/explore /"}},
		"what another namespace causes": {candidate{object: dns, workload: "catalog", namespace: "shop", evidence: traced}, []string{"/d/k-workload shop/catalog", "/explore /"}},
		"a service whose home is known": {candidate{object: catalog, workload: "catalog-svc", namespace: "shop", service: "catalog-svc", detector: fromTelemetryAlone}, []string{"/d/k-workload shop/catalog", "/explore /"}},
		"a service of telemetry alone":  {candidate{object: diagnosis.Object{Kind: "Service", Namespace: "shop", Name: "bank"}, service: "bank", detector: fromTelemetryAlone, evidence: traced}, []string{"/d/k-service /", "/explore /"}},
		"a node":                        {candidate{object: diagnosis.Object{APIVersion: "v1", Kind: "Node", Name: "n1"}, workload: "catalog", namespace: "shop", evidence: traced}, []string{"/d/k-node /"}},
	} {
		var got []string
		for _, l := range a.links(asked, c.candidate, known) {
			u, err := url.Parse(l.URL)
			require.NoError(t, err)
			got = append(got, u.Path+" "+u.Query().Get("var-namespace")+"/"+u.Query().Get("var-workload"))
		}
		assert.Equal(t, c.want, got, name)
	}
	closed := &Analyst{Sources: []Source{jaeger}}
	assert.Empty(t, closed.links(asked, candidate{object: catalog, workload: "catalog", namespace: "shop", evidence: traced}, known), "nobody can open Grafana")
}

func TestTheIncidentHoldsTheLinks(t *testing.T) {
	deployment := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "catalog"}, Spec: appsv1.DeploymentSpec{Replicas: new(int32(0))}}
	a := &Analyst{Kube: fake.NewClientset(deployment), Grafana: links.Grafana{URL: "https://grafana.example.com", Prefix: "k-"}}
	status := a.Analyse(t.Context(), asked).Status()
	require.NotEmpty(t, status.Causes)
	assert.Equal(t, []v1alpha1.CauseLink{{Title: "Dashboard", URL: "https://grafana.example.com/d/k-workload?from=1772364600000&to=1772370000000&var-namespace=shop&var-workload=catalog"}}, status.Causes[0].Links)
}
