package main

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/kubebot/kubebot/test/stack"
)

func TestRestCountsEveryWriteOfServiceAccounts(t *testing.T) {
	const manager = `"user":{"username":"system:serviceaccount:kubebot:kubebot-manager"}`
	counts := restCounts{}
	for _, line := range []string{
		`{"verb":"patch",` + manager + `,"requestURI":"/apis/apps/v1/namespaces/kubebot/deployments/a?fieldManager=kubebot","objectRef":{"resource":"deployments"}}`,
		`{"verb":"patch",` + manager + `,"requestURI":"/apis/apps/v1/namespaces/kubebot/deployments/a?dryRun=All&fieldManager=kubebot","objectRef":{"resource":"deployments"}}`,
		`{"verb":"update",` + manager + `,"requestURI":"/x","objectRef":{"resource":"kubebots","subresource":"status"},"responseStatus":{"code":409}}`,
		`{"verb":"update",` + manager + `,"requestURI":"/x","objectRef":{"resource":"leases"}}`,
		`{"verb":"get",` + manager + `,"requestURI":"/x","objectRef":{"resource":"deployments"}}`,
		`{"verb":"create",` + manager + `,"requestURI":"/x","objectRef":{"resource":"selfsubjectaccessreviews","apiGroup":"authorization.k8s.io"}}`,
		`{"verb":"create","user":{"username":"system:serviceaccount:alien:writer"},"requestURI":"/x","objectRef":{"resource":"events"}}`,
		`{"verb":"patch","user":{"username":"system:node:one"},"requestURI":"/x","objectRef":{"resource":"nodes","subresource":"status"}}`,
	} {
		var e stack.AuditEvent
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		counts.add(e)
	}
	want := []AccountWrites{
		{Account: "kubebot/kubebot-manager", Writes: 3, DryRuns: 1, Leases: 1, What: map[string]int{"patch deployments": 2, "update kubebots/status": 1}},
		{Account: "alien/writer", Writes: 1, What: map[string]int{"create events": 1}},
	}
	if got := counts.list(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}
