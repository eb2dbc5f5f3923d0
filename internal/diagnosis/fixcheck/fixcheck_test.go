package fixcheck

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr/funcr"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/openapi"
	"k8s.io/client-go/openapi/openapitest"

	"github.com/kubebot/kubebot/internal/diagnosis"
)

var (
	web   = diagnosis.Object{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "shop", Name: "web"}
	front = diagnosis.Object{APIVersion: "v1", Kind: "Service", Namespace: "shop", Name: "front"}
	disk  = diagnosis.Object{APIVersion: "v1", Kind: "PersistentVolume", Name: "disk-7"}
)

func facts(t *testing.T) *diagnosis.Facts {
	t.Helper()
	set := map[string]string{"app": "web"}
	w, ok := diagnosis.WorkloadOf(&appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"},
		Spec: appsv1.DeploymentSpec{Selector: &metav1.LabelSelector{MatchLabels: set}, Template: corev1.PodTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{Labels: set},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "web:1", Command: []string{"/wep"}}, {Name: "proxy", Image: "proxy:1"}}},
		}},
	})
	if !ok {
		t.Fatal("a Deployment is a workload")
	}
	return &diagnosis.Facts{Workload: w, Services: []corev1.Service{{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "front"},
		Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80, TargetPort: intstr.FromInt32(8080)}}},
	}}, Volumes: []corev1.PersistentVolume{{ObjectMeta: metav1.ObjectMeta{Name: "disk-7"}}}}
}

// published are the documents of a real API server, as client-go holds them.
func published() openapi.ClientWithContext {
	return openapi.ToClientWithContext(openapitest.NewEmbeddedFileClient())
}

func check(c *Checker, f *diagnosis.Facts, p diagnosis.Patch) diagnosis.Fix {
	list := []diagnosis.Finding{{Detector: "test", Fix: diagnosis.FixBy("Do it.", []diagnosis.Patch{p}, "kubectl get pods")}}
	c.Check(context.Background(), f, list)
	return list[0].Fix
}

func TestPatchesAreCheckedAgainstTheLiveObjectAndTheSchema(t *testing.T) {
	const app = "/spec/template/spec/containers/0"
	c := New(published(), funcr.New(func(_, _ string) {}, funcr.Options{}))
	for name, test := range map[string]struct {
		patch   diagnosis.Patch
		leftOut string // why; empty for a patch that fits
	}{
		"a field is removed":        {patch: diagnosis.JSONPatch(web, diagnosis.Operation{Op: "remove", Path: app + "/command"})},
		"a container is tested for": {patch: diagnosis.JSONPatch(web, diagnosis.Operation{Op: "test", Path: app + "/name", Value: "app"}, diagnosis.Operation{Op: "remove", Path: app + "/command"})},
		"another container is there": {
			patch:   diagnosis.JSONPatch(web, diagnosis.Operation{Op: "test", Path: app + "/name", Value: "proxy"}, diagnosis.Operation{Op: "remove", Path: app + "/command"}),
			leftOut: "does not apply",
		},
		"there is nothing to remove": {patch: diagnosis.JSONPatch(web, diagnosis.Operation{Op: "remove", Path: "/spec/template/spec/containers/1/command"}), leftOut: "does not apply"},
		"no such container":          {patch: diagnosis.JSONPatch(web, diagnosis.Operation{Op: "replace", Path: "/spec/template/spec/containers/2/image", Value: "x"}), leftOut: "does not apply"},
		"a misspelt field":           {patch: diagnosis.JSONPatch(web, diagnosis.Operation{Op: "add", Path: app + "/startProbe", Value: map[string]any{}}), leftOut: "startProbe"},
		"a word for a number":        {patch: diagnosis.Patch{Object: web, Type: "merge", Body: `{"spec":{"replicas":"two"}}`}, leftOut: "spec.replicas"},
		"a number":                   {patch: diagnosis.Patch{Object: web, Type: "merge", Body: `{"spec":{"replicas":2}}`}},
		"a list is merged by name":   {patch: diagnosis.Patch{Object: web, Type: "strategic", Body: `{"spec":{"template":{"spec":{"containers":[{"name":"app","image":"web:2"}]}}}}`}},
		"a field in the wrong place": {patch: diagnosis.Patch{Object: web, Type: "strategic", Body: `{"spec":{"containers":[{"name":"app"}]}}`}, leftOut: "containers"},
		"no JSON":                    {patch: diagnosis.Patch{Object: web, Type: "merge", Body: `{"spec":`}, leftOut: "does not apply"},
		"a port by number":           {patch: diagnosis.JSONPatch(front, diagnosis.Operation{Op: "replace", Path: "/spec/ports/0/targetPort", Value: 9090})},
		"a port by name":             {patch: diagnosis.JSONPatch(front, diagnosis.Operation{Op: "replace", Path: "/spec/ports/0/targetPort", Value: "http"})},
		"a volume":                   {patch: diagnosis.Patch{Object: disk, Type: "merge", Body: `{"spec":{"persistentVolumeReclaimPolicy":"Retain"}}`}},
		"a number for a policy":      {patch: diagnosis.Patch{Object: disk, Type: "merge", Body: `{"spec":{"persistentVolumeReclaimPolicy":7}}`}, leftOut: "persistentVolumeReclaimPolicy"},
		"a selector is a map":        {patch: diagnosis.Patch{Object: front, Type: "merge", Body: `{"spec":{"selector":"app=web"}}`}, leftOut: "spec.selector"},
	} {
		t.Run(name, func(t *testing.T) {
			f := facts(t)
			deadline := time.Now().Add(20 * time.Second)
			fix := check(c, f, test.patch)
			for len(fix.Unchecked) > 0 && time.Now().Before(deadline) { // a slow machine
				fix = check(c, f, test.patch)
			}
			if fix.Explanation != "Do it." || len(fix.Unchecked) > 0 || fix.Commands[len(fix.Commands)-1] != "kubectl get pods" {
				t.Fatalf("got %+v", fix)
			}
			if test.leftOut == "" {
				if len(fix.Commands) != 2 || len(fix.Patches) != 1 || len(fix.LeftOut) > 0 {
					t.Errorf("a patch that fits was left out: %+v", fix)
				}
				return
			}
			if len(fix.Commands) != 1 || len(fix.Patches) != 0 || len(fix.LeftOut) != 1 || !strings.Contains(fix.LeftOut[0].Reason, test.leftOut) || fix.LeftOut[0].Command != test.patch.Command() {
				t.Errorf("got %+v, want it to be left out for %q", fix, test.leftOut)
			}
		})
	}
}

