package webhook

// Waiting returns how many bodies the sink keeps for repeats.
func Waiting(s *Sink) int { return len(s.sent.order) }
