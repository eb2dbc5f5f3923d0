// Package truncate cuts texts to lengths in bytes, whole characters only.
package truncate

import "strings"

// Bytes returns s, or what is whole of its first limit bytes.
func Bytes(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "")
}

// Ellipsis returns s, or what is whole of its first limit bytes and an ellipsis after them.
func Ellipsis(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return Bytes(s, limit) + "…"
}
