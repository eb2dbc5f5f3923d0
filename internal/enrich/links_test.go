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
	"github.com/kubebot/kubebot/internal/diagnosis/certificate"
	"github.com/kubebot/kubebot/internal/links"
	"github.com/kubebot/kubebot/internal/rca"
)

func TestCausesLinkToWhereTheirEvidenceIsSeen(t *testing.T) {
	traced := []v1alpha1.CauseEvidence{{From: v1alpha1.EvidenceTraces, Text: "calls fail"}}
	dns := diagnosis.Object{APIVersion: "v1", Kind: "Service", Namespace: "kube-system", Name: "kube-dns"}
	bank := diagnosis.Object{APIVersion: "v1", Kind: "Service", Namespace: "shop", Name: "bank"}
	outside := diagnosis.Object{Kind: "Service", Namespace: "shop", Name: "bank"}
	nowhere := diagnosis.Object{APIVersion: "apps/v1", Kind: "Deployment", Name: "cart"}
	jaeger := store{SourceJaeger, func(context.Context) (Telemetry, error) { return NewTelemetry(), nil }}
	a := &Analyst{Grafana: links.Grafana{URL: "https://grafana.example.com", Prefix: "k-"}, Sources: []Source{jaeger}}
	known := collect(nil)
	known.called = map[string]bool{"catalog-svc": true}
	for name, c := range map[string]struct {
		candidate candidate
		want      []string
	}{
		"a workload":                                 {candidate{object: catalog, workload: "catalog", home: catalog, service: "catalog"}, []string{"/d/k-workload shop/catalog"}},
		"one that the call graph knows":              {candidate{object: catalog, workload: "catalog", home: catalog, service: "catalog-svc"}, []string{"/d/k-workload shop/catalog", "/explore /"}},
		"what another namespace causes":              {candidate{object: dns, workload: "catalog", home: catalog, evidence: traced}, []string{"/d/k-workload shop/catalog", "/explore /"}},
		"a service whose home is known":              {candidate{object: catalog, workload: "catalog-svc", home: catalog, service: "catalog-svc", detector: fromTelemetryAlone}, []string{"/d/k-workload shop/catalog", "/explore /"}},
		"a service of telemetry alone":               {candidate{object: outside, service: "bank", detector: fromTelemetryAlone, evidence: traced}, []string{"/d/k-service /", "/explore /"}},
		"an object without a workload":               {candidate{object: diagnosis.Object{APIVersion: "networking.k8s.io/v1", Kind: "Ingress", Namespace: "shop", Name: "front"}, workload: "front", service: "front"}, nil},
		"a Service that the call graph knows":        {candidate{object: bank, workload: "bank", service: "catalog-svc"}, []string{"/d/k-service /", "/explore /"}},
		"a home without a namespace":                 {candidate{object: nowhere, home: nowhere, workload: "cart", service: "cart", detector: fromTelemetryAlone}, nil},
		"one that has calls":                         {candidate{object: nowhere, home: nowhere, workload: "cart", service: "cart", detector: fromTelemetryAlone, evidence: traced}, []string{"/d/k-service /", "/explore /"}},
		"a server that only its caller's spans show": {candidate{object: bank, workload: "bank", service: "bank", detector: certificate.Detector.Name, evidence: traced}, nil},
		"a node": {candidate{object: diagnosis.Object{APIVersion: "v1", Kind: "Node", Name: "n1"}, workload: "catalog", home: catalog, evidence: traced}, []string{"/d/k-node /"}},
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
	assert.Empty(t, closed.links(asked, candidate{object: catalog, workload: "catalog", home: catalog, evidence: traced}, known), "nobody can open Grafana")
}

func TestTheIncidentHoldsTheLinks(t *testing.T) {
	deployment := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "catalog"}, Spec: appsv1.DeploymentSpec{Replicas: new(int32(0))}}
	a := &Analyst{Kube: fake.NewClientset(deployment), Grafana: links.Grafana{URL: "https://grafana.example.com", Prefix: "k-"}}
	status := a.Analyse(t.Context(), asked).Status()
	require.NotEmpty(t, status.Causes)
	assert.Equal(t, []v1alpha1.CauseLink{{Title: "Dashboard", URL: "https://grafana.example.com/d/k-workload?from=1772364600000&to=1772370000000&var-namespace=shop&var-workload=catalog"}}, status.Causes[0].Links)
}

func TestOnlyAWorkloadIsTheHomeOfACause(t *testing.T) {
	ingress := diagnosis.Object{APIVersion: "networking.k8s.io/v1", Kind: "Ingress", Namespace: "shop", Name: "front"}
	bank := diagnosis.Object{APIVersion: "v1", Kind: "Service", Namespace: "shop", Name: "bank"}
	pay := diagnosis.Object{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "shop", Name: "pay"}
	alone := Diagnosis{Facts: &diagnosis.Facts{Subject: ingress}, Findings: []diagnosis.Finding{{Object: ingress, Sentence: "It refers to no Service"}}}
	led := Diagnosis{Facts: &diagnosis.Facts{Subject: ingress, Workload: diagnosis.Workload{Object: pay}}, Findings: alone.Findings}
	none, known := diagnosis.Object{}, collect(nil)
	assert.Equal(t, none, fromObjects(asked, alone, known)[0].home, "of an Ingress without a workload")
	assert.Equal(t, pay, fromObjects(asked, led, known)[0].home, "of an Ingress with one")
	assert.Equal(t, none, known.began(led, candidate{home: pay}, bank).home, "of a Service that presents a certificate")
	assert.Equal(t, pay, known.began(led, candidate{}, pay).home, "of a workload that does")

	known.homes["pay-svc"] = pay
	q := Question{Subject: bank}
	assert.Equal(t, pay, fromTelemetry(q, rca.Cause{Workload: "pay-svc"}, known).home)
	assert.Equal(t, none, fromTelemetry(q, rca.Cause{Workload: "bank"}, known).home, "of a Service that the incident is about")
	assert.Equal(t, none, fromTelemetry(q, rca.Cause{Workload: "elsewhere"}, known).home)
}
