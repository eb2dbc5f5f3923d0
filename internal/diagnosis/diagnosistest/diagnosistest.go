// Package diagnosistest runs detectors over cases: YAML files with the objects of a cluster in some state. A file
// begins with a document of kind Facts (now, subject, logs, unread); the other documents are Kubernetes objects. Beside
// case.yaml is case.want with what the detector finds; go test -update writes it.
package diagnosistest

import (
	"bufio"
	"bytes"
	"embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/yaml"

	"github.com/kubebot/kubebot/internal/diagnosis"
)

var update = flag.Bool("update", false, "write the .want files")

//go:embed healthy.yaml
var healthy embed.FS

// header is the first document of a case.
type header struct {
	Kind    string             `json:"kind"`
	Now     time.Time          `json:"now"`
	Subject diagnosis.Object   `json:"subject"`
	Logs    []logText          `json:"logs,omitempty"`
	Unread  []diagnosis.Unread `json:"unread,omitempty"`
}

type logText struct {
	Pod       string `json:"pod"`
	Container string `json:"container"`
	Previous  bool   `json:"previous,omitempty"`
	// At is when the lines were written; a little before now if it is not given.
	At   *time.Time `json:"at,omitempty"`
	Text string     `json:"text"`
}

// Healthy are the facts of a workload without any trouble.
func Healthy(t testing.TB) *diagnosis.Facts {
	t.Helper()
	text, err := healthy.ReadFile("healthy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, "healthy.yaml", text)
}

// Load reads a case.
func Load(t testing.TB, path string) *diagnosis.Facts {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, path, text)
}

// Check runs a detector over testdata/*.yaml and over the healthy workload, where it must find nothing.
func Check(t *testing.T, d diagnosis.Detector) {
	t.Helper()
	t.Run("healthy workload", func(t *testing.T) {
		if got := diagnosis.Run(Healthy(t), []diagnosis.Detector{d}); len(got) > 0 {
			t.Errorf("found in a healthy workload: %s", got[0].Sentence)
		}
	})
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no case in testdata: %v", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		t.Run(name, func(t *testing.T) {
			Compare(t, strings.TrimSuffix(file, ".yaml")+".want", Render(diagnosis.Run(Load(t, file), []diagnosis.Detector{d})))
		})
	}
}

// Compare compares a text with a file, or writes the file with -update.
func Compare(t testing.TB, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (go test -update writes it)\ngot:\n%s\nwant:\n%s", path, got, want)
	}
}

// Render writes findings as text.
func Render(findings []diagnosis.Finding) string {
	if len(findings) == 0 {
		return "nothing\n"
	}
	var b strings.Builder
	for _, f := range findings {
		what := fmt.Sprintf("%s %.2f", f.Kind, f.Score)
		if f.Symptom {
			what += " symptom"
		}
		fmt.Fprintf(&b, "%s\n  %s: %s %s=%q\n", f.Sentence, what, f.Object, f.Field, f.Value)
		for _, e := range f.Evidence {
			fmt.Fprintf(&b, "  - %s\n", e)
		}
		fmt.Fprintf(&b, "  fix: %s\n", f.Fix.Explanation)
		for _, c := range f.Fix.Commands {
			fmt.Fprintf(&b, "  $ %s\n", c)
		}
	}
	return b.String()
}

func parse(t testing.TB, path string, text []byte) *diagnosis.Facts {
	t.Helper()
	f := &diagnosis.Facts{}
	decoder := scheme.Codecs.UniversalDeserializer()
	in := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text)))
	var pods []corev1.Pod
	var workloads []diagnosis.Workload
	for {
		doc, err := in.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		var h header
		if err := yaml.Unmarshal(doc, &h); err == nil && h.Kind == "Facts" {
			f.Now, f.Subject, f.Unread = h.Now, h.Subject, h.Unread
			for _, l := range h.Logs {
				f.Logs = append(f.Logs, diagnosis.Log{Pod: l.Pod, Container: l.Container, Previous: l.Previous, Lines: l.lines(h.Now)})
			}
			continue
		}
		if gatewayKind(t, f, h.Kind, doc) {
			continue
		}
		o, _, err := decoder.Decode(doc, nil, nil)
		if err != nil {
			t.Fatalf("%s: %v\n%s", path, err, doc)
		}
		if p, ok := o.(*corev1.Pod); ok {
			pods = append(pods, *p)
		}
		add(t, f, o)
		if w, ok := diagnosis.WorkloadOf(o); ok && workloadKinds[w.Kind] == workloadKinds["Deployment"] {
			workloads = append(workloads, w)
		}
	}
	for _, w := range workloads {
		if w.Object != f.Workload.Object {
			f.Others = append(f.Others, w)
		}
	}
	for _, p := range pods {
		if own(f, &p) {
			f.Pods = append(f.Pods, p)
		} else {
			f.Neighbours = append(f.Neighbours, p)
		}
	}
	return f
}

