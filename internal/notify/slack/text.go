package slack

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf16"
)

// ellipsis ends a text that was cut.
const ellipsis = "…"

// massMention is what Slack's clients offer to turn into a mention of many people.
var massMention = regexp.MustCompile(`(?i)@(here|channel|everyone|group)`)

// invisible are letters without a shape, which the categories of control and format characters don't hold.
var invisible = map[rune]bool{'\u115F': true, '\u1160': true, '\u3164': true, '\uFFA0': true, '\u2800': true}

// line makes data safe to show on one line, in at most limit characters (UTF-16 units, the widest that Slack may count).
func line(data string, limit int) string {
	return literal(strings.Join(strings.Fields(clean(data)), " "), limit)
}

// lines makes data safe to show and keeps its line breaks, in at most limit characters.
func lines(data string, limit int) string {
	return literal(strings.TrimSpace(clean(data)), limit)
}

// clean drops what can't be seen and could hide or turn text around (zero-width, bidirectional and other format
// characters), makes control characters spaces, and takes the meaning from mass mentions.
func clean(data string) string {
	visible := strings.Map(func(r rune) rune {
		switch {
		case r == '\n':
			return r
		case r == '\r':
			return -1
		case unicode.Is(unicode.Cf, r), unicode.Is(unicode.Co, r), unicode.Is(unicode.Cs, r), unicode.Is(unicode.Variation_Selector, r), invisible[r]:
			return -1
		case unicode.IsControl(r), unicode.Is(unicode.Zl, r), unicode.Is(unicode.Zp, r):
			return ' '
		}
		return r
	}, strings.ToValidUTF8(data, "\uFFFD"))
	return massMention.ReplaceAllString(visible, "\uFF20$1")
}

// literal escapes Slack's three control characters (https://docs.slack.dev/messaging/formatting-message-text#escaping)
// and cuts between characters, never inside an escape.
func literal(text string, limit int) string {
	var b strings.Builder
	left := limit
	room := widths(text) <= limit
	for _, r := range text {
		piece, width := escape(r), widths(string(r))
		if !room && left-width < 1 {
			b.WriteString(ellipsis)
			break
		}
		b.WriteString(piece)
		left -= width
	}
	return b.String()
}

// widths returns how many UTF-16 units a text has once escaped.
func widths(text string) int {
	n := 0
	for _, r := range text {
		n += units(escape(r))
	}
	return n
}

// units returns how many UTF-16 units an escaped text has.
func units(escaped string) int {
	n := 0
	for _, r := range escaped {
		n += max(1, utf16.RuneLen(r))
	}
	return n
}

// escape returns one character as Slack is to show it.
func escape(r rune) string {
	switch r {
	case '&':
		return "&amp;"
	case '<':
		return "&lt;"
	case '>':
		return "&gt;"
	}
	return string(r)
}
