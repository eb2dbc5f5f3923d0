package rules

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/alert"
)

// promtoolTests are the parts of promtool's test files that say what is covered.
type promtoolTests struct {
	Tests []struct {
		Series []struct{} `json:"input_series"`
		Alerts []struct {
			Name     string `json:"alertname"`
			Expected []struct {
				Labels map[string]string `json:"exp_labels"`
			} `json:"exp_alerts"`
		} `json:"alert_rule_test"`
	} `json:"tests"`
}

// expectations are the label sets with which each alert is expected to fire, and whether it is expected to be silent.
func expectations(t *testing.T) (fires map[string][]map[string]string, silent map[string]bool) {
	t.Helper()
	fires, silent = map[string][]map[string]string{}, map[string]bool{}
	for _, path := range testFiles(t) {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatalf("read the tests: %v", err)
		}
		var file promtoolTests
		if err := yaml.Unmarshal(data, &file); err != nil {
			t.Fatalf("parse %s: %v", path, err)
		}
		for _, test := range file.Tests {
			for _, a := range test.Alerts {
				for _, e := range a.Expected {
					fires[a.Name] = append(fires[a.Name], e.Labels)
				}
				if len(a.Expected) == 0 && len(test.Series) > 0 {
					silent[a.Name] = true
				}
			}
		}
	}
	return fires, silent
}

func TestEveryAlertHasTestsFiringAndSilent(t *testing.T) {
	fires, silent := expectations(t)
	for _, r := range everyAlert() {
		if len(fires[r.Alert]) == 0 {
			t.Errorf("%s: no promtool test expects it to fire: add one under testdata/promtool", r.Alert)
		}
		if !silent[r.Alert] && r.Alert != alert.Watchdog {
			t.Errorf("%s: no promtool test expects it to be silent: add one under testdata/promtool", r.Alert)
		}
	}
}

var labelInTemplate = regexp.MustCompile(`\$labels\.([a-z_]+)`)

func TestAnnotationsNameLabelsThatTheAlertHas(t *testing.T) {
	fires, _ := expectations(t)
	for _, r := range everyAlert() {
		for _, match := range labelInTemplate.FindAllStringSubmatch(r.Summary+r.Description, -1) {
			for _, labels := range fires[r.Alert] {
				if labels[match[1]] == "" {
					t.Errorf("%s: its text names the label %s, which it fires without: %v", r.Alert, match[1], labels)
				}
			}
		}
	}
}

func TestAlertsSayWhatTheHouseAsksFor(t *testing.T) {
	severities := []string{
		string(v1alpha1.SeverityCritical), string(v1alpha1.SeverityWarning), string(v1alpha1.SeverityInfo), severityNone,
	}
	seen := map[string]bool{}
	for _, r := range everyAlert() {
		if seen[r.Alert] {
			t.Errorf("%s: there are two of it", r.Alert)
		}
		seen[r.Alert] = true
		if !slices.Contains(severities, r.Severity) {
			t.Errorf("%s: severity %q is none of %v", r.Alert, r.Severity, severities)
		}
		if r.Summary == "" || r.Description == "" || r.ThresholdFrom == "" {
			t.Errorf("%s: summary, description and the source of the threshold must be there", r.Alert)
		}
		if (r.Severity == severityNone) != (r.Alert == alert.Watchdog) {
			t.Errorf("%s: severity %q is the watchdog's alone", r.Alert, r.Severity)
		}
	}
}

// TestFewAlertsAreCritical keeps critical for what a human must act on now. A new one needs a reason here.
func TestFewAlertsAreCritical(t *testing.T) {
	want := []string{
		"WorkloadDown",             // users get nothing
		"ServiceErrorRateHigh",     // users get errors
		"ServiceSpanErrorRateHigh", // users get errors, of services without metrics
		"ServiceVerySlow",          // users give up
		"VolumeAlmostFull",         // writes are about to fail
		"NodeNotReady",             // capacity is gone, pods are about to move
		"NodeDiskAlmostFull",       // eviction did not help
		"APIServerDown",            // nothing can be changed or healed
		"SchedulerDown",            // nothing new starts
		"ControllerManagerDown",    // nothing that failed is replaced
		"PrometheusNotIngesting",   // no other alert can fire
		"ResponderDown",            // no alert reaches anybody
		"SignalNotFlowing",         // the stack is ready and mute
		"ResponderFallback",        // a critical alert that no responder takes
	}
	var got []string
	for _, r := range everyAlert() {
		if r.Severity == string(v1alpha1.SeverityCritical) {
			got = append(got, r.Alert)
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("critical are %v; want %v", got, want)
	}
}

// seenByItself is the section of the runbooks about the responder's own watch.
const seenByItself = "What the responder sees by itself"

func runbookSections(t *testing.T) map[string]string {
	t.Helper()
	page, err := os.ReadFile("../../../docs/runbooks.md")
	if err != nil {
		t.Fatalf("read the runbooks: %v", err)
	}
	sections := map[string]string{}
	for _, section := range strings.Split(string(page), "\n## ")[1:] {
		title, text, _ := strings.Cut(section, "\n")
		sections[title] = strings.Join(strings.Fields(text), " ")
	}
	return sections
}

func TestEveryAlertHasARunbook(t *testing.T) {
	sections := runbookSections(t)
	for _, r := range everyAlert() {
		text, ok := sections[r.Alert]
		if !ok {
			t.Errorf("docs/runbooks.md has no section %s", r.Alert)
			continue
		}
		delete(sections, r.Alert)
		severity := "**Severity:** " + r.Severity + " "
		if r.For != "" {
			severity = "**Severity:** " + r.Severity + ", after " + r.For + " "
		}
		for _, part := range []string{severity, "**Meaning.** ", "**Look at.** ", "**Fix.** ",
			"**Threshold.** " + r.ThresholdFrom + "."} {
			if !strings.Contains(text, part) {
				t.Errorf("docs/runbooks.md, %s: want %q", r.Alert, part)
			}
		}
	}
	for title := range sections {
		if title != seenByItself && !slices.Contains(alert.Watched(), title) {
			t.Errorf("docs/runbooks.md has a section %s without an alert", title)
		}
	}
}

func TestEveryAlertOfTheWatchHasARunbook(t *testing.T) {
	sections := runbookSections(t)
	for _, name := range alert.Watched() {
		anchor := strings.ToLower(name)
		if !strings.HasSuffix(alert.Runbook(name), "#"+anchor) || !strings.Contains(sections[seenByItself], "| ["+name+"](#"+anchor+") |") {
			t.Errorf("docs/runbooks.md, %s: no row for %s", seenByItself, name)
		}
		for _, part := range []string{"**Severity:** ", "itself](#what-the-responder-sees-by-itself)", "**Meaning.** ", "**Look at.** ", "**Fix.** ", "**Threshold.** "} {
			if !strings.Contains(sections[name], part) {
				t.Errorf("docs/runbooks.md, %s: want %q", name, part)
			}
		}
	}
}
