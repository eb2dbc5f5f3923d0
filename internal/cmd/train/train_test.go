package train_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	cmdrca "github.com/kubebot/kubebot/internal/cmd/rca"
	"github.com/kubebot/kubebot/internal/cmd/train"
	"github.com/kubebot/kubebot/internal/rca"
	"github.com/kubebot/kubebot/internal/rca/detectors"
	"github.com/kubebot/kubebot/internal/rca/rcatest"
)

// incidents are of as many workloads: each one's name has its number.
func incidents(t *testing.T, n int) string {
	t.Helper()
	dir := t.TempDir()
	for i := range n {
		in := rca.Example{Workload: "stock", Kind: rca.KindCode}
		fault := rcatest.Scenario{StockReturns: true}
		if i%2 == 1 {
			in.Workload, in.Kind, fault = "cart", rca.KindNetwork, rcatest.Scenario{CartNetwork: time.Duration(50+i) * time.Millisecond}
		}
		in.Snapshot = fault.Snapshot()
		var buf bytes.Buffer
		if err := in.Write(&buf); err != nil {
			t.Fatal(err)
		}
		own := bytes.ReplaceAll(buf.Bytes(), []byte(`"`+in.Workload+`"`), fmt.Appendf(nil, `"%s-%d"`, in.Workload, i))
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%02d.json", i)), own, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func run(t *testing.T, o train.Options) train.Outcome {
	t.Helper()
	var buf bytes.Buffer
	o.Out = &buf
	if err := train.Run(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	var r train.Outcome
	if err := json.Unmarshal(buf.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestFewIncidentsChangeNothing(t *testing.T) {
	out := filepath.Join(t.TempDir(), "weights.json")
	if r := run(t, train.Options{Folder: incidents(t, 3), Output: out}); r.Adopted || r.Incidents != 3 {
		t.Errorf("outcome %+v", r)
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("weights written")
	}
}

func TestWeightsThatAreNotBetterAreNotAdopted(t *testing.T) {
	out := filepath.Join(t.TempDir(), "weights.json")
	if r := run(t, train.Options{Folder: incidents(t, 10), Output: out}); r.Adopted || r.Before != 1 {
		t.Errorf("outcome %+v, want the weights in use to be right already and to stay", r)
	}
}

func TestBetterWeightsAreAdopted(t *testing.T) {
	dir := t.TempDir()
	bad := rca.Model{Version: rca.ModelVersion, Weights: map[string]float64{}}
	for _, d := range detectors.All() {
		for _, f := range d.Features {
			bad.Weights[d.Name+"."+f.Name] = 0
		}
	}
	b, err := json.Marshal(bad)
	if err != nil {
		t.Fatal(err)
	}
	in, out := filepath.Join(dir, "in.json"), filepath.Join(dir, "out.json")
	if err := os.WriteFile(in, b, 0o600); err != nil {
		t.Fatal(err)
	}
	r := run(t, train.Options{Folder: incidents(t, 10), Weights: in, Output: out})
	if !r.Adopted || r.After <= r.Before {
		t.Errorf("outcome %+v, want an improvement", r)
	}
	if m, err := cmdrca.Model(out); err != nil || len(m.Weights) == 0 {
		t.Errorf("adopted weights: %v, %v", m, err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"workload":"a","kind":"cpu","snapshot":{"version":1,"steps":[{"start":0,"end":1}],"workloads":[]}}`))
	e, err := rca.NewEngine(detectors.All(), &rca.Model{Version: rca.ModelVersion})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if x, err := train.Parse(b, e); err == nil && x.Workload == "" {
			t.Error("an incident without cause was taken")
		}
	})
}
