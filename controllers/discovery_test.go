package controllers_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
	"github.com/kubebot/kubebot/internal/naming"
)

// hideGroup returns a configuration for whose user the list of API groups lacks one while hidden is true, as that of an
// API server does that has just started: it serves what it does not list yet.
func hideGroup(config *rest.Config, group string, hidden *atomic.Bool) *rest.Config {
	config = rest.CopyConfig(config)
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return transport(func(req *http.Request) (*http.Response, error) {
			answer, err := next.RoundTrip(req)
			if err != nil || req.URL.Path != "/apis" || !hidden.Load() || answer.StatusCode != http.StatusOK {
				return answer, err
			}
			defer answer.Body.Close()
			var list map[string]any
			if err := json.NewDecoder(answer.Body).Decode(&list); err != nil {
				return nil, err
			}
			items, ok := list["items"].([]any)
			if !ok {
				return nil, fmt.Errorf("the list of groups has no items: %v", list)
			}
			var left []any
			for _, item := range items {
				if item.(map[string]any)["metadata"].(map[string]any)["name"] != group {
					left = append(left, item)
				}
			}
			list["items"] = left
			body, err := json.Marshal(list)
			answer.Body, answer.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
			answer.Header.Del("Content-Length")
			return answer, err
		})
	})
	return config
}

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// picky is rules() as a component that asks itself what the cluster has.
func picky() *fake {
	f := rules()
	build := f.build
	f.name = "picky"
	f.build = func(in component.Input) ([]client.Object, error) {
		if !in.Cluster.Kinds[monitoringv1.SchemeGroupVersion.WithKind(monitoringv1.PrometheusRuleKind)] {
			return nil, nil
		}
		objects, err := build(in)
		if err == nil {
			objects[0].SetName("main-picky")
			objects[0].SetLabels(naming.Labels(in.KubeBot, "picky"))
		}
		return objects, err
	}
	return f
}

func TestWhatTheAPIServerDoesNotListForAMomentIsNotRemoved(t *testing.T) {
	b := newBench(t, rules(), picky(), web())
	remove := b.installOperator()
	defer remove()
	var hidden atomic.Bool
	b.options.Config = hideGroup(b.options.Config, "monitoring.coreos.com", &hidden)
	kb := b.start().kubebot(b.ns, "main")
	b.ready(kb)
	uids := func() (out [2]types.UID) {
		for i, name := range []string{"main-rules", "main-picky"} {
			rule := &monitoringv1.PrometheusRule{}
			b.get(rule, b.ns, name)
			out[i] = rule.UID
		}
		return out
	}
	before := uids()
	pass := func(name string) {
		b.clock.forward(time.Minute)
		b.update(kb, func(kb *v1alpha1.KubeBot) { kb.Spec.ClusterName = name })
	}
	hidden.Store(true)
	pass("one")
	live := b.condition(kb, "RulesReady", metav1.ConditionFalse, v1alpha1.ReasonCRDsMissing)
	if len(live.Status.Inventory) != 6 {
		t.Errorf("the inventory is %v", live.Status.Inventory)
	}
	hidden.Store(false)
	pass("two")
	b.ready(kb)
	if after := uids(); after != before {
		t.Errorf("the rules were %s and are %s", before, after)
	}
	b.stop()
}
