package pattern

import "strings"

// parse cuts a line into masked tokens, and finds the severity word and the place in the code when the line's head
// names them.
func parse(line string, tokens []string) (place, severity string, _ []string) {
	if len(line) > maxLine {
		line = line[:maxLine]
	}
	for i := 0; i < len(line) && len(tokens) < maxTokens; {
		for i < len(line) && isSpace(line[i]) {
			i++
		}
		j := i
		for j < len(line) && !isSpace(line[j]) {
			j++
		}
		if i == j {
			break
		}
		tok := line[i:j]
		i = j
		head := len(tokens) < 6
		if head && severity == "" && severityOf(tok) != "" {
			severity = severityOf(tok)
			continue
		}
		if head && isTime(tok) {
			continue
		}
		if head && place == "" && isPlace(tok) {
			place = tok
			tokens = append(tokens, tok)
			continue
		}
		tokens = append(tokens, mask(tok))
	}
	return place, severity, tokens
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

var severities = map[string]string{
	"TRACE": "trace", "DEBUG": "debug", "INFO": "info", "INFORMATION": "info", "NOTICE": "info", "WARN": "warn",
	"WARNING": "warn", "ERROR": "error", "ERR": "error", "SEVERE": "error", "FATAL": "fatal", "CRITICAL": "fatal", "PANIC": "fatal",
}

// severityOf gives the normal name of a token such as "[ERROR]" or "level=warn", or nothing.
func severityOf(tok string) string {
	tok = strings.TrimPrefix(strings.TrimPrefix(tok, "level="), "severity=")
	tok = strings.Trim(tok, "[]():|")
	if len(tok) < 3 || len(tok) > 11 {
		return ""
	}
	return severities[strings.ToUpper(tok)]
}

// NormalSeverity maps the spellings of severities to trace, debug, info, warn, error or fatal.
func NormalSeverity(s string) string {
	if s == "" {
		return ""
	}
	if n := severityOf(s); n != "" {
		return n
	}
	if n := severityOf(strings.TrimRight(s, "1234")); n != "" {
		return n
	}
	return ""
}

// isTime recognises dates and clock times.
func isTime(tok string) bool {
	digits, seps := 0, 0
	for i := 0; i < len(tok); i++ {
		switch c := tok[i]; {
		case c >= '0' && c <= '9':
			digits++
		case c == ':' || c == '-' || c == '.' || c == 'T' || c == 'Z' || c == '+' || c == ',' || c == '/' || c == '[' || c == ']':
			seps++
		default:
			return false
		}
	}
	return digits >= 4 && seps >= 2
}

// isPlace recognises a place in the code: Class#31, pkg.Class:31, file.go:31.
func isPlace(tok string) bool {
	tok = strings.Trim(tok, "[]()<>,;:")
	i := strings.LastIndexAny(tok, "#:")
	if i < 1 || i == len(tok)-1 {
		return false
	}
	for _, c := range []byte(tok[i+1:]) {
		if c < '0' || c > '9' {
			return false
		}
	}
	letters := false
	for _, c := range []byte(tok[:i]) {
		switch {
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
			letters = true
		case c >= '0' && c <= '9' || c == '.' || c == '_' || c == '$' || c == '/' || c == '-':
		default:
			return false
		}
	}
	// host:port looks alike; a place has # or a file suffix
	return letters && (tok[i] == '#' || hasSourceSuffix(tok[:i]))
}

func hasSourceSuffix(s string) bool {
	for _, x := range []string{".go", ".java", ".py", ".js", ".ts", ".rb", ".cs", ".kt", ".rs", ".c", ".cc", ".cpp", ".php"} {
		if strings.HasSuffix(s, x) {
			return true
		}
	}
	return false
}

// mask replaces tokens that carry values: numbers, identifiers with digits, addresses.
func mask(tok string) string {
	for i := 0; i < len(tok); i++ {
		if tok[i] >= '0' && tok[i] <= '9' {
			if eq := strings.IndexByte(tok, '='); eq > 0 && eq < i {
				return tok[:eq+1] + wildcard
			}
			return wildcard
		}
	}
	return tok
}
