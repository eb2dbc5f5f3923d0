package slack

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestLineMakesDataLiteral(t *testing.T) {
	for name, c := range map[string]struct {
		data  string
		limit int
		want  string
	}{
		"plain":                              {"checkout-5d9f", 40, "checkout-5d9f"},
		"control characters of Slack":        {"a<b>&c", 40, "a&lt;b&gt;&amp;c"},
		"what is escaped already":            {"&lt;!here&gt;", 40, "&amp;lt;!here&amp;gt;"},
		"a mention":                          {"<!channel>", 40, "&lt;!channel&gt;"},
		"a bare mention":                     {"@Here @everyone", 40, "\uFF20Here \uFF20everyone"},
		"a mention split by a zero width":    {"@he\u200bre", 40, "\uFF20here"},
		"a mention split by a soft hyphen":   {"@chan\u00adnel", 40, "\uFF20channel"},
		"a mention split by a filler":        {"@he\u3164re", 40, "\uFF20here"},
		"text turned around":                 {"abc\u202edef\u2066", 40, "abcdef"},
		"line breaks":                        {" a\r\n\tb\u2028c\x00d ", 40, "a b c d"},
		"no UTF-8":                           {"a\xffb", 40, "a\uFFFDb"},
		"as long as the limit":               {"abcde", 5, "abcde"},
		"longer than the limit":              {"abcdef", 5, "abcd…"},
		"an escape at the limit is not cut":  {"abc&", 5, "abc…"},
		"an escape that just fits":           {"&", 5, "&amp;"},
		"a pair of surrogates counts as two": {"💥💥💥", 5, "💥💥…"},
		"a mention survives no cut":          {"@here is where it is", 6, "\uFF20here…"},
		"many words":                         {"two  words", 40, "two words"},
	} {
		if got := line(c.data, c.limit); got != c.want {
			t.Errorf("%s: %q gives %q, want %q", name, c.data, got, c.want)
		}
	}
}

func TestLinesKeepsLineBreaks(t *testing.T) {
	if got := lines("a\r\n  b <\n", 40); got != "a\n  b &lt;" {
		t.Errorf("got %q", got)
	}
}

func FuzzText(f *testing.F) {
	for _, seed := range []string{"", "<!channel>", "@here", "<https://a|b>", "&amp;", "\u202e\u200b@\u200dhere", "💥&<>", "\xff\xfe", "@\uff20here", "ａ@ＨＥＲＥ"} {
		f.Add(seed, 150)
	}
	f.Fuzz(func(t *testing.T, data string, limit int) {
		limit = 8 + limit&0xfff
		for _, got := range []string{line(data, limit), lines(data, limit)} {
			if !utf8.ValidString(got) {
				t.Errorf("%q is no UTF-8", got)
			}
			if units(got) > limit {
				t.Errorf("%q has %d units, more than %d", got, units(got), limit)
			}
			if strings.ContainsAny(got, "<>\x00\r\u200b\u200c\u200d\u2060\u202a\u202b\u202d\u202e\u2066\u2067\u2068\u2069\ufeff\u00ad") {
				t.Errorf("%q holds what it must not", got)
			}
			if strings.Contains(strings.NewReplacer("&amp;", "", "&lt;", "", "&gt;", "").Replace(got), "&") {
				t.Errorf("%q holds half an escape", got)
			}
			if massMention.MatchString(got) {
				t.Errorf("%q holds a mention", got)
			}
		}
	})
}
