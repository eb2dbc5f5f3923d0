package exit

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubebot/kubebot/internal/mask"
)

var (
	// everyday are values that messages hold without speaking of a setting: levels of logs, and switches.
	everyday = []string{
		"trace", "debug", "info", "notice", "warn", "warning", "error", "fatal", "panic", "critical",
		"true", "false", "yes", "off", "none", "null", "default", "enabled", "disabled",
	}
	// complaint is what comes before a value that a program does not take, a word between at most.
	complaint = regexp.MustCompile(`(?i)\b(?:invalid|unknown|unsupported|unrecogni[sz]ed|illegal|bad|malformed|parse|parsing)\W+(?:[\w-]+\W+)?$`)
	// opening tells that a message is about the port that the program opens.
	opening = regexp.MustCompile(`(?i)\b(?:listen|bind|port)\b`)
	letter  = regexp.MustCompile(`[A-Za-z]{2}`)
)

// Setting finds the environment variable or argument whose value the message names, and says it in words. Own are names,
// such as the workload's, that a message may have without speaking of a setting.
func Setting(c *corev1.Container, message string, own ...string) (field, value, says string) {
	for _, e := range c.Env {
		port := ""
		if i := strings.LastIndexByte(e.Value, ':'); i > 0 && opening.MatchString(message) {
			port = e.Value[i+1:]
		}
		variable := strings.ToUpper(e.Name) == e.Name && !slices.Contains(everyday, strings.ToLower(e.Name)) && len(at(message, e.Name)) > 0
		if e.Value != "" && (blames(message, e.Value, own) || variable) || len(port) > 3 && len(at(message, port)) > 0 {
			value = mask.Value(e.Name, e.Value)
			return "env[" + e.Name + "]", value, fmt.Sprintf("its environment variable %s is %q", e.Name, value)
		}
	}
	shown := mask.Words(c.Args)
	for i, arg := range slices.Backward(c.Args) {
		_, v, _ := strings.Cut(arg, "=")
		if blames(message, arg, own) || blames(message, v, own) {
			value = shown[i]
			return "args", value, fmt.Sprintf("its argument is %q", value)
		}
	}
	return "", "", ""
}

// blames tells whether a message speaks of a value as one that was set: it complains of it, quotes it, or names what is no
// ordinary word, such as an address or a path. Amounts are in many messages.
func blames(message, value string, own []string) bool {
	if slices.Contains(everyday, strings.ToLower(value)) {
		return false
	}
	shaped := strings.ContainsAny(value, "/:.") && letter.MatchString(value)
	ordinary := slices.Contains(own, value)
	return slices.ContainsFunc(at(message, value), func(i int) bool {
		return complaint.MatchString(message[:i]) || !ordinary && (shaped || quoted(message, i, i+len(value)))
	})
}

// quoted tells whether a part of a message is in quotes.
func quoted(message string, from, to int) bool {
	const quotes = "\"'`"
	rest := strings.TrimPrefix(message[to:], `\`)
	return from > 0 && strings.IndexByte(quotes, message[from-1]) >= 0 && rest != "" && strings.IndexByte(quotes, rest[0]) >= 0
}

// at are the places where a message names a value as a word of its own.
func at(message, value string) []int {
	if len(value) < 3 {
		return nil
	}
	var out []int
	for from := 0; ; {
		i := strings.Index(message[from:], value)
		if i < 0 {
			return out
		}
		i += from
		before, after := byte(' '), byte(' ')
		if i > 0 {
			before = message[i-1]
		}
		if end := i + len(value); end < len(message) {
			after = message[end]
		}
		if !wordByte(before) && !wordByte(after) {
			out = append(out, i)
		}
		from = i + 1
	}
}

func wordByte(b byte) bool {
	return b == '_' || b == '-' || b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z'
}
