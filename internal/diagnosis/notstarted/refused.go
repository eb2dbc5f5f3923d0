package notstarted

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubebot/kubebot/internal/diagnosis"
)

// refusedWith is what the kubelet puts before the reason for which it refuses a pod that was bound to its node.
const refusedWith = "Pod was rejected: "

// refusal explains why nodes refuse the workload's pods. The pods stay to be read, so only the newest counts, and only while
// none was made after it that was taken; one that was asked about always counts.
func refusal(f *diagnosis.Facts) []diagnosis.Finding {
	w := f.Workload
	if p := f.Pod(f.Subject.Name); f.Subject.Kind == "Pod" && p != nil && refused(p) {
		return []diagnosis.Finding{explain(f, p)}
	}
	if !w.Exists() || w.Satisfied() && w.Kind != "CronJob" {
		return nil
	}
	var last *corev1.Pod
	for i := range f.Pods {
		if p := &f.Pods[i]; refused(p) && !f.OfPastTry(p) && (last == nil || last.CreationTimestamp.Before(&p.CreationTimestamp)) {
			last = p
		}
	}
	if last == nil || succeeded(f, last) {
		return nil
	}
	return []diagnosis.Finding{explain(f, last)}
}

// refused tells whether the pod's node refused it. What a node refuses for lack of memory or disk counts as evicted.
func refused(p *corev1.Pod) bool {
	return p.Status.Phase == corev1.PodFailed && strings.HasPrefix(p.Status.Message, refusedWith) && p.Status.Reason != "Evicted"
}

// succeeded tells whether the owner of a refused pod has made another since that was not refused; a DaemonSet makes it for the
// same node.
func succeeded(f *diagnosis.Facts, p *corev1.Pod) bool {
	owner := metav1.GetControllerOfNoCopy(p)
	if owner == nil {
		return false
	}
	for i := range f.Pods {
		q := &f.Pods[i]
		if refused(q) || !p.CreationTimestamp.Before(&q.CreationTimestamp) || !metav1.IsControlledBy(q, &metav1.ObjectMeta{UID: owner.UID}) {
			continue
		}
		if owner.Kind != "DaemonSet" || q.Spec.NodeName == p.Spec.NodeName {
			return true
		}
	}
	return false
}

func explain(f *diagnosis.Facts, p *corev1.Pod) diagnosis.Finding {
	reason, message := p.Status.Reason, plain(strings.TrimPrefix(p.Status.Message, refusedWith))
	on := p.Spec.NodeName
	out := diagnosis.Finding{
		Kind: diagnosis.KindNode, Object: node(p), Value: reason, Score: diagnosis.ScoreStrong,
		Sentence: fmt.Sprintf("Node %s refuses %s (%s): %s", on, whose(f), reason, strings.TrimRight(diagnosis.Shorten(message, 200), ". ")),
		Evidence: []string{fmt.Sprintf("pod %s was made %s ago and refused (%s)", p.Name, f.Age(p.CreationTimestamp.Time), reason)},
		Fix: diagnosis.Fix{Explanation: "See what the node's kubelet and its plugins say.",
			Commands: []string{diagnosis.Kubectl("", "describe", "node", on)}},
	}
	if n := like(f, p); n > 1 {
		out.Evidence[0] += ", as were " + diagnosis.Plural(n-1, "other")
	}
	owner := f.Owner(p).Object
	switch {
	case f.Workload.Template.Spec.NodeName != "" && f.Workload.Kind != "Pod":
		out.Kind, out.Object, out.Field, out.Value = diagnosis.KindConfig, owner, "nodeName", on
		out.Sentence += "; the pod template binds them to it (spec.nodeName), past the scheduler"
		out.Fix.Explanation = "Leave nodeName out and let the scheduler find a node; a nodeSelector keeps the pods to some."
	case strings.HasPrefix(reason, "OutOf"), reason == "NodeAffinity", reason == "NodePorts":
		out.Kind, out.Object, out.Field, out.Value = diagnosis.KindScheduling, owner, "nodeName", on
		out.Fix.Explanation = "The scheduler, or what binds the pods, saw the node in another way than its kubelet does: compare the node's labels, room and pods with what the pods ask for."
	case reason == "SysctlForbidden":
		out.Kind, out.Object, out.Field = diagnosis.KindConfig, owner, "securityContext.sysctls"
		out.Fix.Explanation = "Leave the sysctl out, or let the kubelets of some nodes allow it (--allowed-unsafe-sysctls) and keep the pods to these."
	case reason == "UnexpectedAdmissionError" && strings.Contains(message, "Allocate failed"):
		out.Fix.Explanation = "See that the device plugin runs on the node and that its devices are healthy; the pods are taken again once it registered them."
	}
	return out
}

