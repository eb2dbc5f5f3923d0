package gather

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/apply"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/naming"
)

// Objects returns the live objects of those that a component built, of the same Go types and in the same order; desired
// are what was applied for them. One that does not exist is left out.
func Objects(ctx context.Context, reader apply.Reader, built []client.Object, desired []*unstructured.Unstructured) ([]client.Object, error) {
	var out []client.Object
	for i, want := range desired {
		live, err := reader.Object(ctx, want.GroupVersionKind(), client.ObjectKeyFromObject(want))
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read %s %s: %w", want.GetKind(), want.GetName(), err)
		}
		typed, ok := reflect.New(reflect.TypeOf(built[i]).Elem()).Interface().(client.Object)
		if !ok {
			return nil, fmt.Errorf("read %s %s: %T is no object", want.GetKind(), want.GetName(), built[i])
		}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(live.Object, typed); err != nil {
			return nil, fmt.Errorf("convert %s %s: %w", want.GetKind(), want.GetName(), err)
		}
		out = append(out, typed)
	}
	return out, nil
}

// Pods returns the pods of a component in the given namespaces, by namespace and name: those that carry the KubeBot's
// labels and name the component in the label component or, for those that another operator makes, in the label name.
func (c *Caches) Pods(ctx context.Context, kb *v1alpha1.KubeBot, component string, namespaces ...string) ([]corev1.Pod, error) {
	all, err := c.podsOf(ctx, kb, namespaces)
	if err != nil {
		return nil, err
	}
	out := slices.DeleteFunc(all, func(pod corev1.Pod) bool {
		return pod.Labels[naming.LabelComponent] != component && pod.Labels["app.kubernetes.io/name"] != component
	})
	slices.SortFunc(out, func(a, b corev1.Pod) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return out, nil
}

// Mounted tells which ConfigMaps the pods of a KubeBot in the given namespaces mount: those that are about to end too, but
// not those of trials, of which nobody waits for an answer any more when their ConfigMap goes.
func (c *Caches) Mounted(ctx context.Context, kb *v1alpha1.KubeBot, namespaces ...string) (map[client.ObjectKey]bool, error) {
	all, err := c.podsOf(ctx, kb, namespaces)
	if err != nil {
		return nil, err
	}
	out := map[client.ObjectKey]bool{}
	for _, pod := range all {
		if pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
			continue // it starts no container any more
		}
		for _, v := range pod.Spec.Volumes {
			if v.ConfigMap != nil && pod.Labels[naming.LabelComponent] != naming.ComponentTrial {
				out[client.ObjectKey{Namespace: pod.Namespace, Name: v.ConfigMap.Name}] = true
			}
		}
	}
	return out, nil
}

// podsOf returns all pods that carry a KubeBot's labels.
func (c *Caches) podsOf(ctx context.Context, kb *v1alpha1.KubeBot, namespaces []string) ([]corev1.Pod, error) {
	var out []corev1.Pod
	for _, namespace := range slices.Compact(namespaces) {
		list := &corev1.PodList{}
		err := c.list(ctx, list, namespace, client.MatchingLabels{naming.LabelName: kb.Name, naming.LabelNamespace: kb.Namespace})
		if err != nil {
			return nil, fmt.Errorf("list pods in %s: %w", namespace, err)
		}
		out = append(out, list.Items...)
	}
	return out, nil
}

// Addresses returns the ready addresses of a Service, in order and without port.
func (c *Caches) Addresses(ctx context.Context, namespace, service string) ([]string, error) {
	list := &discoveryv1.EndpointSliceList{}
	err := c.list(ctx, list, namespace, client.MatchingLabels{discoveryv1.LabelServiceName: service})
	if err != nil {
		return nil, fmt.Errorf("list endpoints of Service %s: %w", service, err)
	}
	var out []string
	for _, slice := range list.Items {
		for _, endpoint := range slice.Endpoints {
			if endpoint.Conditions.Ready == nil || *endpoint.Conditions.Ready {
				out = append(out, endpoint.Addresses...)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// Answers asks a component's questions at the same time. Deadlines are ctx's; a question without an answer says why.
func (c *Caches) Answers(ctx context.Context, asker Asker, in component.Input, questions []component.Question) map[string]component.Answer {
	answers := map[string]component.Answer{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	ask := func(key string, request Request) {
		wg.Go(func() {
			answer := asker.Ask(ctx, request)
			mu.Lock()
			defer mu.Unlock()
			answers[key] = answer
		})
	}
	for _, question := range questions {
		request := Request{URL: question.URL}
		if question.Authenticated {
			request.Credentials = in.Credentials
		}
		if question.ReplicasOf == "" {
			ask(question.Key, request)
			continue
		}
		addresses, err := c.Addresses(ctx, in.KubeBot.Namespace, question.ReplicasOf)
		if err != nil {
			mu.Lock()
			answers[question.Key] = component.Answer{Err: err.Error()}
			mu.Unlock()
			continue
		}
		for i, address := range addresses {
			one := request
			one.Address = address
			ask(question.Key+"/"+strconv.Itoa(i), one)
		}
	}
	wg.Wait()
	return answers
}

// hostPort puts the port of a URL's host behind another address.
func hostPort(address, host string) string {
	_, port, err := net.SplitHostPort(host)
	if err != nil {
		return strings.TrimSuffix(net.JoinHostPort(address, ""), ":")
	}
	return net.JoinHostPort(address, port)
}
