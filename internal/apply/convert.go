// Package apply is the only writer of managed objects: server-side apply with KubeBot's own field manager, ownership,
// the inventory, and the removal of what is no longer wanted. It writes only where something differs.
package apply

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/naming"
)

// Desired returns what is to be applied for an object that a component built: with the labels by which deletion finds
// it, and an owner. Inside the KubeBot's namespace the owner is the KubeBot. Outside, where that is impossible, it is
// the KubeBot's Namespace, so that the object goes with the namespace even when no manager runs any more; namespaceUID
// is that Namespace's. Fields without a value and the status are left out.
func Desired(kb *v1alpha1.KubeBot, obj client.Object, scheme *runtime.Scheme, namespaceUID string) (*unstructured.Unstructured, error) {
	gvk, err := apiutil.GVKForObject(obj, scheme)
	if err != nil {
		return nil, fmt.Errorf("kind of %T %s: %w", obj, obj.GetName(), err)
	}
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(obj)
	if err != nil {
		return nil, fmt.Errorf("convert %s %s: %w", gvk.Kind, obj.GetName(), err)
	}
	delete(content, "status")
	u := &unstructured.Unstructured{Object: dropNulls(content)}
	u.SetGroupVersionKind(gvk)
	unstructured.RemoveNestedField(u.Object, "metadata", "creationTimestamp")
	unstructured.RemoveNestedField(u.Object, "metadata", "managedFields")
	unstructured.RemoveNestedField(u.Object, "metadata", "resourceVersion")
	unstructured.RemoveNestedField(u.Object, "metadata", "uid")

	labels := u.GetLabels()
	if labels == nil {
		labels = map[string]string{}
	}
	labels[naming.LabelName] = kb.Name
	labels[naming.LabelNamespace] = kb.Namespace
	u.SetLabels(labels)
	u.SetOwnerReferences(owners(kb, u.GetNamespace(), namespaceUID))
	return u, nil
}

func owners(kb *v1alpha1.KubeBot, namespace, namespaceUID string) []metav1.OwnerReference {
	if namespace == kb.Namespace {
		return []metav1.OwnerReference{*metav1.NewControllerRef(kb, v1alpha1.GroupVersion.WithKind("KubeBot"))}
	}
	if namespaceUID == "" {
		return nil
	}
	return []metav1.OwnerReference{{APIVersion: "v1", Kind: "Namespace", Name: kb.Namespace, UID: types.UID(namespaceUID)}}
}

// dropNulls removes fields whose value is null: in server-side apply they would be claimed as set to nothing.
func dropNulls(m map[string]any) map[string]any {
	for key, value := range m {
		switch v := value.(type) {
		case nil:
			delete(m, key)
		case map[string]any:
			dropNulls(v)
		case []any:
			for _, item := range v {
				if child, ok := item.(map[string]any); ok {
					dropNulls(child)
				}
			}
		}
	}
	return m
}
