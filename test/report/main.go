// Command report reads what `go test -json` wrote and prints what a person wants to know: a line per package, the
// output of what failed, what was skipped and why, and the counts. It exits 1 if a test failed, if nothing ran, or,
// with CI=true, if a test was skipped that does not need Fluent Bit or Grafana.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"strings"
)

// slow is the time in seconds from which a test is named with its time.
const slow = 15

// event is one line of `go test -json`.
type event struct {
	Action, Package, ImportPath, Test, Output string
	Elapsed                                   float64
}

// tally counts the tests of one or more runs.
type tally struct {
	passed, failed, skipped int
	brokenPackages          []string
	forbiddenSkips          []string
}

func main() {
	args := os.Args[1:]
	totalOnly := len(args) > 0 && args[0] == "--total"
	if totalOnly {
		args = args[1:]
	}
	var sum tally
	for _, file := range args {
		if strings.HasSuffix(file, ".err") {
			printFile(file)
			continue
		}
		if err := read(file, !totalOnly, &sum); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	if totalOnly {
		fmt.Printf("%d passed, %d failed, %d skipped\n", sum.passed, sum.failed+len(sum.brokenPackages), sum.skipped)
	} else {
		fmt.Printf("   %d tests passed, %d failed, %d skipped\n", sum.passed, sum.failed, sum.skipped)
	}
	for _, s := range sum.forbiddenSkips {
		fmt.Println("   skipped, which CI does not allow:", s)
	}
	if sum.failed+len(sum.brokenPackages)+len(sum.forbiddenSkips) > 0 || sum.passed == 0 {
		os.Exit(1)
	}
}

func printFile(file string) {
	if data, err := os.ReadFile(file); err == nil && len(data) > 0 {
		fmt.Printf("%s\n", strings.TrimSpace(string(data)))
	}
}

func read(file string, verbose bool, sum *tally) error {
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("open test output: %w", err)
	}
	defer func() { _ = f.Close() }()
	output := map[string][]string{}
	in := bufio.NewScanner(f)
	in.Buffer(nil, 16<<20)
	for in.Scan() {
		var e event
		if err := json.Unmarshal(in.Bytes(), &e); err != nil {
			fmt.Println(in.Text())
			continue
		}
		key := e.Package + e.ImportPath + " " + e.Test
		if e.Action == "output" || e.Action == "build-output" {
			output[key] = append(output[key], e.Output)
			continue
		}
		sum.count(e, output, verbose)
	}
	if err := in.Err(); err != nil {
		return fmt.Errorf("read %s: %w", file, err)
	}
	return nil
}

// count takes one event in and prints what failed or was skipped.
func (s *tally) count(e event, output map[string][]string, verbose bool) {
	key := e.Package + e.ImportPath + " " + e.Test
	switch {
	case e.Action == "build-fail":
		s.brokenPackages = append(s.brokenPackages, e.ImportPath)
		show(verbose, output[key])
	case e.Test == "" && e.Action == "fail":
		fmt.Printf("   FAIL %s (%.1f s)\n", e.Package, e.Elapsed)
		if !s.anyFailedIn(e.Package) {
			s.brokenPackages = append(s.brokenPackages, e.Package)
			show(verbose, output[key])
		}
	case e.Test == "" && e.Action == "pass" && verbose:
		fmt.Printf("   ok   %s (%.1f s)\n", e.Package, e.Elapsed)
	case e.Test == "":
	case e.Action == "pass":
		s.passed++
		if verbose && e.Elapsed >= slow {
			fmt.Printf("        %s (%.0f s)\n", e.Test, e.Elapsed)
		}
	case e.Action == "fail":
		s.failed++
		failedIn[e.Package] = true
		show(verbose, output[key])
	case e.Action == "skip":
		s.skipped++
		why := reason(output[key])
		fmt.Printf("   !! SKIPPED %s %s: %s\n", e.Package, e.Test, why)
		if os.Getenv("CI") == "true" && !strings.Contains(why, "FLUENT_BIT") && !strings.Contains(why, "GRAFANA") {
			s.forbiddenSkips = append(s.forbiddenSkips, e.Package+" "+e.Test)
			sort.Strings(s.forbiddenSkips)
		}
	}
}

// failedIn are packages with a failed test, whose own failure is no further one.
var failedIn = map[string]bool{}

func (s *tally) anyFailedIn(pkg string) bool { return failedIn[pkg] }

func show(verbose bool, lines []string) {
	if verbose {
		fmt.Print(strings.Join(lines, ""))
	}
}

func reason(lines []string) string {
	for i := len(lines) - 1; i >= 0; i-- {
		line := strings.TrimSpace(lines[i])
		if line != "" && !strings.HasPrefix(line, "---") && !strings.HasPrefix(line, "===") {
			return line
		}
	}
	return "no reason given"
}
