// Package certificate finds certificates that are expired or not trusted, from log lines.
package certificate

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/kubebot/kubebot/internal/diagnosis"
	"github.com/kubebot/kubebot/internal/diagnosis/calls"
	"github.com/kubebot/kubebot/internal/diagnosis/logline"
	"github.com/kubebot/kubebot/internal/diagnosis/service"
)

// Detector finds certificate trouble.
var Detector = diagnosis.Detector{Name: "certificate", Doc: "certificates that are expired, not trusted or for another name", Detect: detect}

// shape is how lines say what is wrong with a certificate.
type shape struct {
	pattern *regexp.Regexp
	says    string
	fix     string
	// server tells that the certificate itself has to be repaired, rather than how the caller looks at it.
	server bool
}

var shapes = []shape{
	{regexp.MustCompile(`(?i)has expired or is not yet valid: current time \S+ is before|not yet valid$|not yet valid[^:]|NotBefore: `),
		"is not valid yet", "Compare the clocks of the node and of the certificate's issuer.", true},
	{expired, "has expired", "Renew the certificate, and see why it was not renewed by itself.", true},
	{regexp.MustCompile(`(?i)valid for|doesn't match|does not match|hostname mismatch|IP SANs|subject (?:alternative )?(?:DNS )?name|no name matching|NotValidForName|NameMismatch`),
		"is for another name", "Call the server by a name that its certificate has, or issue one with this name.", false},
	{regexp.MustCompile(
		`(?i)unknown authority|self[- ]signed|unable to get|UNABLE_TO_VERIFY|PKIX|not trusted|unknown ca|UnknownIssuer|PartialChain|UntrustedRoot`),
		"is from an issuer that is not trusted", "Give the program the issuer's certificate to trust.", false},
}

// expired is how Go, OpenSSL, Python, curl and Node, Java, rustls and .NET say it. A token may be expired too.
var expired = regexp.MustCompile(
	`(?i)certificate[ _](?:is |has[ _])?expired|CertificateExpired|expired certificate|certificate: Expired|CERT_HAS_EXPIRED|validity check failed|NotTimeValid`)

// untils are how Go and Java say until when a certificate was valid.
var untils = []struct {
	pattern *regexp.Regexp
	layout  string
}{
	{regexp.MustCompile(`is after (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)`), time.RFC3339},
	{regexp.MustCompile(`NotAfter: (\w{3} \w{3} \d\d \d\d:\d\d:\d\d (?:UTC|GMT) \d{4})`), "Mon Jan 02 15:04:05 MST 2006"},
}

// refused is what the other end of a connection says when it does not take a certificate: that of this end.
var refused = regexp.MustCompile(`remote error: tls: |alert (?:bad certificate|certificate (?:expired|unknown)|unknown ca)`)

func detect(f *diagnosis.Facts) []diagnosis.Finding {
	var out []diagnosis.Finding
	for _, c := range calls.Of(f, logline.ClassCertificate) {
		if refused.MatchString(c.Line) {
			out = append(out, refusedByOthers(f, c))
			continue
		}
		out = append(out, refusedByWorkload(f, c))
	}
	return out
}

// refusedByWorkload is a certificate of a server that the workload calls. Where the Service of that server is known, it
// is what has to be repaired.
func refusedByWorkload(f *diagnosis.Facts, c calls.Call) diagnosis.Finding {
	x := diagnosis.Finding{
		Kind: diagnosis.KindCertificate, Object: f.Workload.Object, Field: "certificate", Value: c.Endpoint.String(), Score: diagnosis.ScoreStrong,
		Evidence: []string{c.Evidence()},
		Fix:      diagnosis.Fix{Explanation: "Check the certificate.", Commands: []string{logs(f, c)}},
	}
	says, ofServer := "is refused", false
	for _, s := range shapes {
		if s.pattern.MatchString(c.Line) {
			says, ofServer, x.Fix.Explanation = s.says, s.server, s.fix
			break
		}
	}
	of := ofUnknown(f.Workload.Object)
	if c.Endpoint.Host != "" {
		of = fmt.Sprintf("The certificate of %s, which %s calls,", c.Endpoint, f.Workload.Object)
		if s := calls.Service(f, c.Endpoint.Host); s != nil && ofServer {
			x.Object = service.Object(s)
			of = presents(x.Object, f.Workload.Object)
		}
	}
	x.Sentence = of + " " + says
	if at, ok := validUntil(c.Line); ok {
		x.Value = at.UTC().Format(time.RFC3339)
		x.Sentence += ": it was valid until " + x.Value
	}
	return x
}

// refusedByOthers is the workload's own certificate, which the other end of its connections refuses without saying why to
// whoever reads this end's log.
func refusedByOthers(f *diagnosis.Facts, c calls.Call) diagnosis.Finding {
	x := diagnosis.Finding{
		Kind: diagnosis.KindCertificate, Object: f.Workload.Object, Field: "certificate", Score: diagnosis.ScorePossible,
		Sentence: fmt.Sprintf("The certificate that %s presents is refused at the other end of its connections", f.Workload.Object),
		Evidence: []string{c.Evidence()},
		Fix:      diagnosis.Fix{Explanation: "See what the other end says, and until when the certificate is valid.", Commands: []string{logs(f, c)}},
	}
	if expired.MatchString(c.Line) {
		x.Sentence += " as expired"
		x.Score, x.Fix.Explanation = diagnosis.ScoreLikely, "Renew the certificate, and see why it was not renewed by itself."
	}
	return x
}

func logs(f *diagnosis.Facts, c calls.Call) string {
	return c.LogsCommand(f.NS())
}

func validUntil(line string) (time.Time, bool) {
	for _, u := range untils {
		if m := u.pattern.FindStringSubmatch(line); m != nil {
			if at, err := time.Parse(u.layout, m[1]); err == nil {
				return at, true
			}
		}
	}
	return time.Time{}, false
}

func ofUnknown(caller diagnosis.Object) string {
	return "A certificate that is presented to " + caller.String()
}

func presents(server, caller diagnosis.Object) string {
	return fmt.Sprintf("The certificate that %s presents to %s", server, caller)
}

// PresentedBy returns a finding of this detector with the server whose certificate has to be repaired, where the log lines
// by which it was found do not name it; false for any other finding.
func PresentedBy(x diagnosis.Finding, server diagnosis.Object) (diagnosis.Finding, bool) {
	rest, ok := strings.CutPrefix(x.Sentence, ofUnknown(x.Object)+" ")
	if !ok || x.Detector != Detector.Name {
		return x, false
	}
	if !slices.ContainsFunc(shapes, func(s shape) bool { return s.server && strings.HasPrefix(rest, s.says) }) {
		return x, false
	}
	x.Sentence = presents(server, x.Object) + " " + rest
	x.Object = server
	return x, true
}
