package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// CauseJudgement is what a person says of the causes of the status: one is right, none is and another one would be, or one
// is wrong.
// +kubebuilder:validation:XValidation:rule="(has(self.confirm) ? 1 : 0) + (has(self.correct) ? 1 : 0) + (has(self.reject) ? 1 : 0) == 1",message="set one of confirm (the place of the right cause in status.causes, 1 for the first), correct (workload and kind) and reject (the place of a wrong cause)"
type CauseJudgement struct {
	// Confirm is the place of the right cause in status.causes, 1 for the first.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=5
	Confirm *int32 `json:"confirm,omitempty"`
	// Correct is the right cause, where none of status.causes is.
	// +optional
	Correct *CorrectedCause `json:"correct,omitempty"`
	// Reject is the place of a cause in status.causes that is wrong, where the right one is not known (yet).
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=5
	Reject *int32 `json:"reject,omitempty"`
	// By is who judged.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	By string `json:"by,omitempty"`
	// Comment is what else there is to say.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Comment string `json:"comment,omitempty"`
}

// CorrectedCause is the right cause of an incident.
type CorrectedCause struct {
	// Workload is the name of the workload, node or other object in which the trouble began.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Workload string `json:"workload"`
	// Kind of the cause.
	Kind CauseKind `json:"kind"`
}

// CauseKind is a kind of cause.
// +kubebuilder:validation:Enum=cpu;memory;disk;network;dependency;code;config;image;scheduling;quota;certificate;dns;node;unknown
type CauseKind string

// Cause is a likely cause of an incident.
type Cause struct {
	// Object is what has to be repaired.
	Object CauseObject `json:"object"`
	// Workload is the workload in which the trouble began, where that is another object.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Workload string `json:"workload,omitempty"`
	// Kind of the cause.
	Kind CauseKind `json:"kind"`
	// ScorePercent is how likely it is that this is the cause, in percent.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	ScorePercent int32 `json:"scorePercent"`
	// Sentence says the cause in plain words.
	// +kubebuilder:validation:MaxLength=512
	Sentence string `json:"sentence"`
	// Field is the path of what is wrong in the object.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Field string `json:"field,omitempty"`
	// Evidence is what a person can check; secrets are masked.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=8
	Evidence []CauseEvidence `json:"evidence,omitempty"`
	// Links lead to where the evidence can be seen; only where spec.dashboards.grafana.publicURL of the KubeBot is set.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=4
	Links []CauseLink `json:"links,omitempty"`
	// Path leads from where the trouble shows to where it began.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=12
	// +kubebuilder:validation:items:MaxLength=253
	Path []string `json:"path,omitempty"`
	// Region bounds the code at fault: the last log statement or span seen, and the one that is missing or new.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=6
	// +kubebuilder:validation:items:MaxLength=253
	Region []string `json:"region,omitempty"`
	// Fix says what repairs it. KubeBot never executes one.
	// +optional
	Fix *CauseFix `json:"fix,omitempty"`
}

// CauseObject names an object.
type CauseObject struct {
	// APIVersion of the object, such as apps/v1; empty for what is known from telemetry alone.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	APIVersion string `json:"apiVersion,omitempty"`
	// Kind of the object, such as Deployment; Service for what is known from telemetry alone.
	// +kubebuilder:validation:MaxLength=63
	Kind string `json:"kind"`
	// Namespace of the object.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace,omitempty"`
	// Name of the object.
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
}

// EvidenceSource is where evidence comes from.
// +kubebuilder:validation:Enum=Kubernetes;Logs;Metrics;Traces
type EvidenceSource string

const (
	// EvidenceKubernetes is the state of objects, events and the logs that the Kubernetes API shows.
	EvidenceKubernetes EvidenceSource = "Kubernetes"
	// EvidenceLogs are lines of the store of logs.
	EvidenceLogs EvidenceSource = "Logs"
	// EvidenceMetrics are series of Prometheus.
	EvidenceMetrics EvidenceSource = "Metrics"
	// EvidenceTraces are spans of the store of traces.
	EvidenceTraces EvidenceSource = "Traces"
)

// CauseEvidence is one observation.
type CauseEvidence struct {
	// From is where it comes from.
	From EvidenceSource `json:"from"`
	// Text says it, with numbers and units.
	// +kubebuilder:validation:MaxLength=512
	Text string `json:"text"`
}

// CauseLink leads to where evidence can be seen.
type CauseLink struct {
	// Title says what it shows: Dashboard or Traces.
	// +kubebuilder:validation:MaxLength=63
	Title string `json:"title"`
	// URL of it in Grafana.
	// +kubebuilder:validation:MaxLength=2048
	URL string `json:"url"`
}

// CauseFix says how a person can repair a cause.
type CauseFix struct {
	// Explanation says what to do.
	// +kubebuilder:validation:MaxLength=512
	Explanation string `json:"explanation"`
	// Commands are complete commands for the object at hand. A word in capitals stands for what only the user knows.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=4
	// +kubebuilder:validation:items:MaxLength=1024
	Commands []string `json:"commands,omitempty"`
}

// AnalysisState is where the search for the cause stands.
// +kubebuilder:validation:Enum=Running;CauseFound;NothingStandsOut;Failed
type AnalysisState string

const (
	// AnalysisRunning is being done by the replica in holder, until the claim ends.
	AnalysisRunning AnalysisState = "Running"
	// AnalysisCauseFound means that the first of the causes stands out.
	AnalysisCauseFound AnalysisState = "CauseFound"
	// AnalysisNothingStandsOut means that nothing that was read explains the trouble; causes are hints.
	AnalysisNothingStandsOut AnalysisState = "NothingStandsOut"
	// AnalysisFailed means that it did not come to an end.
	AnalysisFailed AnalysisState = "Failed"
)

// Analysis tells how the causes of an incident were looked for.
type Analysis struct {
	// State of the analysis.
	State AnalysisState `json:"state"`
	// Runs counts the analyses of the incident.
	// +optional
	Runs int32 `json:"runs,omitempty"`
	// Trigger is the sequence of the transition that the last analysis was made for.
	// +optional
	Trigger int64 `json:"trigger,omitempty"`
	// Message says in a sentence what came out.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Message string `json:"message,omitempty"`
	// Holder is the replica that does the analysis.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Holder string `json:"holder,omitempty"`
	// Until is when the holder's claim ends.
	// +optional
	Until *metav1.MicroTime `json:"until,omitempty"`
	// FinishedAt is when the last analysis came to its end.
	// +optional
	FinishedAt *metav1.MicroTime `json:"finishedAt,omitempty"`
	// Since is when what was looked at began: the first of the most severe alerts that fired, or a little before.
	// +optional
	Since *metav1.Time `json:"since,omitempty"`
	// Sources tell what was read, and what was not and why.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=8
	Sources []AnalysisSource `json:"sources,omitempty"`
	// Weights names the version of the weights by which telemetry was ranked.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Weights string `json:"weights,omitempty"`
}

// SourceState is how much of a source was read.
// +kubebuilder:validation:Enum=Read;Partial;Missing
type SourceState string

const (
	// SourceRead was read whole, within its bounds.
	SourceRead SourceState = "Read"
	// SourcePartial was read in part.
	SourcePartial SourceState = "Partial"
	// SourceMissing was not read.
	SourceMissing SourceState = "Missing"
)

// AnalysisSource is one source of an analysis.
type AnalysisSource struct {
	// Name of the source: kubernetes, prometheus, loki or jaeger.
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name"`
	// State is how much was read.
	State SourceState `json:"state"`
	// Message says what was not read and why.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Message string `json:"message,omitempty"`
}
