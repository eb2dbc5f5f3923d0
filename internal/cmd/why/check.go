package why

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"

	"github.com/kubebot/kubebot/internal/diagnosis"
)

// Check is the result of a dry run.
type Check struct {
	Command string `json:"command"`
	// OK says that the API server would accept the change.
	OK bool `json:"ok"`
	// Error is what it said otherwise.
	Error string `json:"error,omitempty"`
}

var patchTypes = map[string]types.PatchType{"json": types.JSONPatchType, "merge": types.MergePatchType, "strategic": types.StrategicMergePatchType}

// check sends the patches of the fixes to the API server as dry runs, with the user's rights: nothing is changed.
func check(ctx context.Context, config *rest.Config, findings []diagnosis.Finding) ([]Check, error) {
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("make client: %w", err)
	}
	discoverer, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("make client: %w", err)
	}
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(discoverer))
	var out []Check
	for _, f := range findings {
		for _, p := range f.Fix.Patches {
			c := Check{Command: p.Command()}
			if err := dryRun(ctx, client, mapper, p); err != nil {
				c.Error = err.Error()
			} else {
				c.OK = true
			}
			out = append(out, c)
		}
	}
	return out, nil
}

func dryRun(ctx context.Context, client dynamic.Interface, mapper *restmapper.DeferredDiscoveryRESTMapper, p diagnosis.Patch) error {
	gv, err := schema.ParseGroupVersion(p.Object.APIVersion)
	if err != nil {
		return fmt.Errorf("read the version of %s: %w", p.Object, err)
	}
	mapping, err := mapper.RESTMapping(gv.WithKind(p.Object.Kind).GroupKind(), gv.Version)
	if err != nil {
		return fmt.Errorf("find kind %s: %w", p.Object.Kind, err)
	}
	resource := client.Resource(mapping.Resource)
	var target dynamic.ResourceInterface = resource
	if p.Object.Namespace != "" {
		target = resource.Namespace(p.Object.Namespace)
	}
	_, err = target.Patch(ctx, p.Object.Name, patchTypes[p.Type], []byte(p.Body), metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}, FieldValidation: metav1.FieldValidationStrict})
	return err
}
