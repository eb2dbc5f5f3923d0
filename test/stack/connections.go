package stack

import (
	"bufio"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
)

// Flow is a connection as connection tracking has it. To and Port are where it really went, after the translation of
// Service addresses.
type Flow struct {
	From, To string
	Protocol corev1.Protocol
	Port     int32
}

// Connection is a flow with the pods and policies of its time.
type Connection struct {
	Flow
	Source, Target End
	// Policies of its time, and those of shortly before, by which pods act that are being replaced.
	Policies []networkingv1.NetworkPolicy
}

// Connections collects the connections of a local cluster, and what is needed to judge them: pods by address and
// policies, each over time.
type Connections struct {
	mu         sync.Mutex
	flows      map[Flow][]time.Time // first of each step
	pods       map[types.UID]*corev1.Pod
	namespaces map[string]map[string]string
	policies   map[types.UID][]policyVersion
	broken     error
}

type policyVersion struct {
	policy   networkingv1.NetworkPolicy
	from, to time.Time
}

// step is how exactly the time of a flow is kept.
const step = 5 * time.Second

// rollout is how long the pods of a component may take to be replaced, draining and start included.
const rollout = 2 * time.Minute

// WatchConnections collects until the context is done. It needs a local cluster.
func (c *Cluster) WatchConnections(ctx context.Context) (*Connections, error) {
	s := &Connections{
		flows: map[Flow][]time.Time{}, pods: map[types.UID]*corev1.Pod{},
		namespaces: map[string]map[string]string{}, policies: map[types.UID][]policyVersion{},
	}
	factory := informers.NewSharedInformerFactory(c.Kube, 0)
	for _, informer := range []cache.SharedIndexInformer{
		factory.Core().V1().Pods().Informer(), factory.Core().V1().Namespaces().Informer(),
		factory.Networking().V1().NetworkPolicies().Informer(),
	} {
		if _, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc: s.saw, UpdateFunc: func(_, now any) { s.saw(now) }, DeleteFunc: s.gone,
		}); err != nil {
			return nil, fmt.Errorf("watch pods and policies: %w", err)
		}
	}
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())

	cmd := c.command(ctx, "kubebot-cluster", "exec", "--name", c.Name, "--", "conntrack", "-E", "-e", "NEW", "-b", "8388608")
	events, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("watch connections: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("watch connections: %w", err)
	}
	go func() {
		for in := bufio.NewScanner(events); in.Scan(); {
			if flow, ok := ParseFlow(in.Text()); ok {
				s.add(flow, time.Now())
			}
		}
		err := cmd.Wait()
		if ctx.Err() == nil {
			s.mu.Lock()
			s.broken = fmt.Errorf("conntrack ended: %w", err)
			s.mu.Unlock()
		}
	}()
	return s, nil
}

// ParseFlow reads a line of `conntrack -E -e NEW`; false for all but new TCP and UDP connections. TCP connections that
// were picked up in the middle have no certain direction and are left out.
func ParseFlow(line string) (Flow, bool) {
	fields := strings.Fields(line)
	if len(fields) < 2 || fields[0] != "[NEW]" {
		return Flow{}, false
	}
	flow := Flow{Protocol: corev1.Protocol(strings.ToUpper(fields[1]))}
	switch flow.Protocol {
	case corev1.ProtocolTCP:
		if !slices.Contains(fields, "SYN_SENT") {
			return Flow{}, false
		}
	case corev1.ProtocolUDP:
	default:
		return Flow{}, false
	}
	// The first tuple is what the caller sent, the second what is expected to come back.
	sources := 0
	for _, f := range fields {
		key, value, _ := strings.Cut(f, "=")
		switch {
		case key == "src" && sources == 0:
			flow.From, sources = value, 1
		case key == "src":
			flow.To, sources = value, 2
		case key == "sport" && sources == 2:
			port, err := strconv.ParseUint(value, 10, 16)
			if err != nil {
				return Flow{}, false
			}
			flow.Port = int32(port)
		}
	}
	return flow, flow.From != "" && flow.To != "" && flow.Port > 0
}

func (s *Connections) add(flow Flow, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if seen := s.flows[flow]; len(seen) == 0 || at.Sub(seen[len(seen)-1]) > step {
		s.flows[flow] = append(seen, at)
	}
}

func (s *Connections) saw(object any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch o := object.(type) {
	case *corev1.Namespace:
		s.namespaces[o.Name] = o.Labels
	case *corev1.Pod:
		if o.Status.PodIP != "" {
			s.pods[o.UID] = o
		}
	case *networkingv1.NetworkPolicy:
		s.closePolicy(o.UID)
		s.policies[o.UID] = append(s.policies[o.UID], policyVersion{policy: *o, from: time.Now()})
	}
}

func (s *Connections) gone(object any) {
	if unknown, ok := object.(cache.DeletedFinalStateUnknown); ok {
		object = unknown.Obj
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if o, ok := object.(*networkingv1.NetworkPolicy); ok {
		s.closePolicy(o.UID)
	}
}

func (s *Connections) closePolicy(uid types.UID) {
	if versions := s.policies[uid]; len(versions) > 0 && versions[len(versions)-1].to.IsZero() {
		versions[len(versions)-1].to = time.Now()
	}
}

// Seen returns what was collected so far, each flow at most once per step of 5 s, or why it is not complete.
func (s *Connections) Seen() ([]Connection, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Connection
	for flow, times := range s.flows {
		for _, at := range times {
			all = append(all, Connection{
				Flow: flow, Source: s.end(flow.From, at), Target: s.end(flow.To, at),
				Policies: s.policiesBetween(at.Add(-rollout), at),
			})
		}
	}
	return all, s.broken
}

// end finds the pod that had the address at a time: the last one that was started before. Pods in the host network have
// the address of their node and stay that.
func (s *Connections) end(ip string, at time.Time) End {
	end := End{IP: ip}
	for _, pod := range s.pods {
		if pod.Spec.HostNetwork || pod.Status.PodIP != ip || pod.Status.StartTime == nil || pod.Status.StartTime.After(at) {
			continue
		}
		if end.Pod == nil || end.Pod.Status.StartTime.Before(pod.Status.StartTime) {
			end.Pod, end.NamespaceLabels = pod, s.namespaces[pod.Namespace]
		}
	}
	return end
}

// policiesBetween returns every version of a policy that held at some time between the two. What any of them allows is
// allowed, as always with policies, and a pod that any of them selects is isolated.
func (s *Connections) policiesBetween(begin, end time.Time) []networkingv1.NetworkPolicy {
	var all []networkingv1.NetworkPolicy
	for _, versions := range s.policies {
		for _, v := range versions {
			if !v.from.After(end) && (v.to.IsZero() || v.to.After(begin)) {
				all = append(all, v.policy)
			}
		}
	}
	return all
}
