// Package probe finds probes that fail because they are wrong: another port, another path, too little time.
package probe

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kubebot/kubebot/internal/diagnosis"
	"github.com/kubebot/kubebot/internal/mask"
)

// Detector finds failing probes.
var Detector = diagnosis.Detector{Name: "probe", Doc: "probes with a wrong port or path, or too little time", Detect: detect}

// failure is a probe that failed, from an event.
type failure struct {
	c        diagnosis.Container
	name     string // readiness, liveness or startup
	probe    *corev1.Probe
	message  string
	evidence string
	killed   bool
	field    string
	owner    diagnosis.Workload
}

var (
	prefix = regexp.MustCompile(`^(Readiness|Liveness|Startup) probe (?:failed|errored)[^:]*:? ?`)
	status = regexp.MustCompile(`statuscode: (\d+)`)
	// stopped is what the kubelet and the runtime say of a command that they stopped at its timeout.
	stopped = regexp.MustCompile(`^command (?:timed out|".*" timed out)|^rpc error: .*(?:deadline exceeded|DeadlineExceeded)`)
)

// unconnected is what the kubelet says of a gRPC probe that gets no connection within its timeout. Of one that is refused it
// says the same, as it tries again until then, and of one to a port that speaks TLS alone.
const unconnected = "failed to connect service"

func detect(f *diagnosis.Facts) []diagnosis.Finding {
	var out []diagnosis.Finding
	for _, c := range f.Containers() {
		if c.Init || c.Status == nil || diagnosis.EndedFromOutside(c.Pod) {
			continue
		}
		killed := c.Failing(f.Now) && f.KilledByProbe(c) != nil
		if diagnosis.PodReady(c.Pod) && !killed || c.Failing(f.Now) && !killed {
			continue // a container that ends by itself can't answer either
		}
		seen := map[string]bool{}
		for _, e := range f.EventsOf("Pod", c.Pod.Name, string(c.Pod.UID)) {
			m := prefix.FindStringSubmatch(e.Message)
			if e.Reason != "Unhealthy" || m == nil || seen[m[1]] ||
				!strings.Contains(e.InvolvedObject.FieldPath, "{"+c.Spec.Name+"}") || over(c, m[1], &e, killed) {
				continue
			}
			seen[m[1]] = true
			if x, ok := newFailure(f, c, strings.ToLower(m[1]), strings.TrimPrefix(e.Message, m[0]), diagnosis.EventEvidence(&e), killed); ok {
				out = append(out, x.explain(f))
			}
		}
	}
	return out
}

// over tells whether the failure of a probe is past: it answers well now, or the container was started anew since. One that
// the kubelet ends for a probe is started anew each time.
func over(c diagnosis.Container, probe string, e *corev1.Event, killed bool) bool {
	if probe == "Readiness" && c.Status.Ready {
		return true
	}
	if killed {
		return false
	}
	run := c.Status.State.Running
	return probe == "Startup" && c.Status.Started != nil && *c.Status.Started || run != nil && diagnosis.EventTime(e).Before(run.StartedAt.Time)
}

func newFailure(f *diagnosis.Facts, c diagnosis.Container, name, message, evidence string, killed bool) (failure, bool) {
	x := failure{c: c, name: name, message: message, evidence: evidence, killed: killed && name != "readiness", owner: f.Owner(c.Pod), field: name + "Probe"}
	x.probe = x.of(c.Spec)
	return x, x.probe != nil
}

// of is the probe of that name of a container.
func (x failure) of(c *corev1.Container) *corev1.Probe {
	switch x.name {
	case "readiness":
		return c.ReadinessProbe
	case "liveness":
		return c.LivenessProbe
	}
	return c.StartupProbe
}

// templated is the probe as the workload's template has it, or nil.
func (x failure) templated() *corev1.Probe {
	if c := diagnosis.ContainerNamed(&x.owner.Template.Spec, x.c.Spec.Name); c != nil {
		return x.of(c)
	}
	return nil
}

// rewritten tells that the template's probe asks something else than the pod's: the template was changed since, or a
// service mesh added the container or sends the probes of its pods to its own port.
func (x failure) rewritten() bool {
	p := x.templated()
	return p == nil || !equality.Semantic.DeepEqual(p.ProbeHandler, x.probe.ProbeHandler)
}

