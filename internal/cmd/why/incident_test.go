package why

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/diagnosis"
)

// server answers lists of Incidents: those about a subject, as kind/namespace/name. Err says no to a namespace, "" for all.
type server struct {
	client.Reader
	incidents map[string]v1alpha1.Incident
	err       map[string]error
}

func (s server) List(_ context.Context, into client.ObjectList, options ...client.ListOption) error {
	o := (&client.ListOptions{}).ApplyOptions(options)
	if err := s.err[o.Namespace]; err != nil {
		return err
	}
	value := func(field string) string {
		v, _ := o.FieldSelector.RequiresExactMatch("spec.subject." + field)
		return v
	}
	if inc, ok := s.incidents[value("kind")+"/"+value("namespace")+"/"+value("name")]; ok {
		into.(*v1alpha1.IncidentList).Items = []v1alpha1.Incident{inc}
	}
	return nil
}

func incident(name string, state v1alpha1.IncidentState) v1alpha1.Incident {
	return v1alpha1.Incident{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "kubebot"}, Status: v1alpha1.IncidentStatus{State: state}}
}

func TestTheOpenIncidentOfTheWorkloadIsFound(t *testing.T) {
	set := map[string]string{"app": "web"}
	owned := func(name, kind, owner string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: "shop", Name: name, Labels: set, OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: kind, Name: owner, Controller: new(true)}}}
	}
	kube := fake.NewClientset(
		&appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}},
		&appsv1.ReplicaSet{ObjectMeta: owned("web-1", "Deployment", "web")},
		&corev1.Pod{ObjectMeta: owned("web-1-a", "ReplicaSet", "web-1")},
		&corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "front"}, Spec: corev1.ServiceSpec{Selector: set}},
		&corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "outside"}},
	)
	forbidden := apierrors.NewForbidden(schema.GroupResource{Group: "kubebot.io", Resource: "incidents"}, "", nil)
	web := map[string]v1alpha1.Incident{"Deployment/shop/web": incident("inc-1", v1alpha1.IncidentAcknowledged)}
	for name, c := range map[string]struct {
		kind, name string
		incidents  map[string]v1alpha1.Incident
		err        map[string]error
		want       string
		unread     string
	}{
		"itself":                         {kind: "Deployment", name: "web", incidents: web, want: "inc-1"},
		"a pod":                          {kind: "Pod", name: "web-1-a", incidents: web, want: "inc-1"},
		"a Service":                      {kind: "Service", name: "front", incidents: web, want: "inc-1"},
		"a Service that callers tell of": {kind: "Service", name: "outside", incidents: map[string]v1alpha1.Incident{"Dependency/shop/outside": incident("inc-2", v1alpha1.IncidentOpen)}, want: "inc-2"},
		"one that is over":               {kind: "Pod", name: "web-1-a", incidents: map[string]v1alpha1.Incident{"Deployment/shop/web": incident("inc-3", v1alpha1.IncidentResolved)}},
		"a pod that does not exist":      {kind: "Pod", name: "gone", incidents: web},
		"rights in KubeBot's namespace":  {kind: "Pod", name: "web-1-a", incidents: web, err: map[string]error{"": forbidden}, want: "inc-1"},
		"no rights":                      {kind: "Pod", name: "web-1-a", incidents: web, err: map[string]error{"": forbidden, "kubebot": forbidden}, unread: "forbidden"},
		"no KubeBot":                     {kind: "Pod", name: "web-1-a", err: map[string]error{"": &meta.NoKindMatchError{}}},
		"no answer":                      {kind: "Pod", name: "web-1-a", err: map[string]error{"": fmt.Errorf("list: %w", context.DeadlineExceeded)}, unread: "no answer within 1s"},
		"an answer that comes too late":  {kind: "Pod", name: "web-1-a", err: map[string]error{"": fmt.Errorf("list: %w", apierrors.NewTimeoutError("etcd", 1))}, unread: "no answer within 1s"},
	} {
		o := Options{Object: diagnosis.Object{Kind: c.kind, Namespace: "shop", Name: c.name}, Home: "kubebot", Timeout: 4 * time.Second}
		inc, unread := openIncident(t.Context(), o, server{incidents: c.incidents, err: c.err}, kube)
		got, reason := "", ""
		if inc != nil {
			got = inc.Name
		}
		for _, u := range unread {
			assert.Equal(t, "Incidents", what(u, "shop"), name)
			reason += u.Reason
		}
		assert.Equal(t, c.want, got, name)
		assert.Equal(t, c.unread, reason, name)
	}
}
