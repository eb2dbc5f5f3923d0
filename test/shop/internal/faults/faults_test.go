package faults

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

var errOwn = errors.New("own failure")

// eventually waits until the condition holds; the limit only ends a run that would never.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !condition(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never happened: %s", what)
		}
	}
}

func TestSwitchIsTurnedOverHTTP(t *testing.T) {
	s := New("", errOwn)
	t.Cleanup(s.ClearAll)
	s.Dialer("payment")
	server := httptest.NewServer(s.Handler())
	defer server.Close()
	address := strings.TrimPrefix(server.URL, "http://")
	for _, tc := range []struct {
		name    string
		args    []string
		want    string
		wantErr string
	}{
		{name: "all off at first", want: "{}"},
		{name: "errors on", args: []string{"errors", `{"percent":30}`}, want: `{"errors":{"percent":30}}`},
		{name: "changed", args: []string{"errors", `{"percent":40}`}, want: `{"errors":{"percent":40}}`},
		{name: "latency beside it", args: []string{"latency", `{"milliseconds":5,"dependency":"payment"}`},
			want: `{"errors":{"percent":40},"latency":{"milliseconds":5,"dependency":"payment"}}`},
		{name: "one off", args: []string{"errors", "off"}, want: `{"latency":{"milliseconds":5,"dependency":"payment"}}`},
		{name: "a kind that does not exist", args: []string{"fire", `{}`}, wantErr: `unknown kind "fire"`},
		{name: "no JSON", args: []string{"cpu", `lots`}, wantErr: "read the setting"},
		{name: "a field that does not exist", args: []string{"cpu", `{"cores":1}`}, wantErr: `unknown field "cores"`},
		{name: "a field of another kind", args: []string{"cpu", `{"millicores":1,"percent":1}`}, wantErr: "does not take"},
		{name: "out of range", args: []string{"errors", `{"percent":101}`}, wantErr: "from 1 to 100"},
		{name: "nothing to refuse", args: []string{"refuse", `{}`}, wantErr: "must be named"},
		{name: "a dependency that is none", args: []string{"refuse", `{"dependency":"bank"}`}, wantErr: `want one of ["payment"]`},
		{name: "no folder to fill", args: []string{"disk", `{"bytesPerSecond":1}`}, wantErr: "no data folder"},
		{name: "too many words", args: []string{"a", "b", "c"}, wantErr: "usage"},
		{name: "all off", args: []string{"off"}, want: "{}"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var out bytes.Buffer
			err := Command(t.Context(), address, tc.args, &out)
			if tc.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tc.wantErr) {
					t.Fatalf("error = %v, want it to hold %q", err, tc.wantErr)
				}
				return
			}
			if got := strings.TrimSpace(out.String()); err != nil || got != tc.want {
				t.Fatalf("state = %s, %v; want %s", got, err, tc.want)
			}
		})
	}
}

func TestPassFailsTheShareThatIsSet(t *testing.T) {
	s := New("", errOwn)
	for _, percent := range []int{0, 50, 100} {
		if percent > 0 {
			if err := s.Set(Errors, Setting{Percent: percent}); err != nil {
				t.Fatal(err)
			}
		}
		failed := 0
		for range 1000 {
			if errors.Is(s.Pass(t.Context()), errOwn) {
				failed++
			}
		}
		// 150 are nine standard deviations of the share in between; the ends are exact.
		if slack := 150 * min(percent, 100-percent) / 50; failed < percent*10-slack || failed > percent*10+slack {
			t.Errorf("%d %%: %d of 1000 failed", percent, failed)
		}
	}
}

