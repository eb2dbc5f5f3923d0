// Package details tells a person more of an Incident than its messages do: the state of the object and its pods, events,
// and the last lines of the logs, read from the Kubernetes API with the responder's rights. Secrets are masked.
package details

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/diagnosis"
	"github.com/kubebot/kubebot/internal/diagnosis/gather"
	"github.com/kubebot/kubebot/internal/mask"
)

// Bounds of what is told: what fits into a few sections of a message.
const (
	readTime   = 5 * time.Second
	maxObjects = 1000
	maxPods    = 6
	maxEvents  = 8
	maxLines   = 12
	maxLine    = 240
	maxLogs    = 2
)

// Teller reads what it tells from the Kubernetes API.
type Teller struct{ Kube kubernetes.Interface }

// Tell returns what there is to know of the Incident's subject, or why it could not be read.
func (t Teller) Tell(ctx context.Context, inc *v1alpha1.Incident) string {
	s := inc.Spec.Subject
	if _, err := gather.Kind(s.Kind); err != nil {
		return ""
	}
	f, err := gather.Facts(ctx, t.Kube, diagnosis.Object{APIVersion: s.APIVersion, Kind: s.Kind, Namespace: s.Namespace, Name: s.Name},
		gather.Options{SourceTimeout: readTime, MaxObjects: maxObjects})
	if err != nil {
		return fmt.Sprintf("The state of %s %s can't be read: %s", s.Kind, s.Name, mask.Text(err.Error()))
	}
	return Text(f)
}

// Text says the facts in lines. It is pure.
func Text(f *diagnosis.Facts) string {
	var b strings.Builder
	if w := f.Workload; w.Exists() {
		fmt.Fprintf(&b, "%s %s: %d of %d pods ready, %d of the present revision\n", w.Kind, w.Name, w.Ready, w.Desired, w.Updated)
		for _, c := range w.Conditions {
			if c.Status != "True" && c.Message != "" {
				fmt.Fprintf(&b, "• %s is %s: %s\n", c.Type, c.Status, short(c.Message))
			}
		}
	}
	pods(&b, f.Pods)
	events(&b, f)
	logs(&b, f.Logs)
	for _, u := range f.Unread {
		fmt.Fprintf(&b, "Not read: %s (%s)\n", u.Words(f.NS()), u.Reason)
	}
	return strings.TrimSpace(b.String())
}

func short(text string) string { return diagnosis.Shorten(mask.Text(text), maxLine) }

// pods says the state of pods, those in trouble first.
func pods(b *strings.Builder, list []corev1.Pod) {
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(x, y corev1.Pod) int { return order(&x) - order(&y) })
	for i := range list {
		if i == maxPods {
			fmt.Fprintf(b, "… and %d more pods\n", len(list)-maxPods)
			return
		}
		p := &list[i]
		fmt.Fprintf(b, "Pod %s: %s", p.Name, p.Status.Phase)
		for _, c := range diagnosis.ContainersOf(p) {
			if reason, message := c.Waiting(); reason != "" {
				fmt.Fprintf(b, "; %s waits: %s %s", c.Spec.Name, reason, short(message))
			}
			if ended := c.Ended(); ended != nil {
				fmt.Fprintf(b, "; %s ended: %s, exit code %d", c.Spec.Name, ended.Reason, ended.ExitCode)
			}
		}
		restarts := int32(0)
		for _, s := range p.Status.ContainerStatuses {
			restarts += s.RestartCount
		}
		if restarts > 0 {
			fmt.Fprintf(b, "; %s", diagnosis.Plural(int(restarts), "restart"))
		}
		if p.Spec.NodeName != "" {
			fmt.Fprintf(b, "; on %s", p.Spec.NodeName)
		}
		b.WriteByte('\n')
	}
}

func order(p *corev1.Pod) int {
	switch {
	case diagnosis.Unready(p):
		return 0
	case diagnosis.PodReady(p):
		return 1
	}
	return 2
}

// events says the last warnings of the workload and its pods.
func events(b *strings.Builder, f *diagnosis.Facts) {
	mine := map[string]bool{f.Subject.Kind + "/" + f.Subject.Name: true, f.Workload.Kind + "/" + f.Workload.Name: true}
	for i := range f.Pods {
		mine["Pod/"+f.Pods[i].Name] = true
	}
	for i := range f.ReplicaSets {
		mine["ReplicaSet/"+f.ReplicaSets[i].Name] = true
	}
	list := slices.DeleteFunc(slices.Clone(f.Events), func(e corev1.Event) bool {
		return e.Type != corev1.EventTypeWarning || !mine[e.InvolvedObject.Kind+"/"+e.InvolvedObject.Name]
	})
	slices.SortStableFunc(list, func(x, y corev1.Event) int { return diagnosis.EventTime(&y).Compare(diagnosis.EventTime(&x)) })
	for i := range list[:min(len(list), maxEvents)] {
		e := &list[i]
		fmt.Fprintf(b, "%s %s\n", diagnosis.EventTime(e).UTC().Format("15:04:05"), mask.Text(diagnosis.EventEvidence(e)))
	}
}

// logs are the last lines of the first containers whose logs were read.
func logs(b *strings.Builder, list []diagnosis.Log) {
	shown := 0
	for _, l := range list {
		if len(l.Lines) == 0 || shown == maxLogs {
			continue
		}
		shown++
		which := "log"
		if l.Previous {
			which = "log of the last run"
		}
		fmt.Fprintf(b, "\n%s of %s in %s, last lines:\n", strings.ToUpper(which[:1])+which[1:], l.Container, l.Pod)
		for _, line := range l.Lines[max(0, len(l.Lines)-maxLines):] {
			fmt.Fprintf(b, "  %s\n", short(line.Text))
		}
	}
}
