package diagnosis

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// ChangeContainer makes the fix that changes a container in its workload's template by operations on what is below the
// container. Where the template can't be changed, or does not have the container, there is no patch and the explanation
// says what to do instead.
func ChangeContainer(w Workload, c Container, explanation string, operations ...Operation) Fix {
	if instead, commands := Unchangeable(w, c); instead != "" {
		return Fix{Explanation: explanation + " " + instead, Commands: commands}
	}
	at := w.containerPath(c.Spec.Name)
	// The test keeps the patch from another container if the template changes before the patch is sent.
	patch := []Operation{{Op: "test", Path: at + "/name", Value: c.Spec.Name}}
	for _, o := range operations {
		o.Path = at + o.Path
		if o.From != "" {
			o.From = at + o.From
		}
		patch = append(patch, o)
	}
	return FixBy(explanation, []Patch{JSONPatch(w.Object, patch...)})
}

// Unchangeable says what to do, and by which commands, to change a container that can't be changed in its workload's
// template; it is empty where it can.
func Unchangeable(w Workload, c Container) (instead string, commands []string) {
	switch {
	case w.Kind == "Pod" || w.Kind == "Job":
		return w.remake()
	case w.containerPath(c.Spec.Name) == "":
		return fmt.Sprintf(
				"The template of %s does not have container %s: it was taken out since, or an admission webhook adds it to the pods and has the setting.",
				w.Object, c.Spec.Name),
			[]string{Kubectl("", "get", "mutatingwebhookconfigurations")}
	}
	return "", nil
}

// remake says how a Pod or a Job is changed: Kubernetes takes no other template for one that it has.
func (w Workload) remake() (string, []string) {
	if owner := metav1.GetControllerOfNoCopy(&w.Meta); owner != nil && owner.Kind != "Node" {
		kind := schema.FromAPIVersionAndKind(owner.APIVersion, strings.ToLower(owner.Kind)).GroupKind()
		return fmt.Sprintf("Change it in %s %s, which makes %s.", owner.Kind, owner.Name, w.Object),
			[]string{Kubectl(w.Namespace, "edit", kind.String()+"/"+owner.Name)}
	}
	if w.Kind == "Pod" {
		return "A pod without a controller is changed by making the pod anew.", nil
	}
	return "The template of a Job can't be changed: change the manifest that the Job was made from (FILE), delete the Job, which deletes its pods and their logs, and make it anew.",
		[]string{Kubectl(w.Namespace, "delete", w.Arg()), Kubectl(w.Namespace, "apply", "-f", "FILE")}
}

// held takes the changes of a workload out of a fix where another object makes the workload, as an operator's Prometheus
// makes a StatefulSet: the operator would take them back. The fix then says where to make them.
func (w Workload) held(fix Fix) Fix {
	owner := metav1.GetControllerOfNoCopy(&w.Meta)
	if owner == nil || owner.Kind == "Node" || !slices.ContainsFunc(fix.Commands, w.changedBy) {
		return fix
	}
	instead, commands := w.remake()
	fix.Explanation = standing.ReplaceAllString(fix.Explanation, "") + " " + instead
	fix.Commands = slices.Concat(commands, slices.DeleteFunc(slices.Clone(fix.Commands), w.changedBy))
	fix.Patches = slices.DeleteFunc(slices.Clone(fix.Patches), func(p Patch) bool { return w.changedBy(p.Command()) })
	return fix
}

// standing is what an explanation says of words and values of a command that is left out.
var standing = regexp.MustCompile(` (?:IMAGE|PATH|UID) stands for [^.]+\.| The values in the commands are a beginning; set what the program needs\.` +
	`| The command asks for a quarter of the largest node, \S+\.`)

// changedBy tells whether a command changes the workload's specification.
func (w Workload) changedBy(command string) bool {
	for _, words := range [][]string{
		{"patch", strings.ToLower(w.Kind), w.Name}, {"edit", w.Arg()}, {"scale", w.Arg()}, {"rollout", "undo", w.Arg()}, {"rollout", "resume", w.Arg()},
		{"set", "image", w.Arg()}, {"set", "resources", w.Arg()}, {"set", "env", w.Arg()},
	} {
		if strings.HasPrefix(command+" ", Kubectl(w.Namespace, words...)+" ") {
			return true
		}
	}
	return false
}

// containerPath is the JSON pointer of a container in the workload, or empty if its template does not have it. A pod may
// have it elsewhere: what is injected into pods may come first.
func (w Workload) containerPath(name string) string {
	named := func(c corev1.Container) bool { return c.Name == name }
	if i := slices.IndexFunc(w.Template.Spec.Containers, named); i >= 0 {
		return w.SpecPath("/containers/" + strconv.Itoa(i))
	}
	if i := slices.IndexFunc(w.Template.Spec.InitContainers, named); i >= 0 {
		return w.SpecPath("/initContainers/" + strconv.Itoa(i))
	}
	return ""
}
