package controllers_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/kubebot/kubebot/api/v1alpha1"
)

// without returns a configuration that has no rights in a namespace.
func without(config *rest.Config, namespace string) *rest.Config {
	config = rest.CopyConfig(config)
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return transport(func(req *http.Request) (*http.Response, error) {
			if !strings.Contains(req.URL.Path+"/", "/namespaces/"+namespace+"/") {
				return next.RoundTrip(req)
			}
			body, err := json.Marshal(metav1.Status{
				TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure,
				Code: http.StatusForbidden, Reason: metav1.StatusReasonForbidden, Message: "forbidden in " + namespace,
			})
			return &http.Response{
				StatusCode: http.StatusForbidden, Header: http.Header{"Content-Type": {"application/json"}},
				Body: io.NopCloser(bytes.NewReader(body)), Request: req,
			}, err
		})
	})
	return config
}

func TestTheNamespaceOfNodesMayChange(t *testing.T) {
	for name, deletedMeanwhile := range map[string]bool{"while the KubeBot is there": false, "and the KubeBot go meanwhile": true} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, agent()).start()
			kb := b.ready(b.kubebot(b.ns, "main"))
			b.get(&appsv1.DaemonSet{}, b.nodes, "main-agent")
			b.stop()
			old := b.nodes
			b.nodes += "-new"
			b.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: b.nodes}})
			b.options.Config, b.options.Install.NodesNamespace = without(b.options.Config, old), b.nodes
			if !deletedMeanwhile {
				b.start()
				b.get(&appsv1.DaemonSet{}, b.nodes, "main-agent")
				b.eventually("the old namespace to be forgotten", func() error {
					live := &v1alpha1.KubeBot{}
					b.get(live, b.ns, "main")
					for _, ref := range live.Status.Inventory {
						if ref.Namespace == old {
							return fmt.Errorf("inventory %v, conditions %+v", live.Status.Inventory, live.Status.Conditions)
						}
					}
					return nil
				})
				b.ready(kb)
			}
			if err := b.client.Delete(t.Context(), kb); err != nil {
				t.Fatal(err)
			}
			if deletedMeanwhile {
				b.start()
			}
			b.gone(&v1alpha1.KubeBot{}, b.ns, "main")
		})
	}
}
