package dashboards

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzReason checks that of Grafana's own words nothing is repeated but a short text.
func FuzzReason(f *testing.F) {
	f.Add(`{"message":"Dashboard not found"}`)
	f.Add(`{"message":"` + strings.Repeat("é", 400) + `"}`)
	f.Add(`<html>`)
	f.Fuzz(func(t *testing.T, body string) {
		if got := reason(strings.NewReader(body)); len(got) > maxReason+len("…") || !utf8.ValidString(got) || strings.ContainsAny(got, "\r\n\t") {
			t.Errorf("%q gives %q", body, got)
		}
	})
}
