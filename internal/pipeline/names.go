// Package pipeline turns alerts into Incidents and Incidents into messages. The Incident object is the only state: any
// replica can die at any moment and another goes on from what is stored. Writes are compare-and-swap by
// resourceVersion; what is done to an Incident in one pass is computed by pure functions (Apply, plan, claim).
package pipeline

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/kubebot/kubebot/internal/truncate"
)

// IncidentName returns the name of an Incident: a hash of the KubeBot's UID and the group key, and the running number.
// Two replicas that open the same Incident collide on it.
func IncidentName(kubeBotUID, groupKey string, number int64) string {
	sum := sha256.Sum256([]byte(kubeBotUID + "\x00" + groupKey))
	return "inc-" + hex.EncodeToString(sum[:8]) + "-" + strconv.FormatInt(number, 10)
}

// deliveryKey identifies one transition of an Incident for one receiver for ever.
func deliveryKey(incident types.UID, receiver string, sequence int64) string {
	sum := sha256.Sum256([]byte(string(incident) + "\x00" + receiver + "\x00" + strconv.FormatInt(sequence, 10)))
	return hex.EncodeToString(sum[:16])
}

// digestKey identifies the digest for one receiver that is due at a time.
func digestKey(kubeBot, namespace, receiver string, due time.Time) string {
	sum := sha256.Sum256([]byte("digest\x00" + namespace + "\x00" + kubeBot + "\x00" + receiver + "\x00" + strconv.FormatInt(due.UnixMicro(), 10)))
	return hex.EncodeToString(sum[:16])
}

// cut returns s, or its first bytes up to limit that are whole characters.
func cut(s string, limit int) string { return truncate.Bytes(s, limit) }
