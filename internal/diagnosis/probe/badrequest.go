package probe

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubebot/kubebot/internal/diagnosis"
	"github.com/kubebot/kubebot/internal/mask"
)

var (
	// encrypted is what servers log of a caller without TLS, and hostOnly what they log of one that calls them by another name.
	encrypted = regexp.MustCompile(
		`(?i)HTTP request to an HTTPS server|plain HTTP request (?:was )?sent to HTTPS port|first record does not look like a TLS handshake`)
	hostOnly = regexp.MustCompile(`(?i)Invalid HTTP_HOST header|DisallowedHost|Invalid Host header|Blocked hosts?:`)
)

// badRequest tells whether a probe without TLS got 400, which a path that is wrong does not give.
func (x failure) badRequest(code []string) bool {
	return code != nil && code[1] == "400" && x.probe.HTTPGet != nil && x.probe.HTTPGet.Scheme != corev1.URISchemeHTTPS
}

// askedWrongly explains status 400: the port speaks HTTPS, or the program takes only calls to the names that it knows.
func (x failure) askedWrongly(f *diagnosis.Facts, out *diagnosis.Finding, who, effect string) {
	get := x.probe.HTTPGet
	asks := fmt.Sprintf("%s asks %s by HTTP and gets 400", who, mask.Text(get.Path))
	if line := x.logged(f, hostOnly); line != "" {
		out.Score, out.Field, out.Value = diagnosis.ScoreStrong, out.Field+".httpGet.httpHeaders", "400"
		out.Evidence = append(out.Evidence, "log: "+line)
		out.Sentence = fmt.Sprintf("%s: the program takes only calls to host names that it knows, and the probe calls the pod's address; %s", asks, effect)
		out.Fix = diagnosis.Fix{
			Explanation: "Give the probe a Host header (httpGet.httpHeaders) with a name that the program takes, or let the program take the pod's address.",
			Commands:    []string{diagnosis.LogsCommand(x.c)},
		}
		return
	}
	out.Score, out.Field, out.Value = diagnosis.ScoreLikely, out.Field+".httpGet.scheme", "HTTP"
	if line := x.logged(f, encrypted); line != "" {
		out.Score = diagnosis.ScoreStrong
		out.Evidence = append(out.Evidence, "log: "+line)
	}
	out.Sentence = fmt.Sprintf("%s, which a port answers that speaks HTTPS; %s", asks, effect)
	out.Fix = x.retarget("Let the probe ask by HTTPS if the program speaks it on that port. Otherwise see what it refuses: some take only calls to host names that they know, and the probe calls the pod's address.",
		"/httpGet/scheme", corev1.URISchemeHTTPS)
}

// logged is the last line of the container's log that says it.
func (x failure) logged(f *diagnosis.Facts, says *regexp.Regexp) string {
	for _, line := range slices.Backward(f.Log(x.c.Pod.Name, x.c.Spec.Name, false)) {
		if says.MatchString(line.Text) {
			return diagnosis.Shorten(strings.TrimSpace(line.Text), 300)
		}
	}
	return ""
}
