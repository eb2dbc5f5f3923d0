// Package exit explains why a container ended, from its exit code, its last log lines and its settings.
package exit

import (
	"fmt"
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubebot/kubebot/internal/diagnosis"
	"github.com/kubebot/kubebot/internal/diagnosis/logline"
	"github.com/kubebot/kubebot/internal/mask"
)

// signals by number, as a shell reports them: exit code 128 + number.
var signals = map[int32]string{
	1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 4: "SIGILL", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE", 9: "SIGKILL", 11: "SIGSEGV",
	13: "SIGPIPE", 15: "SIGTERM",
}

// Code says an exit code in words.
func Code(t *corev1.ContainerStateTerminated) string {
	signal := t.Signal
	if signal == 0 && t.ExitCode > 128 {
		signal = t.ExitCode - 128
	}
	name := signals[signal]
	switch {
	case name != "":
		return fmt.Sprintf("is ended by signal %d (%s)", signal, name)
	case t.ExitCode == 127:
		return "exits with code 127 (a command was not found)"
	case t.ExitCode == 126:
		return "exits with code 126 (a command can't be executed)"
	}
	return fmt.Sprintf("exits with code %d", t.ExitCode)
}

// kinds of cause of what log lines speak of.
var kinds = map[logline.Class]diagnosis.Kind{
	logline.ClassDNS: diagnosis.KindDNS, logline.ClassRefused: diagnosis.KindDependency, logline.ClassTimeout: diagnosis.KindDependency,
	logline.ClassCertificate: diagnosis.KindCertificate, logline.ClassMemory: diagnosis.KindMemory, logline.ClassDisk: diagnosis.KindDisk,
	logline.ClassPermission: diagnosis.KindConfig, logline.ClassForbidden: diagnosis.KindConfig, logline.ClassPort: diagnosis.KindConfig,
	logline.ClassPrivilege: diagnosis.KindConfig, logline.ClassFormat: diagnosis.KindImage, logline.ClassFile: diagnosis.KindConfig,
	logline.ClassConfig: diagnosis.KindConfig,
}

// notStarted is what the runtime says of a command that is not in the image.
var notStarted = regexp.MustCompile(
	`exec: \\?"([^"\\]+)\\?": (?:stat [^:]+: )?(no such file or directory|executable file not found in \$PATH|permission denied|is a directory)`)

// Explain makes the finding of a container that ended.
func Explain(f *diagnosis.Facts, c diagnosis.Container) diagnosis.Finding {
	ended := c.Ended()
	owner := f.Owner(c.Pod)
	out := diagnosis.Finding{
		Kind: diagnosis.KindCode, Object: owner.Object, Field: c.Path(),
		Score: diagnosis.ScorePossible, Evidence: []string{state(f, c)},
	}
	if m := notStarted.FindStringSubmatch(ended.Message); m != nil {
		return neverStarted(f, c, out, m[1], m[2])
	}
	who := fmt.Sprintf("%s of %s", diagnosis.Upper(c.Noun()), owner.Object)
	if diagnosis.Unstarted(ended) {
		return unstarted(f, c, out, who)
	}
	line, ok := logline.Find(f.LogOf(c))
	if !ok && strings.TrimSpace(ended.Message) != "" {
		line, ok = logline.Decisive{Message: diagnosis.Shorten(mask.Text(ended.Message), 300), Weight: 3}, true
	}
	if !ok || line.Weight <= 0 {
		if ok {
			out.Evidence = append(out.Evidence, "last line of the log: "+diagnosis.Shorten(line.Line, 400))
		}
		return silent(f, c, out, who)
	}
	class := logline.Classify(line.Line + " " + line.Message)
	if kind, ok := kinds[class]; ok {
		out.Kind = kind
	}
	out.Sentence = fmt.Sprintf("%s %s: %s", who, Code(ended), strings.TrimRight(line.Message, ". "))
	out.Value = line.Message
	out.Score = Score(class)
	if line.Line != "" {
		out.Evidence = append(out.Evidence, "log: "+diagnosis.Shorten(line.Line, 400))
	}
	if field, value, says := Setting(c.Spec, line.Message, owner.Name, f.NS()); field != "" {
		out.Field, out.Value = out.Field+"."+field, value
		out.Sentence += "; " + says
		if out.Kind == diagnosis.KindCode {
			out.Kind = diagnosis.KindConfig
		}
		out.Score = diagnosis.ScoreStrong
	}
	out.Fix = repair(f, c, class)
	return out
}

// Score is that of a line of the class: it leaves room above for the detectors that know the other side of a call.
func Score(class logline.Class) float64 {
	switch class {
	case logline.ClassDNS, logline.ClassRefused, logline.ClassTimeout, logline.ClassCertificate:
		return diagnosis.ScorePossible
	}
	return diagnosis.ScoreLikely
}

