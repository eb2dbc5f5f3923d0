package gather

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubebot/kubebot/internal/diagnosis"
	"github.com/kubebot/kubebot/internal/mask"
)

// behind finds the workload behind an object that is none: what a Service selects, what an autoscaler scales.
func (r *reader) behind(ctx context.Context, o runtime.Object) {
	switch s := o.(type) {
	case *corev1.Service:
		r.serviceSelector = s.Spec.Selector
		r.workloadOfSelected(ctx)
	case *autoscalingv2.HorizontalPodAutoscaler:
		target := s.Spec.ScaleTargetRef
		o, err := r.get(ctx, target.Kind, s.Namespace, target.Name)
		if err != nil {
			r.unread(target.Kind, target.Name, err)
			return
		}
		if w, ok := diagnosis.WorkloadOf(o); ok {
			r.facts.Workload = w
		}
	}
}

func (r *reader) workloadOfSelected(ctx context.Context) {
	if len(r.serviceSelector) == 0 {
		return
	}
	listCtx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	pods, err := r.client.CoreV1().Pods(r.facts.Subject.Namespace).List(listCtx,
		metav1.ListOptions{LabelSelector: labels.Set(r.serviceSelector).String(), Limit: 1})
	if err != nil {
		r.unread("Pod", "", err)
		return
	}
	if len(pods.Items) > 0 {
		if w, ok := diagnosis.WorkloadOf(&pods.Items[0]); ok {
			r.facts.Workload = r.climb(ctx, w)
		}
		return
	}
	r.workloadWithoutPods(ctx)
}

// workloadWithoutPods finds the Deployment, StatefulSet or DaemonSet whose pods a Service would select if there were any.
func (r *reader) workloadWithoutPods(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	ns, o := r.facts.Subject.Namespace, metav1.ListOptions{Limit: page}
	var found []runtime.Object
	deployments, err := r.client.AppsV1().Deployments(ns).List(ctx, o)
	if err != nil {
		r.unread("Deployment", "", err)
	} else {
		for i := range deployments.Items {
			found = append(found, &deployments.Items[i])
		}
	}
	sets, err := r.client.AppsV1().StatefulSets(ns).List(ctx, o)
	if err != nil {
		r.unread("StatefulSet", "", err)
	} else {
		for i := range sets.Items {
			found = append(found, &sets.Items[i])
		}
	}
	daemons, err := r.client.AppsV1().DaemonSets(ns).List(ctx, o)
	if err != nil {
		r.unread("DaemonSet", "", err)
	} else {
		for i := range daemons.Items {
			found = append(found, &daemons.Items[i])
		}
	}
	for _, candidate := range found {
		if w, ok := diagnosis.WorkloadOf(candidate); ok && labels.SelectorFromSet(r.serviceSelector).Matches(labels.Set(w.Template.Labels)) {
			r.facts.Workload = w
			return
		}
	}
}

// page is how many objects one request lists at most, and maxObjects how many are read of a kind by default.
const (
	page       = 500
	maxObjects = 5000
)

// listOf is a list of objects, such as *corev1.PodList.
type listOf interface {
	runtime.Object
	metav1.ListInterface
}

// listAll reads the pages of a list. It is no pager of client-go: that one reads everything, in one request where a page
// has expired, and drops what it read when it fails.
func listAll[T any, L listOf](ctx context.Context, most int, list func(context.Context, metav1.ListOptions) (L, error)) ([]T, error) {
	var out []T
	o := metav1.ListOptions{Limit: page}
	for {
		l, err := list(ctx, o)
		if next := newer(err); o.Continue != "" && next != "" {
			o.Continue = next
			continue
		}
		if err != nil {
			return out, err
		}
		items, err := meta.GetItemsPtr(l)
		if err != nil {
			return out, err
		}
		out = append(out, *items.(*[]T)...)
		if l.GetContinue() == "" {
			return out, nil
		}
		if len(out) >= most {
			return out, fmt.Errorf("more than %d: the rest was not read", most)
		}
		o.Continue = l.GetContinue()
	}
}

// newer is the token by which a list goes on with newer objects when the state that its pages showed is no longer kept;
// empty when the error is another one.
func newer(err error) string {
	var status apierrors.APIStatus
	if !apierrors.IsResourceExpired(err) || !errors.As(err, &status) {
		return ""
	}
	return status.Status().Continue
}

// into makes a source that lists a kind into a field.
func into[T any, L listOf](r *reader, kind string, field *[]T, list func(context.Context, metav1.ListOptions) (L, error)) source {
	return source{kind: kind, read: func(ctx context.Context) error {
		items, err := listAll[T](ctx, r.most, list)
		*field = items
		return err
	}}
}

// lists reads the lists of the namespace and of the cluster.
func (r *reader) lists(ctx context.Context) {
	f, c := r.facts, r.client
	cluster := []source{into(r, "Node", &f.Nodes, c.CoreV1().Nodes().List)}
	ns := f.Subject.Namespace
	if ns == "" {
		var events []corev1.Event
		r.all(ctx, append(append(cluster, r.nodeEvents(&events)), r.onNode(f.Subject.Name)...))
		f.Events = masked(events)
		return
	}
	sources := append(cluster, r.namespaceSources(ns)...)
	var events, nodeEvents []corev1.Event
	sources = append(sources, r.nodeEvents(&nodeEvents), into(r, "Event", &events, c.CoreV1().Events(ns).List))
	sources = append(sources, r.networkSources(ns)...)
	sources = append(sources, r.gateways(ns)...)
	r.all(ctx, sources)
	if ns == metav1.NamespaceDefault {
		nodeEvents = nil // they are among the namespace's
	}
	f.Events = masked(append(events, nodeEvents...))
}

