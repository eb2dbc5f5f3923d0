package golden

import (
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/kubebot/kubebot/internal/naming"
	"github.com/kubebot/kubebot/internal/testutil/tree"
)

// readable turns the data of a Secret into text.
func readable(o client.Object) client.Object {
	s, ok := o.(*corev1.Secret)
	if !ok {
		return o
	}
	s = s.DeepCopy()
	s.StringData = map[string]string{}
	for key, value := range s.Data {
		s.StringData[key] = string(value)
	}
	s.Data = nil
	return s
}

// checkObjects checks what every object of a component must have: a kind, a name, KubeBot's labels with the component's
// name, and a form that survives strict decoding into its own type.
func checkObjects(t *testing.T, componentName string, objects []client.Object) {
	t.Helper()
	for _, o := range objects {
		if o.GetObjectKind().GroupVersionKind().Empty() || o.GetName() == "" || o.GetNamespace() == "" {
			t.Errorf("%T %q has no kind, name or namespace", o, o.GetName())
		}
		if got := o.GetLabels()[naming.LabelComponent]; got != componentName {
			t.Errorf("%T %s has component label %q, want %q", o, o.GetName(), got, componentName)
		}
		if o.GetLabels()[naming.LabelName] == "" || o.GetLabels()[naming.LabelNamespace] == "" {
			t.Errorf("%T %s lacks the labels of its KubeBot", o, o.GetName())
		}
		data, err := yaml.Marshal(o)
		if err != nil {
			t.Fatalf("marshal %T: %v", o, err)
		}
		again := reflect.New(reflect.TypeOf(o).Elem()).Interface()
		if err := yaml.UnmarshalStrict(data, again); err != nil {
			t.Errorf("%T %s does not survive strict decoding: %v", o, o.GetName(), err)
		}
	}
}

// Program returns the path of a real program that test/components/build makes: in the cache's bin or on PATH. Where it
// is missing the test is skipped, or fails with CI=true.
func Program(t *testing.T, name string) string {
	t.Helper()
	if path, err := exec.LookPath(filepath.Join(tree.Cache(), "bin", name)); err == nil {
		return path
	}
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing: run test/components/build %s", name, name)
	}
	t.Skipf("%s IS MISSING, so the configuration was not checked by the real program: run test/components/build %s", name, name)
	return ""
}

// Run runs a program in a folder and fails the test when it fails.
func Run(t *testing.T, dir, program string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%s %v: %v\n%s", filepath.Base(program), args, err, out)
	}
}
