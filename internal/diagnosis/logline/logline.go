// Package logline finds the line of a log that tells why a program failed, and what that line means.
package logline

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/kubebot/kubebot/internal/diagnosis"
)

// Decisive is the line that tells most.
type Decisive struct {
	// Line is the line as it was written, Message what it says without time, level and source.
	Line, Message string
	// Index of the line in the log.
	Index int
	// Weight tells how decisive the line is: weights of panics are above those of errors, and these above 0; a last
	// line that says nothing of an error has weight 0.
	Weight int
}

// Weights of lines. A line of WeightError or more says that something failed.
const (
	weightLast  = 0
	weightWord  = 2
	WeightError = 3
	weightFatal = 5
	weightPanic = 6
	weightCause = 7
)

var shapes = []struct {
	weight  int
	pattern *regexp.Regexp
}{
	{weightCause, regexp.MustCompile(`^Caused by: `)}, // Java: the last one is the root
	{weightPanic, regexp.MustCompile(`^(?:panic: |fatal error: |thread '.*' panicked at |Exception in thread |Segmentation fault|\w*: ?symbol lookup error|#?\s*There is insufficient memory)`)},
	{weightPanic, regexp.MustCompile(
		`^(?:[A-Za-z_][\w.]*\.)?[A-Z]\w*(?:Error|Exception|Interrupt|Failure|Fault)(?:: |$)|^socket\.(?:gaierror|herror|timeout): `)}, // Python, Node, Java
	{weightPanic, regexp.MustCompile(`exec format error|(?i:out of memory|heap limit|core dumped)`)},
	{weightFatal, regexp.MustCompile(`^F\d{4} \d\d:\d\d|(?i)^\W*(?:\S+\s+){0,3}\W*(?:fatal|panic|critical|crit|emerg|alert)\b\W`)},
	{WeightError, regexp.MustCompile(`^E\d{4} \d\d:\d\d|(?i)^\W*(?:\S+\s+){0,4}\W*(?:error|err|severe)\b\W`)},
	{weightWord, regexp.MustCompile(`(?i)\b(?:error|fatal|failed|failure|cannot|can't|could not|couldn't|unable to|no such|not found|denied|refused|timed out|invalid|unknown|missing|required|unrecognized|undefined|usage)\b`)},
}

// frame is a line of a stack trace or of a goroutine's dump, or one of a logger without a message: it explains nothing.
var frame = regexp.MustCompile(`^(?:\s+at |\s+File "|\t|goroutine \d+ |\s*\.\.\. \d+ more|main\.|runtime\.|created by |exit status \d+|\s*\^+\s*$|Traceback|\s*$|note: run with .RUST_BACKTRACE|Node\.js v|.*\bERROR\b.*\s\w+(?:\.[\w$]+)+\s+[:-]$)`)

// Find returns the decisive line of a log, and false for a log without any text.
func Find(lines []diagnosis.Line) (Decisive, bool) {
	best, found := Decisive{Weight: -1}, false
	for i, l := range lines {
		text := strings.TrimRight(l.Text, " \r\n")
		if frame.MatchString(text) {
			continue
		}
		message, level := Message(text)
		weight := weigh(text, message, level)
		if described(lines[:i]) {
			weight = weightCause
		}
		// A panic is the first of its kind; what follows it is its consequence. Otherwise the last line tells.
		if weight < best.Weight || (weight == weightPanic && best.Weight == weightPanic && strings.HasPrefix(best.Message, "panic: ")) {
			continue
		}
		best, found = Decisive{Line: text, Message: message, Index: i, Weight: weight}, true
	}
	if found && strings.Contains(best.Line, "' panicked at ") && best.Index+1 < len(lines) { // Rust says why on the next line
		best.Message = diagnosis.Shorten(best.Message+" "+strings.TrimSpace(lines[best.Index+1].Text), 300)
	}
	return best, found
}

