// Package mask hides secrets in texts that come from elsewhere, such as log lines and event messages, before they are
// stored, printed or sent. It knows the shapes of common tokens and the words that come before a secret.
package mask

import (
	"regexp"
	"strings"
)

// Hidden stands where a secret was.
const Hidden = "***"

const keyWords = `(?:password|passwd|passphrase|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|signing[_-]?key|credential)s?`

var (
	// pem is a private key block, up to its end or the end of the text.
	pem      = regexp.MustCompile(`-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----(?s:.*?)(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|$)`)
	pemBegin = regexp.MustCompile(`-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----`)
	pemEnd   = regexp.MustCompile(`-----END [A-Z0-9 ]*PRIVATE KEY-----`)

	// tokens are secrets that are known by their own shape.
	tokens = regexp.MustCompile(strings.Join([]string{
		`\bxox[a-z]-[A-Za-z0-9-]{8,}`, `\bxapp-[A-Za-z0-9-]{8,}`, // Slack
		`https://hooks\.slack\.com/[A-Za-z0-9/_-]+`,
		`\bgh[pousr]_[A-Za-z0-9]{16,}`, `\bgithub_pat_[A-Za-z0-9_]{16,}`, // GitHub
		`\bglpat-[A-Za-z0-9_-]{16,}`,                                               // GitLab
		`\b(?:AKIA|ASIA|AGPA|AROA|AIDA)[A-Z0-9]{16}\b`,                             // AWS
		`\bAIza[A-Za-z0-9_-]{35}`,                                                  // Google
		`\b(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{10,}`, `\bsk-[A-Za-z0-9_-]{20,}`, // Stripe and others
		`\bnpm_[A-Za-z0-9]{30,}`, `\bdop_v1_[a-f0-9]{40,}`, `\bhvs\.[A-Za-z0-9_-]{20,}`,
		`\beyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{6,}\.?[A-Za-z0-9_-]*`, // JSON Web Tokens, also cut ones
	}, "|"))

	// userinfo is user:password@ in a URL.
	userinfo = regexp.MustCompile(`([a-zA-Z][a-zA-Z0-9+.-]*://)([^\s/:@'"]*):([^\s@'"]+)@`)
	port     = regexp.MustCompile(`^\d{1,5}[/?#]`)
	// header is an HTTP authorization.
	header = regexp.MustCompile(`(?i)\b((?:proxy-)?authorization["']?\s*[:=]\s*["']?(?:bearer|basic|token|digest)?\s*|bearer\s+)([A-Za-z0-9._~+/=-]{6,})`)
	// pair is a key that names a secret and its value: password=x, "apiKey": "x"; Words knows --token x.
	pair = regexp.MustCompile(`(?i)([\w.-]*` + keyWords + `["']?\s*(?:=|:=|:)\s*)("(?:[^"\\]|\\.)*"|'[^']*'|\\"[^"]*\\"|[^\s,;&}'"]+)`)

	secretName = regexp.MustCompile(`(?i)` + keyWords + `\b|` + keyWords + `_|_(?:key|dsn)$|^(?:pass|key)$|_pass$`)
)

// Text returns the text with what looks like a secret replaced by Hidden.
func Text(text string) string {
	text = pem.ReplaceAllString(text, Hidden)
	text = tokens.ReplaceAllString(text, Hidden)
	text = userinfo.ReplaceAllStringFunc(text, hidePassword)
	text = header.ReplaceAllString(text, "${1}"+Hidden)
	text = pair.ReplaceAllStringFunc(text, hidePair)
	if command.MatchString(text) {
		text = script(text)
	}
	return text
}

// hidePassword keeps a URL whose colon begins a port: http://cart:8080/?mail=a@b.
func hidePassword(match string) string {
	parts := userinfo.FindStringSubmatch(match)
	if port.MatchString(parts[3]) {
		return match
	}
	return parts[1] + parts[2] + ":" + Hidden + "@"
}

// hidePair keeps the key and the quotes of a pair.
func hidePair(match string) string {
	parts := pair.FindStringSubmatch(match)
	key, value := parts[1], parts[2]
	if strings.HasPrefix(value, Hidden) {
		return match
	}
	for _, quote := range []string{`\"`, `"`, `'`} {
		if strings.HasPrefix(value, quote) && strings.HasSuffix(value, quote) && len(value) >= 2*len(quote) {
			return key + quote + Hidden + quote
		}
	}
	return key + Hidden
}

// Lines masks the lines of a text, private keys that span several lines included. It changes the slice given.
func Lines(lines []string) []string {
	inKey := false
	for i, line := range lines {
		switch {
		case inKey:
			end := pemEnd.FindStringIndex(line)
			if end == nil {
				lines[i] = Hidden
				continue
			}
			inKey = false
			lines[i] = Hidden + Text(line[end[1]:])
		default:
			begin := pemBegin.FindAllStringIndex(line, -1)
			inKey = len(begin) > 0 && pemEnd.FindStringIndex(line[begin[len(begin)-1][1]:]) == nil
			lines[i] = Text(line)
		}
	}
	return lines
}

// Value masks the value of a setting: all of it if the setting's name says that it is a secret.
func Value(name, value string) string {
	if value != "" && secretName.MatchString(name) {
		return Hidden
	}
	return Text(value)
}
