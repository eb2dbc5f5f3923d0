package pattern

import "testing"

func TestLinesOfOneStatementShareAPattern(t *testing.T) {
	for name, c := range map[string]struct {
		lines []string
		want  string // text of the pattern of all lines
	}{
		"numbers":            {[]string{"user 17 logged in", "user 4711 logged in"}, "user <*> logged in"},
		"words that differ":  {[]string{"open file for alice in home now", "open file for bob in home now"}, "open file for <*> in home now"},
		"place in the code":  {[]string{"10:00:00.123 INFO Order#31 total 5", "10:00:01.456 INFO Order#31 total is none"}, "Order#31 total <*>"},
		"source file":        {[]string{"main.go:12 started x", "main.go:12 started y"}, "main.go:12 started <*>"},
		"values after equal": {[]string{"done id=5", "done id=77"}, "done id=<*>"},
	} {
		t.Run(name, func(t *testing.T) {
			tab := NewTable()
			id := tab.Match(c.lines[0], "")
			for _, l := range c.lines[1:] {
				if got := tab.Match(l, ""); got != id {
					t.Errorf("%q has pattern %d, want %d", l, got, id)
				}
			}
			if got := tab.Text(id); got != c.want {
				t.Errorf("text %q, want %q", got, c.want)
			}
		})
	}
}

func TestDifferentStatementsStayApart(t *testing.T) {
	for name, lines := range map[string][2]string{
		"places":     {"INFO Order#31 a", "INFO Order#34 a"},
		"severities": {"INFO Order#31 a", "ERROR Order#31 a"},
		"lengths":    {"a b c", "a b c d"},
		"words":      {"cache miss for key", "queue full for topic"},
	} {
		tab := NewTable()
		if tab.Match(lines[0], "") == tab.Match(lines[1], "") {
			t.Errorf("%s: %q and %q share a pattern", name, lines[0], lines[1])
		}
	}
}

func TestSeverity(t *testing.T) {
	tab := NewTable()
	for line, want := range map[string]string{
		"2026-01-01 10:00:00 [ERROR] disk": "error", "level=warn slow": "warn", "no severity here": "", "FATAL out of memory": "fatal",
	} {
		if got := tab.Severity(tab.Match(line, "")); got != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
	if got := NormalSeverity("Error2"); got != "error" {
		t.Errorf("OTLP name Error2 is %q", got)
	}
}

func TestTableIsBounded(t *testing.T) {
	tab := NewTable()
	word := []byte("aaaa bbbb")
	for i := range 3 * maxPerTable {
		word[0], word[1], word[2] = byte('a'+i%26), byte('a'+i/26%26), byte('a'+i/676)
		tab.Match(string(word), "")
	}
	if tab.Len() != maxPerTable+1 || tab.Text(maxPerTable) != Overflow {
		t.Errorf("%d patterns, want %d and the overflow", tab.Len(), maxPerTable)
	}
}

func FuzzMatch(f *testing.F) {
	f.Add("16:42:22.382 INFO t.s.Travel#532 [a][b] x=1", "")
	f.Add("\x00\xff {\"a\":1}", "Error2")
	f.Fuzz(func(t *testing.T, line, severity string) {
		tab := NewTable()
		a := tab.Match(line, severity)
		if b := tab.Match(line, severity); a != b {
			t.Errorf("the same line got patterns %d and %d", a, b)
		}
	})
}
