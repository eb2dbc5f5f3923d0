package trial

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzWords checks that what a program says of a user's part becomes a short text without the secrets of that part.
func FuzzWords(f *testing.F) {
	f.Add("exporters:\n  otlp: {headers: {api_key: planted-secret}}\n", "error: bad header planted-secret in line 2")
	f.Add("a: &a [*a]", "x")
	f.Add("- password: \"pass\"\n- ? {token: abcd}\n  : 1\n", strings.Repeat("é", 700))
	f.Fuzz(func(t *testing.T, input, said string) {
		s := Subject{Explain: func(_, said string) string { return said }}
		got := s.words(input, said)
		if got == "" || len(got) > wordsLength+len("…") || utf8.ValidString(said) && !utf8.ValidString(got) {
			t.Errorf("%q becomes %q", said, got)
		}
	})
}

// FuzzRecord checks that a record that anybody may have written is read as what is known, or as nothing.
func FuzzRecord(f *testing.F) {
	f.Add(`{"hash":"x","files":{"a":"b"}}`, `{"y":"why"}`)
	f.Add(`{"hash":"","files":null}`, `null`)
	f.Add(``, `{"y":1}`)
	f.Fuzz(func(t *testing.T, accepted, refused string) {
		r := readRecord(map[string]string{keyAccepted: accepted, keyRefused: refused})
		if r.Refused == nil || r.Accepted != nil && (r.Accepted.Hash == "" || len(r.Accepted.Files) == 0) {
			t.Errorf("%+v", r)
		}
	})
}
