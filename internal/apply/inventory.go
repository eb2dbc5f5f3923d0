package apply

import (
	"cmp"
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
)

// Ref returns the inventory entry of an object of a kind.
func Ref(gvk schema.GroupVersionKind, obj client.Object) v1alpha1.ObjectRef {
	return v1alpha1.ObjectRef{
		Group: gvk.Group, Version: gvk.Version, Kind: gvk.Kind, Namespace: obj.GetNamespace(), Name: obj.GetName(),
	}
}

// Kind returns the kind that an inventory entry names.
func Kind(ref v1alpha1.ObjectRef) schema.GroupVersionKind {
	return schema.GroupVersionKind{Group: ref.Group, Version: ref.Version, Kind: ref.Kind}
}

// Union returns the entries of both lists, each once, in a fixed order. Entries that differ in the version alone are
// one object; the version of the later list stays.
func Union(first, second []v1alpha1.ObjectRef) []v1alpha1.ObjectRef {
	byObject := map[v1alpha1.ObjectRef]v1alpha1.ObjectRef{}
	for _, ref := range slices.Concat(first, second) {
		byObject[versionless(ref)] = ref
	}
	out := make([]v1alpha1.ObjectRef, 0, len(byObject))
	for _, ref := range byObject {
		out = append(out, ref)
	}
	slices.SortFunc(out, compareRefs)
	return out
}

// Without returns the entries of all that are not in wanted, in the order of all.
func Without(all, wanted []v1alpha1.ObjectRef) []v1alpha1.ObjectRef {
	keep := map[v1alpha1.ObjectRef]bool{}
	for _, ref := range wanted {
		keep[versionless(ref)] = true
	}
	var out []v1alpha1.ObjectRef
	for _, ref := range all {
		if !keep[versionless(ref)] {
			out = append(out, ref)
		}
	}
	return out
}

// Outside returns the entries that are not in a namespace.
func Outside(refs []v1alpha1.ObjectRef, namespace string) []v1alpha1.ObjectRef {
	var out []v1alpha1.ObjectRef
	for _, ref := range refs {
		if ref.Namespace != namespace {
			out = append(out, ref)
		}
	}
	return out
}

func versionless(ref v1alpha1.ObjectRef) v1alpha1.ObjectRef {
	ref.Version = ""
	return ref
}

func compareRefs(a, b v1alpha1.ObjectRef) int {
	return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Group, b.Group), cmp.Compare(a.Kind, b.Kind),
		cmp.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version))
}