var scale = diagnosis.Patch{Object: web, Type: "merge", Body: `{"spec":{"replicas":2}}`}

func TestWhatCannotBeCheckedStays(t *testing.T) {
	quota := diagnosis.Object{APIVersion: "v1", Kind: "ResourceQuota", Namespace: "shop", Name: "q"}
	for name, test := range map[string]struct {
		client openapi.ClientWithContext
		patch  diagnosis.Patch
		want   string
	}{
		"the API server refuses":    {server{err: errors.New("forbidden")}, scale, "forbidden"},
		"the client panics":         {server{broken: true}, scale, "could not be read"},
		"no such group-version":     {server{}, scale, "no schema of apps/v1"},
		"the object was not read":   {published(), diagnosis.Patch{Object: quota, Type: "merge", Body: `{}`}, "not read"},
		"the schema lacks the kind": {openapi.ToClientWithContext(empty{}), scale, "live object itself"},
	} {
		t.Run(name, func(t *testing.T) {
			var said []string
			c := New(test.client, funcr.New(func(_, args string) { said = append(said, args) }, funcr.Options{}))
			fix := check(c, facts(t), test.patch)
			if len(fix.Commands) != 2 || len(fix.Patches) != 1 || len(fix.Unchecked) != 1 || !strings.Contains(fix.Unchecked[0].Reason, test.want) {
				t.Errorf("got %+v, want it unchecked for %q", fix, test.want)
			}
			if len(said) != 1 || !strings.Contains(said[0], test.want) {
				t.Errorf("the log says %q", said)
			}
		})
	}
	var none *Checker
	if fix := check(none, facts(t), scale); len(fix.Commands) != 2 || len(fix.Unchecked) > 0 {
		t.Errorf("no checker: got %+v", fix)
	}
}

func TestASlowAPIServerDelaysOneDiagnosisByASecondAndAnswersTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		c := New(server{slow: 3 * time.Second, asked: &asked, then: published()}, funcr.New(func(_, _ string) {}, funcr.Options{}))
		begin := time.Now()
		if fix := check(c, facts(t), scale); len(fix.Unchecked) != 1 || time.Since(begin) != patience {
			t.Errorf("after %s: %+v", time.Since(begin), fix)
		}
		begin = time.Now()
		if fix := check(c, facts(t), scale); len(fix.Unchecked) != 1 || time.Since(begin) != 0 {
			t.Errorf("the second one waited %s too: %+v", time.Since(begin), fix)
		}
		time.Sleep(3 * time.Second)
		if fix := check(c, facts(t), scale); len(fix.Unchecked) != 0 || len(fix.Patches) != 1 || asked.Load() != 1 {
			t.Errorf("asked %d times: %+v", asked.Load(), fix)
		}
		time.Sleep(fresh + time.Second)
		if fix := check(c, facts(t), scale); len(fix.Unchecked) != 0 {
			t.Errorf("what is known does not do while the API server is asked again: %+v", fix)
		}
		time.Sleep(fetchTime)
		if asked.Load() != 2 {
			t.Errorf("asked %d times, want again after %s", asked.Load(), fresh)
		}
	})
}