func weigh(text, message, level string) int {
	switch strings.ToLower(level) {
	case "fatal", "panic", "critical", "crit", "emerg", "emergency", "alert", "dpanic":
		return weightFatal
	case "error", "err", "severe":
		return WeightError
	case "":
		for _, s := range shapes {
			if s.pattern.MatchString(text) {
				return s.weight
			}
		}
		if failure(text) {
			return weightWord
		}
		return weightLast
	}
	if words := shapes[len(shapes)-1]; words.pattern.MatchString(message) || failure(message) {
		return words.weight - 1 // a line of level info or warning that speaks of a failure
	}
	return weightLast
}

// failure tells whether a line speaks of what is a failure by itself. Of certificates and settings programs also speak that
// are well.
func failure(text string) bool {
	switch Classify(text) {
	case ClassNone, ClassCertificate, ClassConfig:
		return false
	}
	return true
}

// described tells whether the lines before end where Spring Boot says why it did not start.
func described(before []diagnosis.Line) bool {
	said := func(text string) func(diagnosis.Line) bool {
		return func(l diagnosis.Line) bool { return strings.TrimSpace(l.Text) == text }
	}
	for _, l := range slices.Backward(before) {
		if strings.TrimSpace(l.Text) != "" {
			return said("Description:")(l) && slices.ContainsFunc(before, said("APPLICATION FAILED TO START"))
		}
	}
	return false
}

var (
	logfmt  = regexp.MustCompile(`(\w+)=("(?:[^"\\]|\\.)*"|\S+)`)
	klog    = regexp.MustCompile(`^[IWEF]\d{4} \d\d:\d\d:\d\d\.\d+\s+\d+ [\w.-]+:\d+\] `)
	prefix  = regexp.MustCompile(`^(?:\[?\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d:\d\d\S*(?: [+-]\d{4})?\]?\s+)`)
	message = []string{"msg", "message", "body", "log", "event", "short_message"}
	levels  = []string{"level", "severity", "lvl", "levelname", "severity_text", "log.level"}
	reasons = []string{"err", "error", "exception", "cause", "reason", "error.message", "exception.message"}
)

// Message returns what a line says, and its level where the line is structured (JSON or logfmt).
func Message(text string) (said, level string) {
	fields := map[string]string{}
	trimmed := strings.TrimSpace(text)
	switch {
	case strings.HasPrefix(trimmed, "{"):
		fields = jsonFields(trimmed)
	case strings.Contains(text, "level=") || strings.Contains(text, "msg="):
		for _, m := range logfmt.FindAllStringSubmatch(text, 64) {
			fields[strings.ToLower(m[1])] = unquote(m[2])
		}
	}
	said, level = first(fields, message), first(fields, levels)
	if reason := first(fields, reasons); reason != "" && !strings.Contains(said, reason) {
		said = strings.TrimPrefix(said+": "+reason, ": ")
	}
	if said == "" {
		said = prefix.ReplaceAllString(klog.ReplaceAllString(trimmed, ""), "")
	}
	return diagnosis.Shorten(said, 300), level
}

func first(fields map[string]string, names []string) string {
	for _, n := range names {
		if v := fields[n]; v != "" {
			return v
		}
	}
	return ""
}

func unquote(value string) string {
	var out string
	if strings.HasPrefix(value, `"`) && json.Unmarshal([]byte(value), &out) == nil {
		return out
	}
	return value
}

// jsonFields returns the text fields of a JSON line, those of one nested level with their parent's name before them.
// Of names that differ in case alone the last in the order of bytes counts: the small letters.
func jsonFields(text string) map[string]string {
	var object map[string]any
	if json.Unmarshal([]byte(text), &object) != nil {
		return nil
	}
	fields := map[string]string{}
	put := func(name string, value any) {
		if s, ok := value.(string); ok && s != "" {
			fields[strings.ToLower(name)] = s
		}
	}
	for _, k := range slices.Sorted(maps.Keys(object)) {
		put(k, object[k])
		if below, ok := object[k].(map[string]any); ok {
			for _, nested := range slices.Sorted(maps.Keys(below)) {
				put(k+"."+nested, below[nested])
			}
		}
	}
	return fields
}
