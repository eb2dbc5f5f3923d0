package responder

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// stackFor is how long the addresses of KubeBot's own namespace are taken as known. A pod that starts takes about as long
// until it answers, so that no address is called while nobody knows whose it is.
const stackFor = 5 * time.Second

// stack knows the addresses of the Services and pods in KubeBot's own namespace. It is safe for concurrent use.
type stack struct {
	reader    client.Reader
	namespace string
	now       func() time.Time
	log       logr.Logger

	mu        sync.Mutex
	addresses map[netip.Addr]bool
	read      time.Time
}

// has tells whether an address is one of them. It fails when they can't be read.
func (s *stack) has(ctx context.Context, address netip.Addr) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.read.IsZero() || s.now().Sub(s.read) >= stackFor {
		began := s.now()
		addresses, err := s.list(ctx)
		if err != nil {
			s.log.Error(err, "Receivers of teams are not called: nobody knows whether they lead into KubeBot's own namespace")
			return false, err
		}
		s.addresses, s.read = addresses, began
	}
	return s.addresses[address.Unmap()], nil
}

func (s *stack) list(ctx context.Context) (map[netip.Addr]bool, error) {
	var services corev1.ServiceList
	if err := s.reader.List(ctx, &services, client.InNamespace(s.namespace)); err != nil {
		return nil, fmt.Errorf("list the Services of KubeBot's own namespace: %w", err)
	}
	var pods corev1.PodList
	if err := s.reader.List(ctx, &pods, client.InNamespace(s.namespace)); err != nil {
		return nil, fmt.Errorf("list the pods of KubeBot's own namespace: %w", err)
	}
	addresses := map[netip.Addr]bool{}
	add := func(text string) {
		if a, err := netip.ParseAddr(text); err == nil { // a headless Service has the address None
			addresses[a.Unmap()] = true
		}
	}
	for i := range services.Items {
		for _, ip := range services.Items[i].Spec.ClusterIPs {
			add(ip)
		}
	}
	for i := range pods.Items {
		pod := &pods.Items[i]
		if pod.Spec.HostNetwork || pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
			continue // its addresses are the node's, or somebody else's by now
		}
		for _, ip := range pod.Status.PodIPs {
			add(ip.IP)
		}
	}
	return addresses, nil
}