// retarget makes a fix that changes what the probe asks.
func (x failure) retarget(explanation, pointer string, value any) diagnosis.Fix {
	if x.rewritten() {
		return x.compare(explanation)
	}
	return x.change(explanation, diagnosis.Operation{Op: "replace", Path: "/" + x.field + pointer, Value: value})
}

// change makes a fix of operations on the container's probes.
func (x failure) change(explanation string, operations ...diagnosis.Operation) diagnosis.Fix {
	if x.templated() == nil {
		return x.compare(explanation)
	}
	return diagnosis.ChangeContainer(x.owner, x.c, explanation, operations...)
}

// compare is the fix where the template has another probe than the pod.
func (x failure) compare(explanation string) diagnosis.Fix {
	if instead, _ := diagnosis.Unchangeable(x.owner, x.c); instead != "" {
		return diagnosis.ChangeContainer(x.owner, x.c, explanation)
	}
	return diagnosis.Fix{
		Explanation: fmt.Sprintf("%s The template of %s has another %s probe than the pod: it was changed since, or something rewrites the probe in the pods.",
			explanation, x.owner.Object, x.name),
		Commands: []string{
			diagnosis.Kubectl(x.c.Pod.Namespace, "get", x.owner.Arg(), "-o", "yaml"),
			diagnosis.Kubectl(x.c.Pod.Namespace, "get", "pod", x.c.Pod.Name, "-o", "yaml"),
		},
	}
}

// target is the port that the probe asks, its JSON pointer below the probe, and the path.
func (x failure) target() (port intstr.IntOrString, pointer, path string) {
	switch p := x.probe; {
	case p.HTTPGet != nil:
		return p.HTTPGet.Port, "/httpGet/port", p.HTTPGet.Path
	case p.TCPSocket != nil:
		return p.TCPSocket.Port, "/tcpSocket/port", ""
	case p.GRPC != nil:
		return intstr.FromInt32(p.GRPC.Port), "/grpc/port", ""
	}
	return intstr.IntOrString{}, "", ""
}

func (x failure) explain(f *diagnosis.Facts) diagnosis.Finding {
	out := diagnosis.Finding{
		Kind: diagnosis.KindConfig, Object: x.owner.Object, Score: diagnosis.ScoreStrong,
		Field: x.c.Path() + "." + x.field, Evidence: []string{x.evidence},
	}
	who := fmt.Sprintf("The %s probe of container %s of %s", x.name, x.c.Spec.Name, x.owner.Object)
	effect := "its pods do not become ready"
	if x.killed {
		effect = "the kubelet restarts the container each time"
	}
	port, pointer, path := x.target()
	code := status.FindStringSubmatch(x.message)
	switch {
	case x.probe.Exec != nil:
		x.command(&out, who, effect)
	case port.Type == intstr.String && !declared(x.c.Spec, port):
		out.Score, out.Value = diagnosis.ScoreCertain, port.StrVal
		out.Sentence = fmt.Sprintf("%s asks port %q, and the container has no port of that name; %s", who, port.StrVal, effect)
		x.portFix(&out, pointer)
	case strings.Contains(x.message, "refused"), x.probe.GRPC != nil && strings.Contains(x.message, unconnected) && !x.served():
		x.refused(&out, who, effect, port, pointer)
	case x.badRequest(code):
		x.askedWrongly(f, &out, who, effect)
	case code != nil && code[1][0] == '4':
		out.Value = mask.Text(path)
		out.Sentence = fmt.Sprintf("%s asks %s and gets %s, so that path is wrong or needs a login; %s", who, out.Value, code[1], effect)
		x.pathFix(f, &out, path)
	case code != nil:
		out.Kind, out.Score, out.Value = diagnosis.KindCode, diagnosis.ScoreLikely, code[1]
		out.Sentence = fmt.Sprintf("%s asks %s and gets %s: the program itself says that it is not well; %s", who, mask.Text(path), code[1], effect)
		out.Fix = diagnosis.Fix{Explanation: "Read what the program logs about its health.", Commands: []string{diagnosis.LogsCommand(x.c)}}
	case strings.Contains(x.message, "deadline exceeded"), strings.Contains(x.message, "Timeout"),
		strings.Contains(x.message, "timed out"), strings.Contains(x.message, "timeout"):
		x.slow(&out, who, effect)
	default:
		out.Score = diagnosis.ScoreLikely
		out.Sentence = fmt.Sprintf("%s fails: %s; %s", who, diagnosis.Shorten(x.message, 160), effect)
		out.Fix = diagnosis.Fix{Explanation: "Compare the probe with what the program serves.", Commands: []string{diagnosis.LogsCommand(x.c)}}
	}
	return out
}

