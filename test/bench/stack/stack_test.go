package main

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestStripLeavesWhatAnybodyCouldApply(t *testing.T) {
	for have, want := range map[string]string{
		`{"apiVersion":"v1","kind":"Service","metadata":{"name":"a","namespace":"b","uid":"u","resourceVersion":"1","ownerReferences":[{"name":"main"}],
		  "labels":{"l":"1"},"managedFields":[{}]},"spec":{"clusterIP":"10.0.0.1","clusterIPs":["10.0.0.1"],"ports":[{"port":1}]},"status":{"loadBalancer":{}}}`: `{"apiVersion":"v1","kind":"Service","metadata":{"name":"a","namespace":"b","labels":{"l":"1"}},"spec":{"ports":[{"port":1}]}}`,
		`{"apiVersion":"v1","kind":"Service","metadata":{"name":"a"},"spec":{"clusterIP":"None","clusterIPs":["None"]}}`:                                 `{"apiVersion":"v1","kind":"Service","metadata":{"name":"a"},"spec":{"clusterIP":"None"}}`,
		`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"a","annotations":{"deployment.kubernetes.io/revision":"3","x":"y"}},"spec":{}}`: `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"a","annotations":{"x":"y"}},"spec":{}}`,
	} {
		obj := &unstructured.Unstructured{}
		if err := obj.UnmarshalJSON([]byte(have)); err != nil {
			t.Fatal(err)
		}
		data, err := json.Marshal(strip(obj))
		if err != nil {
			t.Fatal(err)
		}
		var got, wanted any
		if err := json.Unmarshal(data, &got); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(want), &wanted); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, wanted) {
			t.Errorf("got %s\nwant %s", data, want)
		}
	}
}

func TestWebhookCallsCountsWhatWasTaken(t *testing.T) {
	for text, want := range map[string]float64{
		"# TYPE kubebot_responder_webhook_requests_total counter\nkubebot_responder_webhook_requests_total{code=\"200\"} 3\nkubebot_responder_webhook_requests_total{code=\"503\"} 9\n": 3,
		"# TYPE other counter\nother 1\n": 0,
	} {
		if got, err := webhookCalls([]byte(text)); err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	if _, err := webhookCalls([]byte("{no metrics")); err == nil {
		t.Error("what is no metrics is taken")
	}
}

func TestFirstTerminationIsTheFirst(t *testing.T) {
	end := metav1.NewTime(time.Unix(1000, 0))
	ended := corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{FinishedAt: end}}
	waiting := corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{}}
	for name, c := range map[string]struct {
		status corev1.ContainerStatus
		want   bool
	}{
		"ended":            {corev1.ContainerStatus{State: ended}, true},
		"restarted":        {corev1.ContainerStatus{State: waiting, LastTerminationState: ended, RestartCount: 1}, true},
		"ended twice":      {corev1.ContainerStatus{State: ended, LastTerminationState: ended, RestartCount: 1}, false},
		"restarted twice":  {corev1.ContainerStatus{State: waiting, LastTerminationState: ended, RestartCount: 2}, false},
		"not yet starting": {corev1.ContainerStatus{State: waiting}, false},
	} {
		got, ok := firstTermination(c.status)
		if ok != c.want || ok && !got.Equal(end.Time) {
			t.Errorf("%s: %v, %v", name, got, ok)
		}
	}
}

func TestSlackTime(t *testing.T) {
	if got, err := slackTime("1700000000.000123"); err != nil || got.UnixMicro() != 1700000000000123 {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{"", "1700000000", "1700000000.1", "x.000123"} {
		if _, err := slackTime(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestOwnPodsAreThoseOfKubeBot(t *testing.T) {
	var s summary
	if err := json.Unmarshal([]byte(`{"pods":[
	  {"podRef":{"name":"r-1","namespace":"kubebot"},"containers":[{"name":"responder","memory":{"workingSetBytes":5,"rssBytes":4}}]},
	  {"podRef":{"name":"m-1","namespace":"kubebot"},"containers":[{"name":"manager","memory":{"workingSetBytes":7}}]},
	  {"podRef":{"name":"p-1","namespace":"kubebot"},"containers":[{"name":"prometheus","memory":{"workingSetBytes":9}}]},
	  {"podRef":{"name":"x-1","namespace":"alien"},"containers":[{"name":"manager","memory":{"workingSetBytes":9}}]}]}`), &s); err != nil {
		t.Fatal(err)
	}
	want := []PodMemory{{Name: "manager", Pod: "m-1", WorkingSet: 7}, {Name: "responder", Pod: "r-1", WorkingSet: 5, Resident: 4}}
	if got := ownPods(s); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}
