// Package loki reads the log lines of a namespace before and during an incident.
package loki

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"golang.org/x/sync/errgroup"

	"github.com/kubebot/kubebot/internal/diagnosis"
	"github.com/kubebot/kubebot/internal/enrich"
	"github.com/kubebot/kubebot/internal/mask"
)

const (
	// perWindow is how many lines are read of a window.
	perWindow = 300
	// window is how much time one request covers.
	window = time.Minute
	// maxWindows of the incident; the last ones are read.
	maxWindows = 8
	parallel   = 4
	// maxLine is how many bytes of a line are kept.
	maxLine = 4 << 10
)

// baseline says how long before the alarm normal lines are read.
var baseline = []time.Duration{50 * time.Minute, 35 * time.Minute, 20 * time.Minute, 8 * time.Minute}

// Source is a Loki. Tenant is sent as X-Scope-OrgID when set.
type Source struct{ enrich.Store }

// New returns the Loki of a base URL.
func New(base string, client *http.Client, tenant string) Source {
	s := Source{enrich.Store{URL: base, HTTP: client, Header: http.Header{}}}
	if tenant != "" {
		s.Header.Set("X-Scope-OrgID", tenant)
	}
	return s
}

// Name implements enrich.Source.
func (Source) Name() string { return enrich.SourceLoki }

// Read implements enrich.Source.
func (s Source) Read(ctx context.Context, q enrich.Question) (enrich.Telemetry, error) {
	out := enrich.NewTelemetry()
	if q.Subject.Namespace == "" {
		out.Empty = true
		return out, nil
	}
	starts := windows(q)
	answers := make([]*Answer, len(starts))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for i, start := range starts {
		group.Go(func() (err error) {
			defer enrich.Recover(&err)
			answers[i], err = s.lines(ctx, q.Subject.Namespace, start)
			return err
		})
	}
	err := group.Wait()
	for _, a := range answers {
		if a != nil {
			a.addTo(&out)
		}
	}
	out.Empty = err == nil && out.Logs.LogRecordCount() == 0
	return out, err
}

// windows are the beginnings of what is read.
func windows(q enrich.Question) []time.Time {
	var out []time.Time
	for _, before := range baseline {
		out = append(out, q.Alarm.Add(-before))
	}
	var steps []time.Time
	for t := q.Alarm.Add(-3 * window); t.Before(q.Now); t = t.Add(window) {
		steps = append(steps, t)
	}
	return append(out, steps[max(0, len(steps)-maxWindows):]...)
}

func (s Source) lines(ctx context.Context, namespace string, start time.Time) (*Answer, error) {
	data, err := s.Bytes(ctx, "/loki/api/v1/query_range", url.Values{
		"query": {`{k8s_namespace_name=` + strconv.Quote(namespace) + `, service_name!="kubernetes-events"}`},
		"start": {strconv.FormatInt(start.UnixNano(), 10)}, "end": {strconv.FormatInt(start.Add(window).UnixNano(), 10)},
		"limit": {strconv.Itoa(perWindow)}, "direction": {"forward"},
	})
	if err != nil {
		return nil, err
	}
	return Parse(data)
}

// Answer is what Loki answers to a query for lines.
type Answer struct {
	Data struct {
		ResultType string   `json:"resultType"`
		Result     []Stream `json:"result"`
	} `json:"data"`
}

// Stream is the lines with the same labels, structured metadata included.
type Stream struct {
	Labels map[string]string `json:"stream"`
	Values []Entry           `json:"values"`
}

// Entry is one line.
type Entry struct {
	Time int64 // Unix nanoseconds
	Line string
}

// UnmarshalJSON reads ["<nanoseconds>", "<line>"]; a third element, structured metadata by itself, is not asked for.
func (e *Entry) UnmarshalJSON(data []byte) error {
	var parts []json.RawMessage
	if err := json.Unmarshal(data, &parts); err != nil {
		return err
	}
	if len(parts) < 2 {
		return fmt.Errorf("an entry of %d parts", len(parts))
	}
	var stamp string
	if err := json.Unmarshal(parts[0], &stamp); err != nil {
		return err
	}
	t, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return fmt.Errorf("the time of an entry is no number")
	}
	e.Time = t
	return json.Unmarshal(parts[1], &e.Line)
}

