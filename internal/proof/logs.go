package proof

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/naming"
)

const (
	// text comes before the mark in lines and events.
	text = "Proof of flow "
	// eventsService is the service of the stream of cluster events in Loki.
	eventsService = "kubernetes-events"
	// eventReason is the reason of the event that proves.
	eventReason = "ProofOfFlow"
	// container of the responder, by which its lines are found.
	container = "responder"
	// before is how far back Loki is asked: clocks of nodes may differ.
	before = 5 * time.Minute
)

// logs is Loki.
type logs struct{ far }

// has tells whether a stream has a line with the mark.
func (l logs) has(ctx context.Context, selector string, m Mark) (bool, error) {
	query := url.Values{
		"query": {fmt.Sprintf("%s |= %q", selector, m.ID)},
		"start": {strconv.FormatInt(m.At.Add(-before).UnixNano(), 10)},
		"end":   {strconv.FormatInt(m.At.Add(before).UnixNano(), 10)},
		"limit": {"1"},
	}
	answer, err := l.call(ctx, "/loki/api/v1/query_range?"+query.Encode(), nil)
	if err != nil {
		return false, err
	}
	var body struct {
		Data struct {
			Result []struct {
				Values []json.RawMessage `json:"values"`
			} `json:"result"`
		} `json:"data"`
	}
	if err := json.Unmarshal(answer, &body); err != nil {
		return false, l.nonsense()
	}
	return len(body.Data.Result) > 0 && len(body.Data.Result[0].Values) > 0, nil
}

// Output proves logs from the node on: a line of this pod's output, found in Loki.
type Output struct {
	origin Origin
	out    io.Writer
	store  logs
}

// NewOutput returns the proof of logs from an output to a base URL.
func NewOutput(client *http.Client, origin Origin, out io.Writer, loki, tenant string) *Output {
	return &Output{origin, out, logs{newFar(client, "Loki", loki, tenant)}}
}

// Send implements Signal.
func (s *Output) Send(_ context.Context, m Mark) error {
	line, err := json.Marshal(map[string]string{
		"level": "info", "ts": m.At.UTC().Format(time.RFC3339Nano), "logger": "proof", "msg": text + m.ID, "trace_id": m.ID,
	})
	if err != nil {
		return fmt.Errorf("a line can't be written: %w", err)
	}
	if _, err := s.out.Write(append(line, '\n')); err != nil {
		return errors.New("the pod's output takes no line")
	}
	return nil
}

// Found implements Signal.
func (s *Output) Found(ctx context.Context, m Mark) (bool, error) {
	return s.store.has(ctx, fmt.Sprintf("{k8s_namespace_name=%q, k8s_container_name=%q}", s.origin.Namespace, container), m)
}

// Event proves cluster events: one Event object, written anew each time, found in Loki.
type Event struct {
	origin  Origin
	kubeBot string
	client  client.Client
	store   logs
	count   int32
}

// NewEvent returns the proof of events, which are about a KubeBot.
func NewEvent(calls *http.Client, c client.Client, origin Origin, kubeBot, loki, tenant string) *Event {
	return &Event{origin: origin, kubeBot: kubeBot, client: c, store: logs{newFar(calls, "Loki", loki, tenant)}}
}

// Send implements Signal.
func (s *Event) Send(ctx context.Context, m Mark) error {
	s.count++
	event := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Event",
		"metadata": map[string]any{
			"name": s.kubeBot + "-proof", "namespace": s.origin.Namespace,
			"labels": map[string]any{naming.LabelName: s.kubeBot, naming.LabelNamespace: s.origin.Namespace},
		},
		"involvedObject": map[string]any{
			"apiVersion": v1alpha1.GroupVersion.String(), "kind": "KubeBot", "namespace": s.origin.Namespace, "name": s.kubeBot, "uid": s.origin.UID,
		},
		"reason": eventReason, "message": text + m.ID, "type": corev1.EventTypeNormal, "count": int64(s.count),
		"lastTimestamp":      m.At.UTC().Format(time.RFC3339),
		"source":             map[string]any{"component": serviceName},
		"reportingComponent": serviceName, "reportingInstance": s.origin.Pod,
	}}
	err := s.client.Apply(ctx, client.ApplyConfigurationFromUnstructured(event), client.FieldOwner(serviceName), client.ForceOwnership)
	if err != nil {
		return fmt.Errorf("the API server did not take the event (%s)", reason(err))
	}
	return nil
}

// reason of an API server's refusal, such as Forbidden, or NoAnswer.
func reason(err error) string {
	if r := apierrors.ReasonForError(err); r != metav1.StatusReasonUnknown {
		return string(r)
	}
	return "NoAnswer"
}

// Found implements Signal.
func (s *Event) Found(ctx context.Context, m Mark) (bool, error) {
	return s.store.has(ctx, fmt.Sprintf("{service_name=%q}", eventsService), m)
}
