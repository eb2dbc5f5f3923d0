package webhook

import "sync"

// maxSent and maxSentBytes bound what is remembered of bodies that have not been accepted yet. A body of 500 alerts is
// some 500 KB; what is forgotten is built again.
const (
	maxSent      = 1024
	maxSentBytes = 8 << 20
)

// sentBodies remembers bodies by key, so that a repeat by the same process has the same bytes whatever has become of
// the incident. The oldest are forgotten first.
type sentBodies struct {
	mu     sync.Mutex
	bodies map[string][]byte
	order  []string
	size   int
}

func (s *sentBodies) recall(key string) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bodies[key]
}

func (s *sentBodies) remember(key string, body []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(key)
	if s.bodies == nil {
		s.bodies = map[string][]byte{}
	}
	s.bodies[key] = body
	s.order = append(s.order, key)
	s.size += len(body)
	for len(s.order) > maxSent || s.size > maxSentBytes && len(s.order) > 1 {
		s.drop(s.order[0])
	}
}

func (s *sentBodies) forget(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(key)
}

// drop removes a key. The caller holds the lock.
func (s *sentBodies) drop(key string) {
	body, ok := s.bodies[key]
	if !ok {
		return
	}
	s.size -= len(body)
	delete(s.bodies, key)
	for i, k := range s.order {
		if k == key {
			s.order = append(s.order[:i], s.order[i+1:]...)
			return
		}
	}
}
