package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kubebot/kubebot/test/bench/rca/dataset"
)

func TestMissingDataIsNamed(t *testing.T) {
	if err := predict(t.TempDir(), ""); !errors.Is(err, dataset.ErrNoData) {
		t.Errorf("error %v, want ErrNoData", err)
	}
}

// a site that calls a shop; from the third sample on the shop is slow
func petshop(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	file := func(name string, from, rows int, slow float64) {
		var b strings.Builder
		b.WriteString("microservice,site,site,shop,shop\nmetric,latency,requests,latency,requests\nstatistic,Average,Sum,Average,Sum\nunix_timestamp,,,,\n")
		for i := range rows {
			l := 0.1 + 0.001*float64(i%3)
			if i == 2 || i == 3 {
				l += slow
			}
			fmt.Fprintf(&b, "%d.0,%v,100,%v,100\n", from+300*i, l, l)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file("normal.csv", 1_700_100_000, 60, 0)
	file("now.csv", 1_700_000_000, 5, 0.4)
	cases := `{"cases":[
	 {"id":"broken","graph":"none.csv","normal_file":"none.csv","abnormal_file":"none.csv","abnormal_window":[0,1]},
	 {"id":"slow","graph":"graph.csv","normal_file":"normal.csv","abnormal_file":"now.csv","inject_ts":1700000500,
	  "abnormal_window":[1700000000,1700001200],"candidates":["site","shop"],"target":{"node":"site","metric":"latency","agg":"Average"}}]}`
	for name, text := range map[string]string{"graph.csv": ",site,shop\nsite,0,1\nshop,0,0\n", "cases_blind.json": cases} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestABrokenCaseCostsNoOtherAndIsSaid(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out.jsonl")
	err := predict(petshop(t), out)
	if err == nil || !strings.Contains(err.Error(), "1 of 2 cases could not be analysed: broken") {
		t.Errorf("error %v, want one that names the case", err)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	var got []prediction
	for line := range strings.Lines(string(b)) {
		var p prediction
		if err := json.Unmarshal([]byte(line), &p); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		got = append(got, p)
	}
	if len(got) != 2 {
		t.Fatalf("%d predictions, want a line for each case", len(got))
	}
	if p := got[0]; p.Case != "broken" || p.Ranking == nil || len(p.Ranking) > 0 || !p.Abstained || p.Error == "" {
		t.Errorf("prediction %+v, want an empty ranking and why", p)
	}
	if p := got[1]; p.Case != "slow" || len(p.Ranking) == 0 || p.Ranking[0].Service != "shop" || p.Seconds <= 0 || p.Error != "" {
		t.Errorf("prediction %+v, want shop first", p)
	}
}