func TestPatchesOfRoutesAreChecked(t *testing.T) {
	o := diagnosis.Object{APIVersion: "gateway.networking.k8s.io/v1", Kind: "HTTPRoute", Namespace: "shop", Name: "front"}
	f := facts(t)
	f.Routes = []diagnosis.Route{{
		TypeMeta: metav1.TypeMeta{APIVersion: o.APIVersion, Kind: o.Kind}, ObjectMeta: metav1.ObjectMeta{Namespace: o.Namespace, Name: o.Name},
		Live: &unstructured.Unstructured{Object: map[string]any{"apiVersion": o.APIVersion, "kind": o.Kind, "metadata": map[string]any{"namespace": o.Namespace, "name": o.Name},
			"spec": map[string]any{"parentRefs": []any{map[string]any{"name": "publik"}}}}},
	}}
	c := New(openapi.ToClientWithContext(custom{}), funcr.New(func(_, _ string) {}, funcr.Options{}))
	const path = "/spec/parentRefs/0/"
	for name, test := range map[string]struct {
		patch   diagnosis.Patch
		leftOut string
	}{
		"fits":                  {patch: diagnosis.JSONPatch(o, diagnosis.Replace(path+"name", "publik", "public")...)},
		"it is another by then": {patch: diagnosis.JSONPatch(o, diagnosis.Replace(path+"name", "pablik", "public")...), leftOut: "does not apply"},
		"a misspelt field":      {patch: diagnosis.JSONPatch(o, diagnosis.Operation{Op: "add", Path: path + "nane", Value: "public"}), leftOut: "nane"},
	} {
		fix := check(c, f, test.patch)
		for left := time.Now().Add(20 * time.Second); len(fix.Unchecked) > 0 && time.Now().Before(left); { // a slow machine
			fix = check(c, f, test.patch)
		}
		if len(fix.Unchecked) > 0 || (len(fix.LeftOut) > 0) != (test.leftOut != "") || test.leftOut != "" && !strings.Contains(fix.LeftOut[0].Reason, test.leftOut) {
			t.Errorf("%s: got %+v", name, fix)
		}
	}
}

// server is an API server in some state.
type server struct {
	err    error
	broken bool
	slow   time.Duration
	asked  *atomic.Int32
	then   openapi.ClientWithContext
}

func (s server) PathsWithContext(ctx context.Context) (map[string]openapi.GroupVersionWithContext, error) {
	if s.broken {
		panic("not implemented")
	}
	if s.asked != nil {
		s.asked.Add(1)
	}
	time.Sleep(s.slow)
	if s.then != nil {
		return s.then.PathsWithContext(ctx)
	}
	return nil, s.err
}

// empty has a document of apps/v1 without any schema.
type empty struct{}

func (empty) Paths() (map[string]openapi.GroupVersion, error) {
	return map[string]openapi.GroupVersion{"apis/apps/v1": empty{}}, nil
}
func (empty) ServerRelativeURL() string     { return "x" }
func (empty) Schema(string) ([]byte, error) { return []byte(`{"components":{"schemas":{}}}`), nil }

// custom has a document of the Gateway API, which no client of Kubernetes holds.
type custom struct{}

func (custom) Paths() (map[string]openapi.GroupVersion, error) {
	return map[string]openapi.GroupVersion{"apis/gateway.networking.k8s.io/v1": custom{}}, nil
}
func (custom) ServerRelativeURL() string { return "x" }
func (custom) Schema(string) ([]byte, error) {
	return []byte(`{"components":{"schemas":{"io.k8s.networking.gateway.v1.HTTPRoute":{"type":"object",
		"x-kubernetes-group-version-kind":[{"group":"gateway.networking.k8s.io","kind":"HTTPRoute","version":"v1"}],
		"properties":{"apiVersion":{"type":"string"},"kind":{"type":"string"},
			"metadata":{"type":"object","properties":{"name":{"type":"string"},"namespace":{"type":"string"}}},
			"spec":{"type":"object","properties":{"parentRefs":{"type":"array","x-kubernetes-list-type":"atomic",
				"items":{"type":"object","properties":{"name":{"type":"string"}}}}}}}}}}}`), nil
}