// command explains a command that fails. What its output says of a port or of time is about what the command calls.
func (x failure) command(out *diagnosis.Finding, who, effect string) {
	if stopped.MatchString(x.message) {
		x.slow(out, who, effect)
		return
	}
	command := mask.Words(x.probe.Exec.Command)
	out.Score, out.Value = diagnosis.ScoreLikely, strings.Join(command, " ")
	out.Sentence = fmt.Sprintf("%s runs %q, which fails: %s; %s", who, out.Value, diagnosis.Shorten(x.message, 160), effect)
	out.Fix = diagnosis.Fix{Explanation: "Run the command in the container to see why; correct it, or what it checks.", Commands: []string{
		diagnosis.Kubectl(x.c.Pod.Namespace, append([]string{"exec", x.c.Pod.Name, "-c", x.c.Spec.Name, "--"}, command...)...)}}
	if !slices.Equal(command, x.probe.Exec.Command) {
		out.Fix.Explanation += " " + mask.Hidden + " stands for a secret."
	}
}

func declared(c *corev1.Container, port intstr.IntOrString) bool {
	for _, p := range c.Ports {
		if port.Type == intstr.String && p.Name == port.StrVal || port.Type == intstr.Int && p.ContainerPort == port.IntVal {
			return true
		}
	}
	return false
}

// refused tells a wrong port from a program that does not listen (yet).
func (x failure) refused(out *diagnosis.Finding, who, effect string, port intstr.IntOrString, pointer string) {
	out.Value = port.String()
	nothing, listen, is := "nothing listens", "listen", "is refused"
	if x.probe.GRPC != nil {
		nothing, listen, is = "nothing serves gRPC without TLS", "serve gRPC without TLS", "gets no connection"
	}
	if len(x.c.Spec.Ports) > 0 && !declared(x.c.Spec, port) && !x.rewritten() {
		out.Sentence = fmt.Sprintf("%s asks port %s, where %s; the container declares %s; %s", who, port.String(), nothing, ports(x.c.Spec), effect)
		x.portFix(out, pointer)
		if x.probe.GRPC != nil { // a program that is slow there looks the same
			out.Score, out.Fix = diagnosis.ScoreLikely, diagnosis.Fix{
				Explanation: "Set the probe's port to the one where the program serves gRPC." + noTLS, Commands: []string{diagnosis.LogsCommand(x.c)},
			}
		}
		return
	}
	if x.killed && !(x.name == "liveness" && x.c.Spec.StartupProbe != nil) { // the kubelet asks the liveness probe after the start
		x.slowStart(out, who, effect, listen+" on port "+port.String())
		return
	}
	out.Score, out.Kind = diagnosis.ScorePossible, diagnosis.KindCode
	out.Sentence = fmt.Sprintf("%s %s: the program does not %s on port %s, which the probe asks; %s", who, is, listen, port.String(), effect)
	out.Fix = diagnosis.Fix{Explanation: "See in the log what the program waits for, and on which port it listens.",
		Commands: []string{diagnosis.LogsCommand(x.c)}}
	if x.probe.GRPC != nil {
		out.Fix.Explanation += noTLS
	}
}

const noTLS = " A gRPC probe can't speak TLS: give a program that serves nothing else a probe of another kind."

// served tells that the program has answered before: the kubelet would have ended it earlier.
func (x failure) served() bool { return x.name != "readiness" && x.c.Outlived(x.probe) }

// startTime is how many seconds the fix of a slow start gives it at least.
const startTime = 300

