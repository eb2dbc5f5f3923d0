// Package picture draws the series that decided that an alert fires: the expression of its rule without the comparison,
// around the time of the incident, with the threshold as a line.
package picture

import (
	"regexp"
	"strconv"
	"strings"
)

// decisive is the part of a rule's expression that is worth seeing.
type decisive struct {
	// expr is what is compared.
	expr string
	// threshold that it is compared with, if there is one number.
	threshold float64
	limited   bool
}

var (
	// compared is a comparison with a number at the end of an expression, which has no other number after it.
	compared = regexp.MustCompile(`^(>=|<=|==|!=|>|<)\s*(bool\s+)?(-?[0-9][0-9.eE+-]*)$`)
	setWords = []string{"and", "unless", "or"}
)

// take returns what an expression compares: the first side of and, unless and or, without the comparison with a number.
// An expression that it does not understand is kept as it is: Prometheus decides what is valid.
func take(expr string) decisive {
	expr = strings.TrimSpace(expr)
	for {
		before := expr
		if at := topLevel(expr, func(rest string, word bool) bool { return word && startsWithWord(rest) }); at > 0 {
			expr = strings.TrimSpace(expr[:at])
		}
		if inner, ok := unwrapped(expr); ok {
			expr = inner
		}
		if expr == before {
			break
		}
	}
	at := topLevel(expr, func(rest string, _ bool) bool { return compared.MatchString(strings.TrimSpace(rest)) })
	if at <= 0 {
		return decisive{expr: expr}
	}
	parts := compared.FindStringSubmatch(strings.TrimSpace(expr[at:]))
	limit, err := strconv.ParseFloat(parts[3], 64)
	if err != nil {
		return decisive{expr: expr}
	}
	left := strings.TrimSpace(expr[:at])
	if inner, ok := unwrapped(left); ok {
		left = inner
	}
	return decisive{expr: left, threshold: limit, limited: true}
}

func startsWithWord(rest string) bool {
	for _, word := range setWords {
		if len(rest) > len(word) && strings.EqualFold(rest[:len(word)], word) && !nameByte(rest[len(word)]) {
			return true
		}
	}
	return false
}

func nameByte(c byte) bool {
	return c == '_' || c == ':' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// topLevel returns the first place outside of brackets and strings at which found says so; word tells that a name may
// begin there. It returns -1 when there is none, or the brackets don't match.
func topLevel(expr string, found func(rest string, word bool) bool) int {
	depth, quote, at := 0, byte(0), -1
	for i := 0; i < len(expr); i++ {
		c := expr[i]
		switch {
		case quote != 0:
			if c == '\\' && quote != '`' {
				i++
			} else if c == quote {
				quote = 0
			}
			continue
		case c == '"' || c == '\'' || c == '`':
			quote = c
			continue
		case c == '(' || c == '[' || c == '{':
			depth++
			continue
		case c == ')' || c == ']' || c == '}':
			if depth--; depth < 0 {
				return -1
			}
			continue
		}
		if depth == 0 && at < 0 && found(expr[i:], i == 0 || !nameByte(expr[i-1])) {
			at = i
		}
	}
	if depth != 0 || quote != 0 {
		return -1
	}
	return at
}

// unwrapped drops brackets around a whole expression.
func unwrapped(expr string) (string, bool) {
	if len(expr) < 2 || expr[0] != '(' || expr[len(expr)-1] != ')' {
		return expr, false
	}
	inner := expr[1 : len(expr)-1]
	depth := 0
	for i := 0; i < len(inner); i++ {
		switch inner[i] {
		case '(':
			depth++
		case ')':
			if depth--; depth < 0 {
				return expr, false
			}
		}
	}
	return strings.TrimSpace(inner), depth == 0
}