// onNode lists the pods of a node and the budgets that may keep them there, of all namespaces.
func (r *reader) onNode(node string) []source {
	f, c := r.facts, r.client
	return []source{
		into(r, "Pod", &f.Pods, func(ctx context.Context, o metav1.ListOptions) (*corev1.PodList, error) {
			o.FieldSelector = "spec.nodeName=" + node
			return c.CoreV1().Pods(metav1.NamespaceAll).List(ctx, o)
		}),
		into(r, "PodDisruptionBudget", &f.Budgets, c.PolicyV1().PodDisruptionBudgets(metav1.NamespaceAll).List),
	}
}

// nodeEvents reads the events of nodes, which are kept in the namespace default. Without the right to read them the
// answer is complete enough not to mention it.
func (r *reader) nodeEvents(field *[]corev1.Event) source {
	return source{kind: "Event", name: "of nodes", read: func(ctx context.Context) error {
		l, err := r.client.CoreV1().Events(metav1.NamespaceDefault).List(ctx, metav1.ListOptions{FieldSelector: "involvedObject.kind=Node", Limit: page})
		if err != nil {
			return err
		}
		*field = l.Items
		return nil
	}}
}

// folded is what client-go puts before the message of the latest of many like events, which it makes one.
const folded = "(combined from similar events): "

func masked(events []corev1.Event) []corev1.Event {
	for i := range events {
		events[i].Message = mask.Text(strings.TrimPrefix(events[i].Message, folded))
		events[i].ManagedFields = nil
	}
	return events
}

// choosePods tells the workload's own pods, revisions and Jobs from the namespace's others.
func (r *reader) choosePods() {
	f := r.facts
	r.chooseOthers()
	owners := map[string]bool{f.Workload.UID: f.Workload.Exists()}
	f.Rollouts = rollouts(f.ReplicaSets, f.ControllerRevisions)
	f.Jobs = keep(f.Jobs, func(m metav1.Object) bool {
		return controlledBy(m, owners) || f.Workload.Kind == "Job" && m.GetName() == f.Workload.Name
	})
	f.ReplicaSets = keep(f.ReplicaSets, func(m metav1.Object) bool {
		return controlledBy(m, owners) || f.Workload.Kind == "ReplicaSet" && m.GetName() == f.Workload.Name
	})
	f.ControllerRevisions = keep(f.ControllerRevisions, func(m metav1.Object) bool { return controlledBy(m, owners) })
	f.CronJobs = keep(f.CronJobs, func(m metav1.Object) bool {
		return f.Workload.Kind == "CronJob" && m.GetName() == f.Workload.Name
	})
	for i := range f.Jobs {
		owners[string(f.Jobs[i].UID)] = true
	}
	for i := range f.ReplicaSets {
		owners[string(f.ReplicaSets[i].UID)] = true
	}
	all := f.Pods
	f.Pods, f.Neighbours = nil, nil
	for _, p := range all {
		p.ManagedFields = nil
		switch own := controlledBy(&p, owners) || f.Workload.Kind == "Pod" && p.Name == f.Workload.Name; {
		case own && f.Subject.Kind == "Pod" && p.Name != f.Subject.Name:
			f.Neighbours = append(f.Neighbours, p)
		case own:
			f.Pods = append(f.Pods, p)
		default:
			f.Neighbours = append(f.Neighbours, p)
		}
	}
}

// chooseOthers keeps what is common to the namespace's workloads other than the one behind the subject. A ReplicaSet of a
// Deployment is a revision of it, which may be past.
func (r *reader) chooseOthers() {
	var all []runtime.Object
	for i := range r.deployments {
		all = append(all, &r.deployments[i])
	}
	for i := range r.statefulSets {
		all = append(all, &r.statefulSets[i])
	}
	for i := range r.daemonSets {
		all = append(all, &r.daemonSets[i])
	}
	for i := range r.facts.ReplicaSets {
		if owner := metav1.GetControllerOfNoCopy(&r.facts.ReplicaSets[i]); owner == nil || owner.Kind != "Deployment" {
			all = append(all, &r.facts.ReplicaSets[i])
		}
	}
	for _, o := range all {
		if w, ok := diagnosis.WorkloadOf(o); ok && w.Object != r.facts.Workload.Object {
			w.Meta.ManagedFields = nil
			r.facts.Others = append(r.facts.Others, w)
		}
	}
}

// rollouts are the revisions after the first.
func rollouts(sets []appsv1.ReplicaSet, revisions []appsv1.ControllerRevision) []diagnosis.Rollout {
	var out []diagnosis.Rollout
	add := func(m metav1.Object, revision int) {
		owner := metav1.GetControllerOfNoCopy(m)
		if owner != nil && revision > 1 && (owner.Kind == "Deployment" || owner.Kind == "StatefulSet" || owner.Kind == "DaemonSet") {
			out = append(out, diagnosis.Rollout{Kind: owner.Kind, Name: owner.Name, Revision: revision, At: m.GetCreationTimestamp().Time})
		}
	}
	for i := range sets {
		add(&sets[i], diagnosis.Revision(&sets[i]))
	}
	for i := range revisions {
		add(&revisions[i], int(revisions[i].Revision))
	}
	slices.SortFunc(out, func(a, b diagnosis.Rollout) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Revision, b.Revision))
	})
	return out
}

func controlledBy(m metav1.Object, owners map[string]bool) bool {
	owner := metav1.GetControllerOfNoCopy(m)
	return owner != nil && owners[string(owner.UID)]
}

func keep[T any, P interface {
	*T
	metav1.Object
}](list []T, wanted func(metav1.Object) bool) []T {
	var out []T
	for i := range list {
		if wanted(P(&list[i])) {
			P(&list[i]).SetManagedFields(nil)
			out = append(out, list[i])
		}
	}
	return out
}