func TestPassWaitsNoLongerThanItsCaller(t *testing.T) {
	s := New("", errOwn)
	if err := s.Set(Latency, Setting{Milliseconds: 30}); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	if err := s.Pass(t.Context()); err != nil || time.Since(begin) < 30*time.Millisecond {
		t.Errorf("passed after %v with %v", time.Since(begin), err)
	}
	if err := s.Set(Latency, Setting{Milliseconds: maxMilliseconds}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Pass(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller that has gone gets %v", err)
	}
}

func TestConnectionsSlowDownBreakAndAreRefused(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }))
	defer server.Close()
	s := New("", errOwn)
	dial := s.Dialer("near")
	other := s.Dialer("far")
	c, err := dial(t.Context(), "tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Set(Latency, Setting{Milliseconds: 30, Dependency: "near"}); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	if _, err := c.Write([]byte("GET / HTTP/1.1\r\n")); err != nil || time.Since(begin) < 30*time.Millisecond {
		t.Errorf("written after %v with %v", time.Since(begin), err)
	}
	if err := s.Pass(t.Context()); err != nil {
		t.Errorf("latency of an edge failed the handler: %v", err)
	}
	if err := s.Set(Refuse, Setting{Dependency: "near"}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("an open connection reads %v", err)
	}
	if err := c.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		t.Errorf("close: %v", err)
	}
	_, err = dial(t.Context(), "tcp", "cart:9090")
	if !errors.Is(err, syscall.ECONNREFUSED) || err.Error() != "dial tcp cart:9090: connect: connection refused" {
		t.Errorf("a new connection gets %v", err)
	}
	far, err := other(t.Context(), "tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatalf("another dependency is refused too: %v", err)
	}
	_ = far.Close()
	s.ClearAll()
	again, err := dial(t.Context(), "tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatalf("refused after it was switched off: %v", err)
	}
	_ = again.Close()
}

func TestDiskFillsToTheMaximumAndIsEmptiedAgain(t *testing.T) {
	dir := t.TempDir()
	s := New(dir, errOwn)
	if err := s.Set(Disk, Setting{BytesPerSecond: 1 << 30, MaxBytes: 200_001}); err != nil {
		t.Fatal(err)
	}
	size := func() int64 {
		info, err := os.Stat(filepath.Join(dir, "spool.tmp"))
		if err != nil {
			return -1
		}
		return info.Size()
	}
	eventually(t, "the file has its size", func() bool { return size() == 200_001 })
	s.Clear(Disk)
	if size() != -1 {
		t.Errorf("%d bytes are left", size())
	}
}

func TestMemoryGrowsAndIsGivenBack(t *testing.T) {
	s := New("", errOwn)
	const wanted = 32 << 20
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	runtime.GC() // what other tests left would hide the growth when it goes; some of it goes later, hence the slack
	before := heap()
	if err := s.Set(Memory, Setting{BytesPerSecond: 1 << 30, MaxBytes: wanted}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the heap has grown", func() bool { return heap() > before+wanted*3/4 })
	s.Clear(Memory)
	if after := heap(); after > before+wanted/2 {
		t.Errorf("the heap went from %d to %d", before, after)
	}
}

func TestBurnUsesCPUUntilItIsSwitchedOff(t *testing.T) {
	s := New("", errOwn)
	used := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			t.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	before := used()
	if err := s.Set(CPU, Setting{Millicores: 1500}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "200 ms of CPU are used", func() bool { return used()-before > 200*time.Millisecond })
	s.Clear(CPU) // returns when the workers have ended
	if state := s.State(); len(state) != 0 {
		t.Errorf("still on: %v", state)
	}
}

func FuzzParseSetting(f *testing.F) {
	for _, seed := range [][2]string{{"cpu", `{"millicores":5}`}, {"errors", `{"percent":-1}`}, {"refuse", `{"dependency":"x"}`},
		{"memory", `{"bytesPerSecond":1e3}`}, {"latency", `[]`}, {"", ``}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, kind, body string) {
		s, err := ParseSetting(Kind(kind), strings.NewReader(body))
		if err != nil {
			return
		}
		if s.Percent < 0 || s.Percent > 100 || s.Millicores < 0 || s.Millicores > maxMillicores ||
			s.BytesPerSecond < 0 || s.BytesPerSecond > maxBytes || s.MaxBytes < 0 || s.Milliseconds < 0 ||
			s.Milliseconds > maxMilliseconds || s == (Setting{}) {
			t.Fatalf("%s %s gave %+v", kind, body, s)
		}
	})
}