// like is how many pods were refused for the same reason.
func like(f *diagnosis.Facts, p *corev1.Pod) (n int) {
	for i := range f.Pods {
		if q := &f.Pods[i]; refused(q) && q.Status.Reason == p.Status.Reason {
			n++
		}
	}
	return n
}

// patience is how long what sets a readiness gate may take once the pod's containers are ready: a load balancer checks a new
// target several times before it counts as well.
const patience = 3 * time.Minute

// gate explains a pod whose containers are ready and that waits for a readiness gate.
func gate(f *diagnosis.Facts, p *corev1.Pod) (diagnosis.Finding, bool) {
	ready, containers := diagnosis.PodCondition(p, corev1.PodReady), diagnosis.PodCondition(p, corev1.ContainersReady)
	if ready.Status == corev1.ConditionTrue || ready.Reason != "ReadinessGatesNotReady" || p.DeletionTimestamp != nil ||
		f.Now.Sub(containers.LastTransitionTime.Time) < patience {
		return diagnosis.Finding{}, false
	}
	owner := f.Owner(p).Object
	out := diagnosis.Finding{
		Kind: diagnosis.KindDependency, Object: owner, Field: "readinessGates", Score: diagnosis.ScoreStrong,
		Sentence: fmt.Sprintf("The containers of %s are ready, but not its pods: %s", owner, strings.TrimRight(diagnosis.Shorten(ready.Message, 200), ". ")),
		Evidence: []string{fmt.Sprintf("pod %s: condition Ready=False: %s: %s", p.Name, ready.Reason, diagnosis.Shorten(ready.Message, 200))},
		Fix: diagnosis.Fix{Explanation: "See whether the controller that sets the gate runs, and what it says of the pod.",
			Commands: []string{describe(p)}},
	}
	for _, g := range p.Spec.ReadinessGates {
		c := diagnosis.PodCondition(p, g.ConditionType)
		if c.Status == corev1.ConditionTrue {
			continue
		}
		name := string(g.ConditionType)
		out.Value = name
		out.Sentence = fmt.Sprintf("The containers of %s are ready, but not its pods: nothing has set their readiness gate %s", owner, name)
		if c.Status != "" {
			says := strings.TrimRight(diagnosis.Shorten(strings.TrimSpace(c.Reason+" "+c.Message), 160), ". ")
			out.Sentence = fmt.Sprintf("The containers of %s are ready, but not its pods: their readiness gate %s is %s (%s)", owner, name, c.Status, says)
			out.Fix.Explanation =
				"See what the controller that sets the gate says of the pod; that of a load balancer, whether its health check fits the pods' port and path."
		}
		// The AWS Load Balancer Controller names the gate after the object by which it puts the pods into a target group.
		if binding, ok := strings.CutPrefix(name, "target-health.elbv2.k8s.aws/"); ok {
			out.Fix.Commands = append(out.Fix.Commands, diagnosis.Kubectl(p.Namespace, "describe", "targetgroupbinding", binding))
		}
		break
	}
	return out, true
}
