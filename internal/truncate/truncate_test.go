package truncate

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestTextsAreCutBetweenCharacters(t *testing.T) {
	for _, c := range []struct {
		name, text    string
		limit         int
		bytes, dotted string
	}{
		{"nothing to cut", "pod", 3, "pod", "pod"},
		{"empty", "", 0, "", ""},
		{"between two", "pods", 3, "pod", "pod…"},
		{"in a character of two bytes", "aé", 2, "a", "a…"},
		{"in a character of three", "語語", 5, "語", "語…"},
		{"in the first character", "語", 2, "", "…"},
		{"no room", "pod", 0, "", "…"},
		{"not UTF-8", "a\xffbc", 3, "ab", "ab…"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Bytes(c.text, c.limit); got != c.bytes {
				t.Errorf("Bytes: got %q, want %q", got, c.bytes)
			}
			if got := Ellipsis(c.text, c.limit); got != c.dotted {
				t.Errorf("Ellipsis: got %q, want %q", got, c.dotted)
			}
		})
	}
}

func FuzzBytes(f *testing.F) {
	f.Add("pod 語", 5)
	f.Fuzz(func(t *testing.T, text string, limit int) {
		if limit < 0 {
			return
		}
		got := Bytes(text, limit)
		if len(got) > limit || utf8.ValidString(text) && (!strings.HasPrefix(text, got) || len(text) > limit && len(got) < limit-3) {
			t.Errorf("Bytes(%q, %d) is %q", text, limit, got)
		}
	})
}
