package fluentbit

import (
	"fmt"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/kubebot/kubebot/api/v1alpha1"
)

// writer writes numbered lines as the container runtime does, and its files are rotated as by the kubelet.
type writer struct {
	path    string
	file    *os.File
	lines   int
	turns   int
	rotated string
}

func newWriter(t testing.TB, path string) *writer {
	t.Helper()
	write(t, path, "")
	c := &writer{path: path}
	c.open(t)
	t.Cleanup(func() { c.file.Close() })
	return c
}

func (c *writer) open(t testing.TB) {
	t.Helper()
	var err error
	if c.file, err = os.OpenFile(c.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640); err != nil {
		t.Fatal(err)
	}
}

// write writes so many lines, each by a write of its own.
func (c *writer) write(t testing.TB, lines int) {
	t.Helper()
	for range lines {
		if _, err := fmt.Fprintf(c.file, "%s stdout F line %08d of what a container has to say\n", time.Now().UTC().Format(time.RFC3339Nano), c.lines); err != nil {
			t.Fatal(err)
		}
		c.lines++
	}
}

// compress takes away the file that was renamed last, once it was read.
func (c *writer) compress(t testing.TB, r *receiver) {
	t.Helper()
	if c.rotated == "" {
		return
	}
	c.check(t, r)
	if err := os.Rename(c.rotated, c.rotated+".gz"); err != nil {
		t.Fatal(err)
	}
}

// rotate renames the file and begins another one.
func (c *writer) rotate(t testing.TB) {
	t.Helper()
	c.rotated = fmt.Sprintf("%s.20260102-%06d", c.path, c.turns)
	c.turns++
	if err := os.Rename(c.path, c.rotated); err != nil {
		t.Fatal(err)
	}
	old := c.file
	c.open(t)
	// The runtime goes on writing into the old file until it is told to open the new one.
	if _, err := fmt.Fprintf(old, "%s stdout F line %08d of what a container has to say\n", time.Now().UTC().Format(time.RFC3339Nano), c.lines); err != nil {
		t.Fatal(err)
	}
	c.lines++
	old.Close()
}

// check waits for every line and returns how many came more than once.
func (c *writer) check(t testing.TB, r *receiver) (doubled int) {
	t.Helper()
	eventually(t, func() string {
		missing, first, counts := 0, 0, r.bodies()
		doubled = 0
		for i := range c.lines {
			switch n := counts[fmt.Sprintf("line %08d of what a container has to say", i)]; {
			case n == 0:
				if missing++; missing == 1 {
					first = i
				}
			case n > 1:
				doubled++
			}
		}
		if missing == 0 {
			return ""
		}
		return fmt.Sprintf("%d of %d lines are missing, the first is number %d", missing, c.lines, first)
	})
	return doubled
}

func TestRotationLosesAndDoublesNothing(t *testing.T) {
	r := newReceiver(t)
	n := newNode(t, r, v1alpha1.FluentBitSpec{})
	c := newWriter(t, n.logFile("shop", "checkout-5d8f7c9b6d-abcde", "app"))
	n.start(t)
	for range 4 {
		c.write(t, 3000)
		c.compress(t, r)
		c.rotate(t)
	}
	c.write(t, 3000)
	if doubled := c.check(t, r); doubled != 0 {
		t.Errorf("%d of %d lines came twice", doubled, c.lines)
	}
}

func TestAnOutageOfTheCollectorLosesAndDoublesNothing(t *testing.T) {
	for name, status := range map[string]int{"overloaded": http.StatusServiceUnavailable, "throttling": http.StatusTooManyRequests, "behind a proxy": http.StatusBadGateway} {
		t.Run(name, func(t *testing.T) {
			r := newReceiver(t)
			n := newNode(t, r, v1alpha1.FluentBitSpec{})
			c := newWriter(t, n.logFile("shop", "checkout-5d8f7c9b6d-abcde", "app"))
			r.answer(status)
			n.start(t)
			for range 3 {
				c.write(t, 3000)
				r.refuseAnother(t)
				c.rotate(t)
			}
			r.answer(http.StatusOK)
			c.write(t, 3000)
			if doubled := c.check(t, r); doubled != 0 {
				t.Errorf("%d of %d lines came twice", doubled, c.lines)
			}
		})
	}
}

// What is written and rotated while no Fluent Bit runs is read later, and what was read before a crash is on disk.
func TestACrashLosesNothing(t *testing.T) {
	r := newReceiver(t)
	n := newNode(t, r, v1alpha1.FluentBitSpec{})
	c := newWriter(t, n.logFile("shop", "checkout-5d8f7c9b6d-abcde", "app"))
	for i := range 4 {
		outage := i%2 == 1
		if outage {
			r.answer(http.StatusServiceUnavailable)
		}
		n.start(t)
		for range 10 {
			c.write(t, 500)
			time.Sleep(20 * time.Millisecond)
		}
		if outage {
			r.refuseAnother(t)
		}
		n.stop(t)
		r.answer(http.StatusOK)
		c.write(t, 500)
		c.rotate(t)
		c.write(t, 500)
	}
	n.start(t)
	doubled := c.check(t, r)
	t.Logf("%d of %d lines came twice after 4 crashes", doubled, c.lines)
	// What is under way at the moment of a crash may come twice: the lines of one request, which holds one chunk.
	if doubled > c.lines/2 {
		t.Errorf("%d of %d lines came twice", doubled, c.lines)
	}
}

// A file system gives a new file the inode of one that is gone, by which offsets are found.
func TestAFileThatTakesTheInodeOfAnotherIsReadFromItsBeginning(t *testing.T) {
	r := newReceiver(t)
	n := newNode(t, r, v1alpha1.FluentBitSpec{})
	gone := newWriter(t, n.logFile("shop", "checkout-5d8f7c9b6d-abcde", "app"))
	gone.write(t, 1000)
	n.start(t)
	gone.check(t, r)
	n.stop(t)

	c := newWriter(t, n.logFile("shop", "checkout-5d8f7c9b6d-fghij", "app"))
	c.lines = gone.lines
	if err := os.Rename(gone.path, c.path); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(c.path, 0); err != nil {
		t.Fatal(err)
	}
	c.file.Close()
	c.open(t)
	c.write(t, 2000)
	n.start(t)
	if doubled := c.check(t, r); doubled != 0 {
		t.Errorf("%d of %d lines came twice", doubled, c.lines)
	}
}