func state(f *diagnosis.Facts, c diagnosis.Container) string {
	ended := c.Ended()
	text := fmt.Sprintf("pod %s: container %s ended with code %d (%s)", c.Pod.Name, c.Spec.Name, ended.ExitCode, ended.Reason)
	if !ended.FinishedAt.IsZero() {
		text += " " + f.Age(ended.FinishedAt.Time) + " ago"
	}
	if n := c.Status.RestartCount; n > 0 {
		text += fmt.Sprintf(", restarted %s", times(int(n)))
	}
	return text
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

func neverStarted(f *diagnosis.Facts, c diagnosis.Container, out diagnosis.Finding, command, why string) diagnosis.Finding {
	out.Kind, out.Score, out.Value = diagnosis.KindConfig, diagnosis.ScoreCertain, command
	out.Field += ".command"
	if len(c.Spec.Command) == 0 {
		out.Field = c.Path() + ".args"
		if len(c.Spec.Args) == 0 {
			out.Kind, out.Field = diagnosis.KindImage, c.Path()+".image"
		}
	}
	out.Sentence = fmt.Sprintf("%s of %s can't start: its command %q can't be run in image %s (%s)", diagnosis.Upper(c.Noun()), out.Object, command, c.Spec.Image, why)
	out.Fix = diagnosis.Fix{Explanation: "Set the command to one that the image has, or leave it out so that the image's own is used."}
	out.Fix.Commands = f.Undo(func(old *corev1.PodSpec) bool {
		o := diagnosis.ContainerNamed(old, c.Spec.Name)
		return o == nil || strings.Join(o.Command, "\x00") != strings.Join(c.Spec.Command, "\x00") || o.Image != c.Spec.Image
	})
	if len(out.Fix.Commands) == 0 && len(c.Spec.Command) > 0 {
		out.Fix = diagnosis.ChangeContainer(f.Owner(c.Pod), c, out.Fix.Explanation, diagnosis.Operation{Op: "remove", Path: "/command"})
	}
	return out
}

// silent is for a container whose log says nothing of an error.
func silent(f *diagnosis.Facts, c diagnosis.Container, out diagnosis.Finding, who string) diagnosis.Finding {
	ended := c.Ended()
	out.Kind = diagnosis.KindUnknown
	if ended.ExitCode == 0 {
		out.Kind, out.Score = diagnosis.KindConfig, diagnosis.ScoreLikely
		out.Field += ".command"
		out.Sentence = fmt.Sprintf("%s ends by itself with exit code 0, and %s restarts it each time: it runs no lasting process", who, out.Object)
		out.Fix = diagnosis.Fix{Explanation: "Let the container run a process that stays in the foreground, or make the workload a Job.",
			Commands: []string{diagnosis.LogsCommand(c)}}
		return out
	}
	out.Sentence = fmt.Sprintf("%s %s, and its log says nothing of an error", who, Code(ended))
	if len(f.LogOf(c)) == 0 {
		out.Sentence = fmt.Sprintf("%s %s, and left no log", who, Code(ended))
	}
	out.Fix = repair(f, c, logline.ClassNone)
	out.Fix.Explanation = strings.Replace(out.Fix.Explanation, readBefore,
		"Raise the program's log level, or run its image by hand, to see what it does before it ends.", 1)
	return out
}

// readBefore is the advice for lines that speak of nothing known.
const readBefore = "Read the lines before the one above; it says where the program stopped."

var advice = map[logline.Class]string{
	logline.ClassDNS:         "The name that the program looks up does not resolve; correct the name, or make the Service that it stands for.",
	logline.ClassRefused:     "What the program calls does not listen there; correct the address, or bring that service up.",
	logline.ClassTimeout:     "What the program calls does not answer; look for a network policy, a wrong address or a service that is down.",
	logline.ClassCertificate: "Renew or trust the certificate that the line names.",
	logline.ClassMemory:      "The program ran out of memory that it may use; raise its limit or its own bound.",
	logline.ClassDisk:        "Free space, or enlarge the volume that the line names.",
	logline.ClassPermission:  "The program may not use what the line names; compare the container's user (securityContext) with the owner of the file, and the volume's mode.",
	logline.ClassPort:        "Two processes of the pod use one port; give one of them another.",
	logline.ClassPrivilege:   "Only root may open ports below 1024 here: let the program listen on a higher one, to which the Service may lead by its targetPort, or set the sysctl net.ipv4.ip_unprivileged_port_start to 0 in the pod's securityContext.",
	logline.ClassFormat:      "The image is for another processor architecture; use one for the node's.",
	logline.ClassFile:        "Mount or make the file that the line names, or correct the path.",
	logline.ClassConfig:      "Correct the setting that the line names.",
}

func repair(f *diagnosis.Facts, c diagnosis.Container, class logline.Class) diagnosis.Fix {
	text, ok := advice[class]
	if !ok {
		text = readBefore
	}
	return orBack(f, text, diagnosis.LogsCommand(c))
}

// orBack is a fix with the way back to an earlier revision, if there is one.
func orBack(f *diagnosis.Facts, text, command string) diagnosis.Fix {
	undo := f.Undo(diagnosis.Any)
	if len(undo) > 0 {
		text += " Going back to an earlier revision undoes what changed since." + f.Untried(diagnosis.Any)
	}
	return diagnosis.Fix{Explanation: text, Commands: append([]string{command}, undo...)}
}