// Parse reads the answer to a query for lines.
func Parse(data []byte) (*Answer, error) {
	var a Answer
	if err := json.Unmarshal(data, &a); err != nil {
		return nil, fmt.Errorf("the answer of Loki can't be read: %w", err)
	}
	if a.Data.ResultType != "streams" {
		return nil, fmt.Errorf("the answer of Loki has no lines")
	}
	return &a, nil
}

// attributes are the resource attributes behind Loki's labels.
var attributes = map[string]string{
	"service_name": "service.name", "k8s_namespace_name": "k8s.namespace.name", "k8s_pod_name": "k8s.pod.name",
	"k8s_container_name": "k8s.container.name", "k8s_deployment_name": "k8s.deployment.name", "k8s_statefulset_name": "k8s.statefulset.name",
	"k8s_daemonset_name": "k8s.daemonset.name", "k8s_job_name": "k8s.job.name", "k8s_cronjob_name": "k8s.cronjob.name",
}

// addTo puts the lines among the telemetry, secrets masked.
func (a *Answer) addTo(out *enrich.Telemetry) {
	for _, s := range a.Data.Result {
		rl := out.Logs.ResourceLogs().AppendEmpty()
		for label, attribute := range attributes {
			if v := s.Labels[label]; v != "" {
				rl.Resource().Attributes().PutStr(attribute, v)
			}
		}
		enrich.Home(rl.Resource().Attributes(), out.Homes)
		records := rl.ScopeLogs().AppendEmpty().LogRecords()
		texts := make([]string, len(s.Values))
		for i, e := range s.Values {
			texts[i] = strings.ToValidUTF8(e.Line, "\uFFFD")
		}
		texts = mask.Lines(texts)
		for i, e := range s.Values {
			record(records.AppendEmpty(), e.Time, texts[i], s.Labels)
		}
	}
}

func record(r plog.LogRecord, at int64, text string, labels map[string]string) {
	r.SetTimestamp(pcommon.Timestamp(max(at, 0)))
	severity, detected := labels["severity_text"], labels["detected_level"]
	if detected == "unknown" {
		detected = ""
	}
	trace, span := labels["trace_id"], labels["span_id"]
	if j, ok := object(text); ok {
		text = j.text()
		severity, trace, span = first(severity, j.Severity, j.Level), first(trace, j.TraceID), first(span, j.SpanID)
	}
	r.SetSeverityText(first(severity, detected))
	r.Body().SetStr(diagnosis.Shorten(text, maxLine))
	var id [16]byte
	if n, err := hex.Decode(id[:], []byte(fixed(trace, 32))); err == nil && n == len(id) {
		r.SetTraceID(id)
	}
	var sid [8]byte
	if n, err := hex.Decode(sid[:], []byte(fixed(span, 16))); err == nil && n == len(sid) {
		r.SetSpanID(sid)
	}
}

// fixed returns s if it is n characters long.
func fixed(s string, n int) string {
	if len(s) == n {
		return s
	}
	return ""
}

func first(words ...string) string {
	for _, w := range words {
		if w != "" {
			return w
		}
	}
	return ""
}

// line is what is read of a line that is a JSON object, under the names that loggers commonly use.
type line struct {
	Message  string `json:"message"`
	Msg      string `json:"msg"`
	Error    string `json:"error"`
	Err      string `json:"err"`
	Severity string `json:"severity"`
	Level    string `json:"level"`
	TraceID  string `json:"trace_id"`
	SpanID   string `json:"span_id"`
}

func object(text string) (line, bool) {
	var l line
	if !strings.HasPrefix(strings.TrimSpace(text), "{") || json.Unmarshal([]byte(text), &l) != nil {
		return l, false
	}
	return l, first(l.Message, l.Msg, l.Error, l.Err) != ""
}

func (l line) text() string {
	text := first(l.Message, l.Msg)
	if e := first(l.Error, l.Err); e != "" {
		text = strings.TrimPrefix(text+": "+e, ": ")
	}
	return text
}
