// Package component says what a component of the stack is: one folder that builds objects from an Input and judges
// their health from what was observed. Nothing here, and no component, has a client: reads come before (package
// gather), writes after (package apply).
package component

import (
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
)

// Component is one part of the stack.
type Component interface {
	// Name is the component's folder and the value of its label app.kubernetes.io/component.
	Name() string
	// ConditionType is the condition of the KubeBot that tells of the component.
	ConditionType() string
	// Build returns the objects of the component, or none when it is switched off. It is pure: the same input gives
	// the same objects. An error is an InvalidError when a person must change the spec.
	Build(in Input) ([]client.Object, error)
	// Questions returns what must be asked to know whether the component answers. It is pure.
	Questions(in Input) []Question
	// Health judges the component by what was observed. It is pure.
	Health(in Input, seen Observed) Health
}

// Input is all that Build needs, gathered before.
type Input struct {
	// KubeBot with its spec as written; defaults are the component's.
	KubeBot *v1alpha1.KubeBot
	// ClusterName in use: the spec's, or the one made from the UID of kube-system.
	ClusterName string
	// Install is how this KubeBot was installed.
	Install Install
	// Cluster is what the cluster has.
	Cluster Cluster
	// Credentials are the generated Secret's data by key; see package credentials for the keys.
	Credentials map[string][]byte
	// RefusedRules are PrometheusRules of users that the Prometheus Operator does not take for this KubeBot's Prometheus.
	RefusedRules []RefusedRule
	// Trials are what is known of the configuration that users add, by component; see package trial.
	Trials map[string]Trial
	// Injection is what the OpenTelemetry Operator can inject by the KubeBot's Instrumentation.
	Injection Injection
	// Capacity is the size in bytes of the smallest volume of each component that has one smaller than the spec says.
	Capacity map[string]int64
}

// Room returns the bytes that fit into the volumes of a component, which are to have size bytes.
func (in Input) Room(component string, size int64) int64 {
	if capacity, ok := in.Capacity[component]; ok {
		return min(size, capacity)
	}
	return size
}

// InstrumentationKind is the OpenTelemetry Operator's resource that says what it injects into pods.
var InstrumentationKind = schema.GroupVersionKind{Group: "opentelemetry.io", Version: "v1alpha1", Kind: "Instrumentation"}

// AnnotationAsked of an Instrumentation is when the OpenTelemetry Operator was last asked to fill in its images.
const AnnotationAsked = "kubebot.io/asked"

// Injection is what the OpenTelemetry Operator can inject by the KubeBot's Instrumentation; zero where the cluster has not
// its resources.
type Injection struct {
	// Languages for which the operator has filled in an image. Without one it would make a pod that the API server refuses.
	Languages []string
	// Asked is the value of AnnotationAsked: a new one makes the operator's webhook see the Instrumentation again.
	Asked string
}

// RefusedRule is a PrometheusRule that the Prometheus Operator refuses.
type RefusedRule struct {
	// Namespace and Name of the PrometheusRule.
	Namespace, Name string
	// Message is why, in the operator's words.
	Message string
}

// Trial is what is known of a program's configuration to which a user adds.
type Trial struct {
	// Record is the data of the ConfigMap in which the component keeps what the program has said; nil if there is none.
	Record map[string]string
	// Runs are the Jobs in which the program tries a configuration, by name.
	Runs map[string]Run
}

// Run is how a Job fares in which a program tries a configuration.
type Run struct {
	// State of the Job.
	State RunState
	// Message is what the program said when it refused, or what keeps the Job from running.
	Message string
}

// RunState is the state of a Run; the zero value is one that has not ended.
type RunState string

// States of a Run.
const (
	// RunAccepted: the program takes the configuration.
	RunAccepted RunState = "Accepted"
	// RunRefused: the program refuses the configuration.
	RunRefused RunState = "Refused"
	// RunHindered: the program can't be asked.
	RunHindered RunState = "Hindered"
	// RunMissing: the program is not asked before a Secret is there that the configuration takes a variable from.
	RunMissing RunState = "Missing"
)