// gatewayKind adds an object of a kind of the Gateway API, if it is one.
func gatewayKind(t testing.TB, f *diagnosis.Facts, kind string, doc []byte) bool {
	t.Helper()
	var err error
	switch kind {
	case "HTTPRoute", "GRPCRoute":
		var r diagnosis.Route
		err = yaml.Unmarshal(doc, &r)
		f.Routes = append(f.Routes, r)
	case "Gateway":
		var g diagnosis.Gateway
		err = yaml.Unmarshal(doc, &g)
		f.Gateways = append(f.Gateways, g)
	default:
		return false
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, doc)
	}
	return true
}

func (l logText) lines(now time.Time) []diagnosis.Line {
	at := now.Add(-30 * time.Second)
	if l.At != nil {
		at = *l.At
	}
	var out []diagnosis.Line
	for _, text := range strings.Split(strings.TrimRight(l.Text, "\n"), "\n") {
		out = append(out, diagnosis.Line{Time: at, Text: text})
	}
	return out
}

// own tells whether a pod belongs to the workload.
func own(f *diagnosis.Facts, p *corev1.Pod) bool {
	if f.Workload.Kind == "Pod" {
		return f.Workload.Name == p.Name
	}
	if f.Workload.Selects(p.Labels) {
		return true
	}
	owner := metav1.GetControllerOfNoCopy(p)
	if owner == nil {
		return false
	}
	for _, job := range f.Jobs {
		if owner.Kind == "Job" && owner.Name == job.Name {
			return true
		}
	}
	return owner.Kind == f.Workload.Kind && owner.Name == f.Workload.Name
}

// workloadKinds in the order of owners: the first that is in a case is its workload.
var workloadKinds = map[string]int{"CronJob": 5, "Deployment": 4, "StatefulSet": 4, "DaemonSet": 4, "Job": 3, "ReplicaSet": 2, "Pod": 1}

func add(t testing.TB, f *diagnosis.Facts, o runtime.Object) {
	if w, ok := diagnosis.WorkloadOf(o); ok && workloadKinds[w.Kind] > workloadKinds[f.Workload.Kind] {
		if w.Kind != "Pod" || w.Name == f.Subject.Name {
			f.Workload = w
		}
	}
	switch o := o.(type) {
	case *corev1.Pod, *appsv1.Deployment, *appsv1.StatefulSet, *appsv1.DaemonSet:
	case *appsv1.ReplicaSet:
		f.ReplicaSets = append(f.ReplicaSets, *o)
	case *appsv1.ControllerRevision:
		f.ControllerRevisions = append(f.ControllerRevisions, *o)
	case *batchv1.Job:
		f.Jobs = append(f.Jobs, *o)
	case *batchv1.CronJob:
		f.CronJobs = append(f.CronJobs, *o)
	case *corev1.Event:
		f.Events = append(f.Events, *o)
	case *corev1.Namespace:
		f.Namespace = o
	case *corev1.Node:
		f.Nodes = append(f.Nodes, *o)
	case *corev1.ResourceQuota:
		f.Quotas = append(f.Quotas, *o)
	case *corev1.LimitRange:
		f.LimitRanges = append(f.LimitRanges, *o)
	case *corev1.ConfigMap:
		f.ConfigMaps = append(f.ConfigMaps, *o)
	case *corev1.ServiceAccount:
		f.ServiceAccounts = append(f.ServiceAccounts, *o)
	case *corev1.PersistentVolumeClaim:
		f.Claims = append(f.Claims, *o)
	case *corev1.PersistentVolume:
		f.Volumes = append(f.Volumes, *o)
	case *storagev1.StorageClass:
		f.StorageClasses = append(f.StorageClasses, *o)
	case *corev1.Service:
		f.Services = append(f.Services, *o)
	case *discoveryv1.EndpointSlice:
		f.EndpointSlices = append(f.EndpointSlices, *o)
	case *networkingv1.Ingress:
		f.Ingresses = append(f.Ingresses, *o)
	case *networkingv1.IngressClass:
		f.IngressClasses = append(f.IngressClasses, *o)
	case *networkingv1.NetworkPolicy:
		f.Policies = append(f.Policies, *o)
	case *autoscalingv2.HorizontalPodAutoscaler:
		f.Autoscalers = append(f.Autoscalers, *o)
	case *policyv1.PodDisruptionBudget:
		f.Budgets = append(f.Budgets, *o)
	default:
		t.Fatalf("a case can't hold a %T", o)
	}
}
