package proof

import "time"

// patience is how old a proof may be, and how long the first may take: five proofs, and longer than a store is away
// while it is replaced.
const patience = 5 * time.Minute
