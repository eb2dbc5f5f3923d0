// Package certificate finds certificates that are expired or not trusted, from log lines and events.
package certificate

import (
	"fmt"
	"regexp"

	"github.com/kubebot/kubebot/internal/diagnosis"
	"github.com/kubebot/kubebot/internal/diagnosis/calls"
	"github.com/kubebot/kubebot/internal/diagnosis/logline"
)

// Detector finds certificate trouble.
var Detector = diagnosis.Detector{Name: "certificate", Doc: "certificates that are expired, not trusted or for another name", Detect: detect}

var shapes = []struct {
	pattern *regexp.Regexp
	says    string
	fix     string
}{
	{regexp.MustCompile(`(?i)has expired or is not yet valid: current time \S+ is before|not yet valid$|not yet valid[^:]`), "is not valid yet", "Compare the clocks of the node and of the certificate's issuer."},
	{regexp.MustCompile(`(?i)expired`), "is expired", "Renew the certificate, and see why it was not renewed by itself."},
	{regexp.MustCompile(`(?i)valid for|doesn't match|does not match|hostname|IP SANs`), "is for another name", "Call the server by a name that its certificate has, or issue one with this name."},
	{regexp.MustCompile(`(?i)unknown authority|self[- ]signed|unable to get|UNABLE_TO_VERIFY|PKIX|not trusted|unknown ca`), "is from an issuer that is not trusted", "Give the program the issuer's certificate to trust."},
}

var until = regexp.MustCompile(`is after (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)`)

func detect(f *diagnosis.Facts) []diagnosis.Finding {
	var out []diagnosis.Finding
	for _, c := range calls.Of(f, logline.ClassCertificate) {
		x := diagnosis.Finding{
			Kind: diagnosis.KindCertificate, Object: f.Workload.Object, Field: "certificate", Value: c.Endpoint.String(), Score: diagnosis.ScoreStrong,
			Evidence: []string{c.Evidence()},
			Fix:      diagnosis.Fix{Explanation: "Check the certificate."},
		}
		of := "A certificate that " + f.Workload.Object.String() + " uses"
		if c.Endpoint.Host != "" {
			of = fmt.Sprintf("The certificate of %s, which %s calls,", c.Endpoint, f.Workload.Object)
		}
		says := "is refused"
		for _, s := range shapes {
			if s.pattern.MatchString(c.Line) {
				says, x.Fix.Explanation = s.says, s.fix
				break
			}
		}
		x.Sentence = of + " " + says
		if m := until.FindStringSubmatch(c.Line); m != nil {
			x.Sentence += " since " + m[1]
			x.Value = m[1]
		}
		x.Fix.Commands = []string{diagnosis.Kubectl(f.NS(), "logs", "pod/"+c.Pod, "--tail=50")}
		out = append(out, x)
	}
	return out
}
