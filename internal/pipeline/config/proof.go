package config

import "time"

// Names of the signals whose flow the responder proves; alerts are proven by the watchdog.
const (
	SignalMetrics = "metrics"
	SignalLogs    = "logs"
	SignalTraces  = "traces"
	SignalEvents  = "events"
	SignalAlerts  = "alerts"
)

// Signals returns the names of all signals, in the order in which they are told of.
func Signals() []string {
	return []string{SignalMetrics, SignalLogs, SignalTraces, SignalEvents, SignalAlerts}
}

// Ways of a log line into the path.
const (
	// LogsByOutput writes the line to the pod's output, where the shipper on the node finds it.
	LogsByOutput = "output"
	// LogsByOTLP sends the line to the collector, where no shipper runs.
	LogsByOTLP = "otlp"
)

// Proof says which signals are proven to flow, and how.
type Proof struct {
	// CollectorURL is the base URL at which the collector takes OTLP over HTTP.
	CollectorURL string `json:"collectorURL,omitempty"`
	// Signals are the names of those that are proven.
	Signals []string `json:"signals,omitempty"`
	// LogsBy is the way of a log line into the path: LogsByOutput or LogsByOTLP.
	LogsBy string `json:"logsBy,omitempty"`
}

// ProofReport tells of the signals that are proven to flow.
type ProofReport struct {
	// Started is since when this replica waits for proofs.
	Started time.Time `json:"started"`
	// Signals tell of each signal.
	Signals []SignalReport `json:"signals,omitempty"`
}

// SignalReport tells of one signal.
type SignalReport struct {
	// Name of the signal.
	Name string `json:"name"`
	// Proven is when what was last found at the far end had been sent; zero if never.
	Proven time.Time `json:"proven,omitzero"`
	// Problem says, as a sentence's end and without times, why the last attempt failed; empty if it did not, and on
	// replicas that don't prove.
	Problem string `json:"problem,omitempty"`
}
