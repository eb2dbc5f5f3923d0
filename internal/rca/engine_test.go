package rca_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/kubebot/kubebot/internal/rca"
	"github.com/kubebot/kubebot/internal/rca/detectors"
	"github.com/kubebot/kubebot/internal/rca/rcatest"
	"github.com/kubebot/kubebot/internal/rca/weights"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func engine(t *testing.T) *rca.Engine {
	t.Helper()
	m, err := weights.Default()
	if err != nil {
		t.Fatal(err)
	}
	e, err := rca.NewEngine(detectors.All(), m)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestEngineFindsEachFault(t *testing.T) {
	for name, c := range map[string]struct {
		fault    rcatest.Scenario
		workload string
		kind     rca.Kind
	}{
		"CPU hog":            {rcatest.Scenario{CPU: 0.98, StockDelay: 20 * time.Millisecond}, "stock", rca.KindCPU},
		"memory at its end":  {rcatest.Scenario{Memory: 0.99}, "cart", rca.KindMemory},
		"disk full":          {rcatest.Scenario{Disk: 1}, "stock", rca.KindDisk},
		"delay on the way":   {rcatest.Scenario{CartNetwork: 150 * time.Millisecond}, "cart", rca.KindNetwork},
		"early return":       {rcatest.Scenario{StockReturns: true}, "stock", rca.KindCode},
		"early return, slow": {rcatest.Scenario{StockReturns: true, StockDelay: time.Millisecond}, "stock", rca.KindCode},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := engine(t).Analyse(c.fault.Snapshot())
			if err != nil {
				t.Fatal(err)
			}
			if len(r.Causes) == 0 || r.Causes[0].Workload != c.workload || r.Causes[0].Kind != c.kind {
				t.Fatalf("causes %+v, want %s of %s first", r.Causes, c.kind, c.workload)
			}
			if s := r.Causes[0].Score; s <= 0 || s > 1 {
				t.Errorf("score %v is no probability", s)
			}
			if len(r.Causes[0].Evidence) == 0 || r.Causes[0].Fix == "" {
				t.Errorf("cause without evidence or fix: %+v", r.Causes[0])
			}
			// the fault begins a minute before the alarm; onsets are tried every minute
			if d := time.Unix(0, r.Causes[0].Onset).Sub(rcatest.Alarm); d < -3*time.Minute || d > time.Minute {
				t.Errorf("onset %v from the alarm", d)
			}
		})
	}
}

func TestEngineAbstainsWithoutFault(t *testing.T) {
	r, err := engine(t).Analyse(rcatest.Scenario{}.Snapshot())
	if err != nil {
		t.Fatal(err)
	}
	if !r.Abstained {
		t.Errorf("names %+v although nothing happened", r.Causes[0])
	}
}

func TestSameTelemetryGivesSameBytes(t *testing.T) {
	fault := rcatest.Scenario{StockReturns: true, CPU: 0.7, CartNetwork: 20 * time.Millisecond}
	var first []byte
	for range 5 {
		s := fault.Snapshot()
		var buf bytes.Buffer
		if err := s.Write(&buf); err != nil {
			t.Fatal(err)
		}
		r, err := engine(t).Analyse(s)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.NewEncoder(&buf).Encode(r); err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = buf.Bytes()
		} else if !bytes.Equal(first, buf.Bytes()) {
			t.Fatal("the same telemetry gave other bytes")
		}
	}
}

func TestReplayedSnapshotGivesSameResult(t *testing.T) {
	s := rcatest.Scenario{StockReturns: true}.Snapshot()
	var buf bytes.Buffer
	if err := s.Write(&buf); err != nil {
		t.Fatal(err)
	}
	again, err := rca.ReadSnapshot(&buf)
	if err != nil {
		t.Fatal(err)
	}
	want, err := engine(t).Analyse(s)
	if err != nil {
		t.Fatal(err)
	}
	got, err := engine(t).Analyse(again)
	if err != nil {
		t.Fatal(err)
	}
	a, _ := json.Marshal(want)
	b, _ := json.Marshal(got)
	if !bytes.Equal(a, b) {
		t.Errorf("replayed:\n%s\nfirst:\n%s", b, a)
	}
}

func TestCandidatesLimitWhomToBlame(t *testing.T) {
	s := rcatest.Scenario{StockReturns: true}.Snapshot()
	s.Candidates = []string{"front", "cart"}
	r, err := engine(t).Analyse(s)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range r.Causes {
		if c.Workload == "stock" {
			t.Errorf("blames %s, which is no candidate", c.Workload)
		}
	}
}

func TestEngineRefusesUnknownWeights(t *testing.T) {
	m := &rca.Model{Version: rca.ModelVersion, Weights: map[string]float64{"nosuch.feature": 1}}
	if _, err := rca.NewEngine(detectors.All(), m); err == nil {
		t.Error("took a weight that no detector measures")
	}
}

// The report is tested with fixed weights, so that training does not change it.
func TestReportGolden(t *testing.T) {
	m := &rca.Model{Version: rca.ModelVersion, Weights: map[string]float64{"flow.certainty": 4, "flow.logged": 2, "network.coverage": 1, "selftime.share": 1}}
	m.Calibration = rca.Calibration{Share: 1, Abstain: 0.3}
	e, err := rca.NewEngine(detectors.All(), m)
	if err != nil {
		t.Fatal(err)
	}
	for name, fault := range map[string]rcatest.Scenario{
		"return": {StockReturns: true}, "quiet": {}, "network": {CartNetwork: 80 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			s := fault.Snapshot()
			s.Missing = []string{"events"}
			r, err := e.Analyse(s)
			if err != nil {
				t.Fatal(err)
			}
			var buf bytes.Buffer
			if err := r.WriteText(&buf); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join("testdata", "report_"+name+".txt")
			if *update {
				if err := os.WriteFile(file, buf.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(buf.Bytes(), want) {
				t.Errorf("got\n%s\nwant\n%s", buf.Bytes(), want)
			}
		})
	}
}

func FuzzReadSnapshot(f *testing.F) {
	var buf bytes.Buffer
	if err := (rcatest.Scenario{StockReturns: true}).Snapshot().Write(&buf); err != nil {
		f.Fatal(err)
	}
	f.Add(buf.Bytes())
	f.Add([]byte(`{"version":1,"alarm":0,"baseline":null,"steps":[{"start":0,"end":1}],"workloads":[{"name":"a"}]}`))
	f.Add([]byte(`{"version":1,"steps":[{"start":0,"end":1}],"workloads":[{"name":"a","operations":[{"name":"x","slots":[{"calls":1,"total":{"offset":-900,"counts":[1],"n":1}}]}]}]}`))
	m, err := weights.Default()
	if err != nil {
		f.Fatal(err)
	}
	e, err := rca.NewEngine(detectors.All(), m)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := rca.ReadSnapshot(bytes.NewReader(b))
		if err != nil {
			return
		}
		if _, err := e.Analyse(s); err != nil {
			t.Errorf("valid snapshot not analysed: %v", err)
		}
	})
}
