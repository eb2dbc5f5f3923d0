// Package rca finds the root cause of an incident.
//
// It takes a Snapshot (calls, latencies, errors, resource use, log patterns, events, changes and the call graph, before
// and during a problem) and ranks causes: workload, kind of cause, calibrated score in 0..1, evidence with numbers and
// units, and a general fix. A Builder makes snapshots from OpenTelemetry data in one pass and bounded memory.
//
// The package knows nothing of Kubernetes and nothing of the rest of KubeBot. Same snapshot, same bytes out.
package rca
