// Package teams turns AlertRoutes into routes and receivers of the pipeline, and tells each team what became of its route.
package teams

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/internal/notify/secretfile"
)

const (
	// SharedSecret is the one name that the shipped ClusterRole is for: a team that keeps its tokens there needs to make
	// a RoleBinding only.
	SharedSecret = "kubebot-receivers"
	// keepFor is how long a Secret that was read counts: receivers are checked every few seconds.
	keepFor = 20 * time.Second
	// readTime bounds a read.
	readTime = 3 * time.Second
)

// Account is who reads Secrets.
type Account struct {
	// ServiceAccount of the responder, in Namespace.
	Namespace, ServiceAccount string
	// ClusterRole is the shipped one for SharedSecret.
	ClusterRole string
}

// errNoKey means that the Secret is there and has no such key.
var errNoKey = errors.New("no such key")

// secrets reads the Secrets of one namespace by name, each when it is used. It is a secretfile.Source.
type secrets struct {
	client    client.Client
	account   Account
	namespace string
	now       func() time.Time

	mu   sync.Mutex
	read map[string]reading
}

// reading is how the last read of a Secret ended.
type reading struct {
	data map[string][]byte
	err  error
	at   time.Time
}

var _ secretfile.Source = (*secrets)(nil)

// Value implements secretfile.Source.
func (s *secrets) Value(secret, key string) (string, error) {
	r := s.get(secret)
	if r.err != nil {
		return "", r.err
	}
	value, ok := r.data[key]
	if !ok {
		return "", errNoKey
	}
	return string(value), nil
}

func (s *secrets) get(name string) reading {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r, ok := s.read[name]; ok && s.now().Sub(r.at) < keepFor {
		return r
	}
	ctx, cancel := context.WithTimeout(context.Background(), readTime)
	defer cancel()
	var object corev1.Secret
	err := s.client.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: name}, &object)
	if s.read == nil {
		s.read = map[string]reading{}
	}
	s.read[name] = reading{data: object.Data, err: err, at: s.now()}
	return s.read[name]
}

// Remedy implements secretfile.Source.
func (s *secrets) Remedy(secret, key, purpose string) string {
	r := s.get(secret)
	switch {
	case apierrors.IsForbidden(r.err):
		return fmt.Sprintf("The responder may not read Secret %q: run %s", secret, s.grant(secret))
	case r.err != nil && !apierrors.IsNotFound(r.err):
		return fmt.Sprintf("Secret %q can't be read now: the API server does not answer.", secret)
	}
	return fmt.Sprintf("Secret %q in namespace %s has no usable key %q: put %s there.", secret, s.namespace, key, purpose)
}

// grant is the command by which a team lets the responder read one Secret.
func (s *secrets) grant(secret string) string {
	binding := fmt.Sprintf("kubectl create rolebinding %s-responder -n %s --serviceaccount=%s:%s",
		secret, s.namespace, s.account.Namespace, s.account.ServiceAccount)
	if secret == SharedSecret {
		return binding + " --clusterrole=" + s.account.ClusterRole
	}
	return fmt.Sprintf("kubectl create role %s-reader -n %s --verb=get --resource=secrets --resource-name=%s && %s --role=%s-reader",
		secret, s.namespace, secret, binding, secret)
}

// forbidden tells whether one of the Secrets that were read may not be.
func (s *secrets) forbidden() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.read {
		if apierrors.IsForbidden(r.err) {
			return true
		}
	}
	return false
}
