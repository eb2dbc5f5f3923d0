package slack

import (
	"fmt"
	"strings"

	slackgo "github.com/slack-go/slack"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/notify"
)

// Bounds of a digest: so many sections of lines, each of at most so many characters, and of a line.
const (
	digestSections = 3
	digestTitle    = 160
	digestSubject  = 120
	digestReason   = 120
)

// digest renders a message that tells of several incidents: how many, and a line for each as far as they fit, the worst
// first.
func digest(msg notify.Message, cluster string) content {
	inc := msg.Incident
	if inc.Spec.ClusterName != "" {
		cluster = inc.Spec.ClusterName
	}
	title := severityMark(severity(inc)) + " " + inc.Status.Title
	if ended(inc) {
		title = "✅ " + inc.Status.Title
	}
	blocks := []slackgo.Block{slackgo.NewHeaderBlock(plain(line(title, limitHeader)))}
	if about := digestAbout(msg, cluster); about != "" {
		blocks = append(blocks, slackgo.NewSectionBlock(plain(lines(about, limitText)), nil, nil))
	}
	for _, text := range digestLines(msg.Digest) {
		blocks = append(blocks, slackgo.NewSectionBlock(plain(text), nil, nil))
	}
	how := fmt.Sprintf("kubectl get incidents -n %s; kubectl describe incident <name> -n %s says why it came in a digest", inc.Namespace, inc.Namespace)
	blocks = append(blocks, slackgo.NewContextBlock("", plain(line(how, maxContext))))
	return content{blocks: blocks, text: line(fmt.Sprintf("%s: %s", title, inc.Spec.Subject.Display), maxFallback)}
}

// digestAbout says why the incidents come together, with counts, and where.
func digestAbout(msg notify.Message, cluster string) string {
	counts, order := map[string]int{}, []string{}
	over := 0
	for _, inc := range msg.Digest {
		why := ""
		if d := inc.Status.Decision; d != nil {
			why = d.Reason
		}
		if counts[why] == 0 {
			order = append(order, why)
		}
		counts[why]++
		if ended(inc) {
			over++
		}
	}
	var parts []string
	for _, why := range order {
		if text, ok := digestReasons[why]; ok {
			parts = append(parts, fmt.Sprintf("%d %s", counts[why], text))
		}
	}
	if over > 0 {
		parts = append(parts, fmt.Sprintf("%d over", over))
	}
	text := strings.Join(parts, "; ")
	if cluster != "" {
		text = strings.TrimPrefix(text+"\nCluster "+cluster, "\n")
	}
	return text
}

// digestReasons say the reasons of decisions in words.
var digestReasons = map[string]string{
	"Storm":      "in a storm of new incidents",
	"Digest":     "that can wait, by what people taught",
	"QuietStart": "older than this KubeBot",
}

func ended(inc *v1alpha1.Incident) bool {
	return inc.Status.State == v1alpha1.IncidentResolved || inc.Status.State == v1alpha1.IncidentClosed
}

// digestLines are the texts of the sections.
func digestLines(list []*v1alpha1.Incident) []string {
	var sections []string
	var b strings.Builder
	for i, inc := range list {
		text := digestLine(inc)
		if units(b.String())+units(text)+1 > maxList {
			if len(sections) == digestSections-1 {
				fmt.Fprintf(&b, "\n… and %d more", len(list)-i)
				break
			}
			sections = append(sections, b.String())
			b.Reset()
		}
		if b.Len() > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(text)
	}
	return append(sections, b.String())
}

// digestLine is one incident: how bad, what, its name, the likely cause.
func digestLine(inc *v1alpha1.Incident) string {
	mark := severityMark(severity(inc))
	if ended(inc) {
		mark = "✅"
	}
	text := fmt.Sprintf("%s %s", mark, line(subject(inc), digestSubject))
	if title := line(inc.Status.Title, digestTitle); title != "" {
		text += ": " + title
	}
	if cause := line(inc.Status.Cause, digestReason); cause != "" && inc.Status.Cause != inc.Status.Title {
		text += " — likely cause: " + cause
	}
	return text + " (" + line(inc.Name, digestSubject) + ")"
}
