package rca_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/kubebot/kubebot/internal/rca"
	"github.com/kubebot/kubebot/internal/rca/rcatest"
)

// FuzzReadExample checks that an example that is read can be written and read again with the same cause.
func FuzzReadExample(f *testing.F) {
	var b bytes.Buffer
	if err := (rca.Example{Snapshot: (rcatest.Scenario{}).Snapshot(), Workload: "catalog", Kind: "cpu"}).Write(&b); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add([]byte(`{"snapshot":{"version":1,"steps":[{"start":0,"end":1}],"workloads":[{"name":"a"}]},"workload":"a","kind":"?","wrong":true}`))
	f.Add([]byte(`{"snapshot":null,"workload":"a"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		e, err := rca.ReadExample(bytes.NewReader(text))
		if err != nil {
			return
		}
		var b bytes.Buffer
		if err := e.Write(&b); err != nil {
			t.Fatalf("what was read can't be written: %v", err)
		}
		again, err := rca.ReadExample(&b)
		if err != nil || again.Workload != strings.ToValidUTF8(e.Workload, "\ufffd") || again.Wrong != e.Wrong {
			t.Errorf("%+v became %+v, %v", e, again, err)
		}
	})
}
