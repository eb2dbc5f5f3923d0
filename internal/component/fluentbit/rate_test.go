package fluentbit

import (
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kubebot/kubebot/api/v1alpha1"
)

const (
	// writtenPerSecond is the rate at which lines are written.
	writtenPerSecond = 10_000
	// rotateAfter is how many lines a file holds before it is rotated: some 10 MB, as the kubelet does.
	rotateAfter = 120_000
	// mayBeBehind is how long after the last line was written the last one may arrive.
	mayBeBehind = 5 * time.Minute
)

// BenchmarkLines writes a container's lines, 10,000 a second, and tells how fast the real program carried them into a
// receiver of OTLP, what it cost, and what was lost or came twice, which fails it. -benchtime=600000x is a minute of lines.
func BenchmarkLines(b *testing.B) {
	fluentBit(b)
	r := newReceiver(b)
	n := newNode(b, r, v1alpha1.FluentBitSpec{})
	w := newWriter(b, n.logFile("shop", "checkout-5d8f7c9b6d-abcde", "app"))
	n.start(b)
	start := time.Now()
	b.ResetTimer()
	for w.lines < b.N {
		time.Sleep(10 * time.Millisecond)
		due := min(b.N, int(time.Since(start).Seconds()*writtenPerSecond))
		rotateAt := (w.turns + 1) * rotateAfter
		w.write(b, max(0, min(due, rotateAt)-w.lines))
		if w.lines == rotateAt && w.lines < b.N {
			w.rotate(b)
		}
	}
	written := time.Since(start)
	for r.distinct() < w.lines && time.Since(start) < written+mayBeBehind {
		time.Sleep(100 * time.Millisecond)
	}
	arrived := time.Since(start)
	b.StopTimer()
	doubled := w.check(b, r)
	if doubled > 0 {
		b.Errorf("%d of %d lines came twice", doubled, w.lines)
	}
	b.ReportMetric(float64(w.lines)/written.Seconds(), "written/s")
	b.ReportMetric(float64(w.lines)/arrived.Seconds(), "carried/s")
	b.ReportMetric((arrived - written).Seconds(), "s-behind")
	if cores, ok := n.processorTime(b); ok {
		b.ReportMetric(cores.Seconds()/arrived.Seconds(), "cores")
	}
}

// distinct counts the texts that came.
func (r *receiver) distinct() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.texts)
}

// processorTime is what the program used so far, where ps can tell.
func (n *node) processorTime(t testing.TB) (time.Duration, bool) {
	t.Helper()
	out, err := exec.Command("ps", "-o", "cputimes=", "-p", strconv.Itoa(n.cmd.Process.Pid)).Output()
	if err != nil {
		return 0, false
	}
	used, err := time.ParseDuration(strings.TrimSpace(string(out)) + "s")
	if err != nil {
		t.Fatal(fmt.Errorf("read what ps says of Fluent Bit: %w", err))
	}
	return used, true
}
