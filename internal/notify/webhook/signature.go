package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// Headers of a request.
const (
	// HeaderKey carries the key of the change, the same at each repeat
	// (https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/).
	HeaderKey = "Idempotency-Key"
	// HeaderTimestamp is when the request was made, in seconds since 1970.
	HeaderTimestamp = "X-Kubebot-Timestamp"
	// HeaderSignature is v1= and the hexadecimal HMAC-SHA256 of "v1:<timestamp>:<body>" with the signing key.
	HeaderSignature = "X-Kubebot-Signature"
)

// MaxAge is how old a request may be that Verify takes; as with Slack's own signatures, which these are modelled on
// (https://docs.slack.dev/authentication/verifying-requests-from-slack).
const MaxAge = 5 * time.Minute

// Errors of Verify.
var (
	ErrSignature = errors.New("the signature is missing or wrong")
	ErrStale     = errors.New("the timestamp is missing or too far from now")
)

// Sign returns the value of HeaderSignature.
func Sign(key []byte, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, key)
	_, _ = fmt.Fprintf(mac, "v1:%s:", timestamp)
	_, _ = mac.Write(body)
	return "v1=" + hex.EncodeToString(mac.Sum(nil))
}

// Verify checks a request as a receiver should: ErrSignature if it was not signed with the key, ErrStale if it is
// older than MaxAge or from the future by as much, so that a recorded request is of no use later.
func Verify(key []byte, h http.Header, body []byte, now time.Time) error {
	timestamp := h.Get(HeaderTimestamp)
	if !hmac.Equal([]byte(Sign(key, timestamp, body)), []byte(h.Get(HeaderSignature))) {
		return ErrSignature
	}
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || now.Sub(time.Unix(seconds, 0)).Abs() > MaxAge {
		return ErrStale
	}
	return nil
}
