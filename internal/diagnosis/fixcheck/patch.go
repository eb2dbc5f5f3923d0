package fixcheck

import (
	"encoding/json"
	"errors"
	"fmt"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"sigs.k8s.io/structured-merge-diff/v6/typed"

	"github.com/kubebot/kubebot/internal/diagnosis"
)

// errOdd says that the schema does not fit what the API server itself gave, so that it tells nothing about the patch.
var errOdd = errors.New("the live object itself does not fit the schema")

// Fits applies a patch to the live object and checks the result against the schema. It returns why the patch does not
// fit: it does not apply, or a field is unknown or of another type.
func Fits(live runtime.Object, p diagnosis.Patch, types managedfields.TypeConverter) error {
	before, err := asJSON(live, p.Object)
	if err != nil {
		return fmt.Errorf("%w: %w", errOdd, err)
	}
	after, err := apply(before, live, p)
	if err != nil {
		return fmt.Errorf("it does not apply to the live object: %w", err)
	}
	if err := valid(after, types); err != nil {
		if valid(before, types) != nil {
			return fmt.Errorf("%w: %w", errOdd, err)
		}
		return fmt.Errorf("it does not fit the API server's schema: %w", err)
	}
	return nil
}

// asJSON is the object as the API server writes it. What comes from a list lacks kind and version.
func asJSON(live runtime.Object, o diagnosis.Object) ([]byte, error) {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(live)
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", o, err)
	}
	u := unstructured.Unstructured{Object: content}
	u.SetAPIVersion(o.APIVersion)
	u.SetKind(o.Kind)
	return u.MarshalJSON()
}

// apply does what the API server does with a patch of the type.
func apply(document []byte, live runtime.Object, p diagnosis.Patch) ([]byte, error) {
	switch p.Type {
	case "json":
		operations, err := jsonpatch.DecodePatch([]byte(p.Body))
		if err != nil {
			return nil, fmt.Errorf("read the patch: %w", err)
		}
		return operations.Apply(document)
	case "merge":
		return jsonpatch.MergePatch(document, []byte(p.Body))
	case "strategic":
		return strategicpatch.StrategicMergePatch(document, []byte(p.Body), live)
	}
	return nil, fmt.Errorf("unknown type %q", p.Type)
}

func valid(document []byte, types managedfields.TypeConverter) error {
	var u unstructured.Unstructured
	if err := json.Unmarshal(document, &u); err != nil {
		return fmt.Errorf("read the object: %w", err)
	}
	_, err := types.ObjectToTyped(&u, typed.AllowDuplicates) // as the API server does for a patch
	return err
}
