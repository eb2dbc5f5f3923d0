package gather

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"regexp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubebot/kubebot/internal/diagnosis"
	"github.com/kubebot/kubebot/internal/mask"
	"github.com/kubebot/kubebot/internal/truncate"
)

// Bounds of what is read of logs: enough for the dump of a crash, little enough for an answer within seconds.
const (
	maxLogPods  = 4
	maxLogLines = int64(200)
	maxLogBytes = int64(128 << 10)
)

// details reads what the first reads refer to, and the logs.
func (r *reader) details(ctx context.Context) {
	f := r.facts
	sources := r.logSources()
	seen := map[string]bool{}
	if f.Workload.Exists() {
		for _, ref := range f.References() {
			if ref.Kind == "ConfigMap" && !seen[ref.Name] {
				seen[ref.Name] = true
				sources = append(sources, r.configMap(ref.Name))
			}
		}
		sources = append(sources, r.serviceAccount(cmp.Or(f.Workload.Template.Spec.ServiceAccountName, "default")))
	}
	for _, c := range f.Claims {
		if name := c.Spec.VolumeName; name != "" && r.usesClaim(c.Name) {
			sources = append(sources, r.volume(name))
		}
	}
	sources = append(sources, r.otherGateways()...)
	r.all(ctx, sources)
	if len(f.ConfigMaps) < len(seen) && f.Knows("ConfigMap") && r.metadata == nil {
		r.all(ctx, []source{r.otherConfigMaps()})
	}
}

func (r *reader) usesClaim(name string) bool {
	for i := range r.facts.Pods {
		for _, v := range r.facts.Pods[i].Spec.Volumes {
			if v.PersistentVolumeClaim != nil && v.PersistentVolumeClaim.ClaimName == name {
				return true
			}
		}
	}
	return r.facts.Subject.Kind == "PersistentVolumeClaim" && r.facts.Subject.Name == name
}

