// Package secretfile reads the values of Secrets that are mounted as files, or handed out by a Source. They are read at each use, so that a Secret
// that is added or rotated works without a restart.
package secretfile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// maxBytes is far above any token, key or URL; a Secret as a whole is at most 1 MiB.
const maxBytes = 64 << 10

// Ref names a file and the Secret that it comes from.
type Ref struct {
	// File is the path in this process's file system; empty for none.
	File string
	// Secret and Key name the source, for messages.
	Secret, Key string
	// Source hands out the value instead of a file; nil for a file.
	Source Source
}

// Source hands out values of Secrets that are not mounted.
type Source interface {
	// Value returns the value of a key of a Secret. The error holds no part of it.
	Value(secret, key string) (string, error)
	// Remedy says what to do about a value that can't be read; purpose is what it is for.
	Remedy(secret, key, purpose string) string
}

// Given tells whether the reference names anything.
func (r Ref) Given() bool { return r.File != "" || r.Source != nil }

// ErrEmpty means that the file is there and holds nothing.
var ErrEmpty = errors.New("empty")

// Read returns the value without surrounding white space. The error wraps fs.ErrNotExist when the file is missing and
// ErrEmpty when it is empty, and holds no part of the value.
func Read(ref Ref) (string, error) {
	if ref.Source != nil {
		value, err := ref.Source.Value(ref.Secret, ref.Key)
		if err != nil {
			return "", fmt.Errorf("read secret %s: %w", ref.Secret, err)
		}
		return trimmed(ref, value)
	}
	f, err := os.Open(ref.File)
	if err != nil {
		return "", fmt.Errorf("open the file of secret %s: %w", ref.Secret, err)
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, maxBytes))
	if err != nil {
		return "", fmt.Errorf("read the file of secret %s: %w", ref.Secret, err)
	}
	return trimmed(ref, string(data))
}

func trimmed(ref Ref, value string) (string, error) {
	value = strings.TrimSpace(value)
	if value == "" {
		return "", fmt.Errorf("key %s of secret %s: %w", ref.Key, ref.Secret, ErrEmpty)
	}
	return value, nil
}

// Missing says what to do about a value that can't be read; purpose is what it is for, such as "the Slack bot token".
func Missing(ref Ref, purpose string) string {
	if ref.Source != nil {
		return ref.Source.Remedy(ref.Secret, ref.Key, purpose)
	}
	return fmt.Sprintf("Secret %q has no usable key %q: put %s there; it is picked up within about a minute, without a restart.",
		ref.Secret, ref.Key, purpose)
}