// slowStart gives the start more time to do what the probe asks. The startup probe is made by copying, so that the command
// shows no header of the probe: one may hold a secret.
func (x failure) slowStart(out *diagnosis.Finding, who, effect, do string) {
	p := x.probe
	period, threshold := max(p.PeriodSeconds, 1), max(p.FailureThreshold, 1)
	out.Score = diagnosis.ScoreLikely
	out.Sentence = fmt.Sprintf("%s gives the program %d s to %s, and it does not by then; %s",
		who, p.InitialDelaySeconds+period*threshold, do, effect)
	if x.name == "startup" {
		more := max(2*threshold, (startTime+period-1)/period)
		out.Field, out.Value = out.Field+".failureThreshold", strconv.Itoa(int(threshold))
		out.Fix = x.change(fmt.Sprintf("Give the start more time (here %d s), or correct the port.", more*period),
			diagnosis.Operation{Op: "add", Path: "/startupProbe/failureThreshold", Value: more})
		return
	}
	out.Field, out.Value = out.Field+".initialDelaySeconds", strconv.Itoa(int(p.InitialDelaySeconds))
	out.Fix = x.change(fmt.Sprintf("Give the start its own probe with more time (here %d minutes), or correct the port.", startTime/60),
		diagnosis.Operation{Op: "copy", From: "/livenessProbe", Path: "/startupProbe"},
		diagnosis.Operation{Op: "add", Path: "/startupProbe/failureThreshold", Value: startTime / 10},
		diagnosis.Operation{Op: "add", Path: "/startupProbe/periodSeconds", Value: 10})
}

func ports(c *corev1.Container) string {
	var out []string
	for _, p := range c.Ports {
		text := strconv.Itoa(int(p.ContainerPort))
		if p.Name != "" {
			text += " (" + p.Name + ")"
		}
		out = append(out, text)
	}
	return strings.Join(out, ", ")
}

// portFix takes the port of another probe that does not fail, else the container's first.
func (x failure) portFix(out *diagnosis.Finding, pointer string) {
	if len(x.c.Spec.Ports) == 0 {
		out.Fix = diagnosis.Fix{Explanation: "Set the probe's port to the one where the program listens.", Commands: []string{diagnosis.LogsCommand(x.c)}}
		return
	}
	first := x.c.Spec.Ports[0]
	out.Fix = x.retarget(fmt.Sprintf("Set the probe's port to the one where the program listens; the container declares %s.", ports(x.c.Spec)),
		pointer, first.ContainerPort)
}

// pathFix takes the path from the revision before or from the container's other probe.
func (x failure) pathFix(f *diagnosis.Facts, out *diagnosis.Finding, path string) {
	undo := f.Undo(func(old *corev1.PodSpec) bool {
		o := diagnosis.ContainerNamed(old, x.c.Spec.Name)
		return o != nil && !x.rewritten() && (x.of(o) == nil || x.of(o).HTTPGet == nil || x.of(o).HTTPGet.Path != path)
	})
	out.Fix = diagnosis.Fix{Explanation: "Set the probe's path to one that the program answers with 200.", Commands: undo}
	if len(undo) > 0 {
		return
	}
	const pointer = "/httpGet/path"
	for _, other := range []*corev1.Probe{x.c.Spec.ReadinessProbe, x.c.Spec.LivenessProbe, x.c.Spec.StartupProbe} {
		if other != nil && other.HTTPGet != nil && other.HTTPGet.Path != path && mask.Text(other.HTTPGet.Path) == other.HTTPGet.Path {
			out.Fix = x.retarget(
				fmt.Sprintf("Set the probe's path to one that the program answers with 200; its other probe asks %s.", other.HTTPGet.Path),
				pointer, other.HTTPGet.Path)
			return
		}
	}
	out.Fix = x.retarget(out.Fix.Explanation, pointer, "PATH")
	if len(out.Fix.Patches) > 0 {
		out.Fix.Patches = nil // a dry run would only try PATH
		out.Fix.Explanation += " PATH stands for it."
	}
}

func (x failure) slow(out *diagnosis.Finding, who, effect string) {
	seconds := max(x.probe.TimeoutSeconds, 1)
	out.Score = diagnosis.ScoreLikely
	out.Field += ".timeoutSeconds"
	out.Value = strconv.Itoa(int(seconds))
	out.Sentence = fmt.Sprintf("%s gets no answer within its timeout of %d s (timeoutSeconds); %s", who, seconds, effect)
	out.Fix = x.change("Give the probe more time if the program is only slow; see why it is slow if it used to answer.",
		diagnosis.Operation{Op: "add", Path: "/" + x.field + "/timeoutSeconds", Value: 5 * seconds})
	out.Fix.Commands = append(out.Fix.Commands, diagnosis.LogsCommand(x.c))
}