// Install is how KubeBot was installed, from the manager's flags.
type Install struct {
	// ReleaseNamespace is where the manager runs.
	ReleaseNamespace string
	// NodesNamespace is where node agents run, with Pod Security privileged.
	NodesNamespace string
	// ServiceAccountPrefix with - and the component's name is the name of the component's ServiceAccount, which the
	// chart ships in each served namespace (in NodesNamespace for node agents).
	ServiceAccountPrefix string
	// Image of KubeBot itself.
	Image string
	// PrometheusOperatorID is the controller ID of the Prometheus Operator that the chart shipped; it goes into the
	// annotation operator.prometheus.io/controller-id of Prometheus and Alertmanager. Empty when another one serves.
	PrometheusOperatorID string
	// APIServerPorts are the ports by which NetworkPolicies name the API server; the usual ones when empty.
	APIServerPorts []int
	// Proxy holds those of the manager's environment variables HTTPS_PROXY, HTTP_PROXY and NO_PROXY that are set. The
	// responder gets them, because its messages leave the cluster.
	Proxy map[string]string
}

// Direct are the hosts that are called past the proxy, separated by commas as in NO_PROXY: the user's, and all inside the
// cluster.
func (i Install) Direct() string {
	return strings.TrimPrefix(i.Proxy["NO_PROXY"]+",.svc,.cluster.local", ",")
}

// Cluster is what the cluster has, by discovery.
type Cluster struct {
	// UID of the namespace kube-system.
	UID string
	// Kinds are the kinds that the API server serves, of the groups that components ask for.
	Kinds map[schema.GroupVersionKind]bool
	// ControlPlane tells which parts of the control plane can be reached: it is filled with kube-apiserver, and with
	// kube-scheduler, kube-controller-manager, kube-proxy and etcd when pods of theirs were found.
	ControlPlane map[string]bool
	// Observability of what rules need beyond that: metric sources that the stack has, such as kube-state-metrics.
	Sources map[string]bool
}

// Question is one HTTP GET that the manager asks a component, with a deadline.
type Question struct {
	// Key under which the answer is found in Observed.Answers.
	Key string
	// URL to get.
	URL string
	// Authenticated adds the generated bearer token and trusts the generated certificate authority.
	Authenticated bool
	// ReplicasOf asks each ready address of this headless or normal Service (in the KubeBot's namespace) instead of
	// the host of URL; the answers are under Key/0, Key/1, ... in the order of the addresses.
	ReplicasOf string
}

// Answer is what came back for a Question.
type Answer struct {
	// Status is the HTTP status code, 0 if there was no answer.
	Status int
	// Body is the answer's body, at most 4 MiB; TooLarge tells that there was more.
	Body     []byte
	TooLarge bool
	// Err says why there was no answer.
	Err string
}

// Observed is what was seen of a component after it was applied.
type Observed struct {
	// Now is the time of the observation.
	Now time.Time
	// Objects are the live objects that Build returned, by kind and name; one that does not exist is left out.
	Objects []client.Object
	// Pods of the component.
	Pods []corev1.Pod
	// Answers to Questions.
	Answers map[string]Answer
	// Previous is the component's condition before, nil if there was none.
	Previous *metav1.Condition
}

// Health is how a component is.
type Health struct {
	// Status, Reason and Message of the component's condition. The message holds no times, durations or random names.
	Status  metav1.ConditionStatus
	Reason  string
	Message string
	// Extra are further conditions, such as ReceiversReady.
	Extra []metav1.Condition
	// Endpoints for the status.
	Endpoints []v1alpha1.Endpoint
	// OmittedRules for the status.
	OmittedRules []v1alpha1.OmittedRule
	// Analysis for the status, nil for what tells nothing of it; since when the weights are in use is found out later.
	Analysis *v1alpha1.AnalysisStatus
	// Restarts are of processes that run and answer and no longer do their work.
	Restarts []Restart
}

// Restart asks for new pods of a Deployment, as `kubectl rollout restart` makes them.
type Restart struct {
	// Deployment in the KubeBot's namespace.
	Deployment string
	// After is how long it must have been available before, so that one that begins is left in peace.
	After time.Duration
	// Why says what was seen, as a sentence for an event.
	Why string
}

// InvalidError means that a person must change the spec.
type InvalidError struct {
	// Field is the path in the KubeBot, such as spec.metrics.prometheus.retention.
	Field string
	// Message says what is wrong and what to do.
	Message string
}

// Error implements error.
func (e *InvalidError) Error() string { return e.Field + ": " + e.Message }
