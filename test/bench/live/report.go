package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"
)

// Report is bin/bench-live.json.
type Report struct {
	Started  time.Time         `json:"started"`
	Faults   []Measured        `json:"faults"`
	Quiet    *Quiet            `json:"quiet,omitempty"`
	Versions map[string]string `json:"versions,omitempty"`
}

// Quiet counts false incidents in a time without a fault.
type Quiet struct {
	Seconds        float64  `json:"seconds"`
	FalseIncidents int      `json:"falseIncidents"`
	Titles         []string `json:"titles,omitempty"`
}

// Measured is what KubeBot made of one fault. Times are in seconds from the injection, 0 for never.
type Measured struct {
	Fault string `json:"fault"`
	// Services are those that a right answer may name, Node the node where the fault is one of a node.
	Services []string `json:"services,omitempty"`
	Node     string   `json:"node,omitempty"`
	Kinds    []string `json:"kinds"`
	Detected bool     `json:"detected"`
	// Incidents stand for themselves, Duplicates are part of another one; Notified of all were pushed.
	Incidents  int `json:"incidents"`
	Duplicates int `json:"duplicates"`
	Notified   int `json:"notified"`
	// Top1 and Top3 say that the first, or one of the first three causes has the right service and kind.
	Top1Service       bool    `json:"top1Service"`
	Top1              bool    `json:"top1"`
	Top3Service       bool    `json:"top3Service"`
	Top3              bool    `json:"top3"`
	SecondsToIncident float64 `json:"secondsToIncident"`
	// SecondsToCause is when the Incident named a cause; a warning is pushed to nobody and has no message.
	SecondsToCause     float64  `json:"secondsToCause"`
	SecondsToMessage   float64  `json:"secondsToMessage"`
	SecondsToExplained float64  `json:"secondsToExplained"`
	Analysis           string   `json:"analysis,omitempty"`
	Message            string   `json:"message,omitempty"`
	Causes             []string `json:"causes,omitempty"`
	Titles             []string `json:"titles,omitempty"`
	Error              string   `json:"error,omitempty"`
}

func (r *Report) write(path string) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("write the figures: %w", err)
	}
	if err := os.WriteFile(path, append(data, '\n'), 0o644); err != nil {
		return fmt.Errorf("write the figures: %w", err)
	}
	return nil
}

// line sums up one fault.
func (m Measured) line() string {
	yes := func(b bool) string {
		if b {
			return "yes"
		}
		return "no"
	}
	text := fmt.Sprintf("%-22s %-9s %-9d %-8s %-6s %-6s %9.1f %9.1f %9.1f %9.1f",
		m.Fault, yes(m.Detected), m.Notified, yes(m.Top1Service), yes(m.Top1), yes(m.Top3),
		m.SecondsToIncident, m.SecondsToCause, m.SecondsToMessage, m.SecondsToExplained)
	if len(m.Causes) > 0 {
		text += "  " + m.Causes[0]
	}
	if m.Error != "" {
		text += "  ERROR " + m.Error
	}
	return text
}

// Table is the report for people.
func (r *Report) Table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n%-22s %-9s %-9s %-8s %-6s %-6s %9s %9s %9s %9s  %s\n",
		"fault", "detected", "messages", "service", "top-1", "top-3", "incident", "cause", "message", "explained", "first cause")
	detected, one, top1, top3 := 0, 0, 0, 0
	for _, m := range r.Faults {
		fmt.Fprintln(&b, m.line())
		detected, one, top1, top3 = detected+count(m.Detected), one+count(m.Notified == 1), top1+count(m.Top1), top3+count(m.Top3)
	}
	fmt.Fprintf(&b, "%d faults: %d detected, %d with one message, top-1 right for %d, top-3 for %d (service and kind)\n",
		len(r.Faults), detected, one, top1, top3)
	if r.Quiet != nil {
		fmt.Fprintf(&b, "%d false incidents in %.0f s without a fault\n", r.Quiet.FalseIncidents, r.Quiet.Seconds)
	}
	return b.String()
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}