func (r *reader) configMap(name string) source {
	return source{kind: "ConfigMap", name: name, read: func(ctx context.Context) error {
		if r.metadata != nil {
			m, err := r.metadata.Resource(corev1.SchemeGroupVersion.WithResource("configmaps")).
				Namespace(r.facts.Subject.Namespace).Get(ctx, name, metav1.GetOptions{})
			if err == nil {
				r.addConfigMap(corev1.ConfigMap{ObjectMeta: m.ObjectMeta})
			}
			return err
		}
		m, err := r.client.CoreV1().ConfigMaps(r.facts.Subject.Namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		r.addConfigMap(*m)
		return nil
	}}
}

// addConfigMap keeps a ConfigMap's keys and when it was changed, and drops the values.
func (r *reader) addConfigMap(m corev1.ConfigMap) {
	keys := make(map[string]string, len(m.Data)+len(m.BinaryData))
	for k := range m.Data {
		keys[k] = ""
	}
	for k := range m.BinaryData {
		keys[k] = ""
	}
	m.Data, m.BinaryData = keys, nil
	if r.metadata != nil {
		m.Data = nil
	}
	for i := range m.ManagedFields {
		m.ManagedFields[i].FieldsV1 = nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.facts.ConfigMaps = append(r.facts.ConfigMaps, m)
}

// otherConfigMaps lists the namespace's ConfigMaps once one is missing: one with a like name may be meant.
func (r *reader) otherConfigMaps() source {
	return source{kind: "ConfigMap", name: "with like names", read: func(ctx context.Context) error {
		l, err := r.client.CoreV1().ConfigMaps(r.facts.Subject.Namespace).List(ctx, metav1.ListOptions{Limit: page})
		if err != nil {
			if apierrors.IsForbidden(err) {
				return nil // a suggestion less, nothing unknown
			}
			return err
		}
		for _, m := range l.Items {
			if r.facts.ConfigMap(m.Name) == nil {
				r.addConfigMap(m)
			}
		}
		return nil
	}}
}

func (r *reader) serviceAccount(name string) source {
	return source{kind: "ServiceAccount", name: name, read: func(ctx context.Context) error {
		a, err := r.client.CoreV1().ServiceAccounts(r.facts.Subject.Namespace).Get(ctx, name, metav1.GetOptions{})
		if err == nil {
			a.ManagedFields = nil
			r.facts.ServiceAccounts = append(r.facts.ServiceAccounts, *a)
		}
		return err
	}}
}

func (r *reader) volume(name string) source {
	return source{kind: "PersistentVolume", name: name, read: func(ctx context.Context) error {
		v, err := r.client.CoreV1().PersistentVolumes().Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		v.ManagedFields = nil
		r.mu.Lock()
		defer r.mu.Unlock()
		r.facts.Volumes = append(r.facts.Volumes, *v)
		return nil
	}}
}

// logSources read the logs of a few pods: those in trouble first, the newest first among equals.
func (r *reader) logSources() []source {
	pods := make([]*corev1.Pod, 0, len(r.facts.Pods))
	for i := range r.facts.Pods {
		pods = append(pods, &r.facts.Pods[i])
	}
	slices.SortStableFunc(pods, func(a, b *corev1.Pod) int {
		return cmp.Or(r.rank(a)-r.rank(b), b.CreationTimestamp.Compare(a.CreationTimestamp.Time), strings.Compare(a.Name, b.Name))
	})
	var out []source
	for _, p := range pods[:min(len(pods), maxLogPods)] {
		for _, c := range diagnosis.ContainersOf(p) {
			if c.Status == nil || c.Init && !c.Failing(r.facts.Now) && !waits(c, r.facts.Now) {
				continue
			}
			if c.Status.State.Running != nil || c.Status.State.Terminated != nil {
				out = append(out, r.log(p, c.Spec.Name, false))
			}
			if c.Status.RestartCount > 0 || c.Status.LastTerminationState.Terminated != nil {
				out = append(out, r.log(p, c.Spec.Name, true))
			}
		}
	}
	return out
}

// young is how long an init container may run before its log is worth a look: many wait for a moment for what they need.
const young = time.Minute

// waits tells whether an init container runs for so long that it may wait for something that does not come.
func waits(c diagnosis.Container, now time.Time) bool {
	run := c.Status.State.Running
	return run != nil && now.Sub(run.StartedAt.Time) >= young
}

func (r *reader) rank(p *corev1.Pod) int {
	if r.facts.OfPastTry(p) {
		return 3
	}
	for _, c := range diagnosis.ContainersOf(p) {
		if c.Failing(r.facts.Now) {
			return 0
		}
	}
	switch {
	case diagnosis.Unready(p):
		return 1
	case diagnosis.PodReady(p):
		return 2
	}
	return 3
}

func (r *reader) log(p *corev1.Pod, container string, previous bool) source {
	return source{kind: "Log", name: "of pod " + p.Name, read: func(ctx context.Context) error {
		lines, bytes := maxLogLines, maxLogBytes
		text, err := r.client.CoreV1().Pods(p.Namespace).GetLogs(p.Name, &corev1.PodLogOptions{
			Container: container, Previous: previous, Timestamps: true, TailLines: &lines, LimitBytes: &bytes,
		}).DoRaw(ctx)
		if apierrors.IsBadRequest(err) {
			return nil // the container has no such log, or not any more
		}
		if err != nil {
			return err
		}
		l := diagnosis.Log{Pod: p.Name, Container: container, Previous: previous, Lines: Lines(text)}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.facts.Logs = append(r.facts.Logs, l)
		return nil
	}}
}

// maxLine is how many bytes of a log line are kept.
const maxLine = 4 << 10

// unkept is what the kubelet writes instead of the log of a container that was removed, with status 200 and without a timestamp.
var unkept = regexp.MustCompile(
	`^(?:unable to retrieve container logs for|failed to try resolving symlinks in path|failed to open log file) `)

// Lines parses a log with timestamps as the kubelet writes it, and masks secrets. There are none where the kubelet does not have
// the log any more.
func Lines(text []byte) []diagnosis.Line {
	var out []diagnosis.Line
	var texts []string
	in := bufio.NewScanner(bytes.NewReader(text))
	in.Buffer(nil, int(maxLogBytes)+bufio.MaxScanTokenSize)
	for in.Scan() {
		stamp, rest, ok := strings.Cut(in.Text(), " ")
		t, err := time.Parse(time.RFC3339Nano, stamp)
		if !ok || err != nil {
			t, rest = time.Time{}, in.Text()
		}
		texts = append(texts, strings.ToValidUTF8(rest, "\uFFFD"))
		out = append(out, diagnosis.Line{Time: t})
	}
	if len(out) == 1 && out[0].Time.IsZero() && unkept.MatchString(texts[0]) {
		return nil
	}
	for i, t := range mask.Lines(texts) {
		out[i].Text = truncate.Bytes(t, maxLine) // cut after masking: half a token is not recognised
	}
	return out
}
