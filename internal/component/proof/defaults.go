package proof

import "time"

// patience is how old a proof may be, and how long the first may take: five proofs, and longer than a store is away
// while it is replaced.
const patience = 5 * time.Minute

const (
	// mute is after how long without a proof of events their watcher is restarted while lines still come through: three
	// proofs, and short enough that the next comes before patience ends.
	mute = 3 * time.Minute
	// lately is how young the proof of lines must be then: two proofs.
	lately = 2 * time.Minute
)
