package dataset

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kubebot/kubebot/internal/rca"
)

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	b := []byte(text)
	if strings.HasSuffix(file, ".gz") {
		var buf bytes.Buffer
		z := gzip.NewWriter(&buf)
		if _, err := z.Write(b); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		b = buf.Bytes()
	}
	if err := os.WriteFile(file, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

const start = 1_700_000_000

// nezhaFolder holds one case: a front that calls a back, a span a second, from 600 s before the alarm to 400 s after it.
func nezhaFolder(t *testing.T) (string, Case) {
	t.Helper()
	dir := t.TempDir()
	var tr, lg strings.Builder
	tr.WriteString("TraceID,SpanID,ParentID,PodName,OperationName,StartTimeUnixNano,EndTimeUnixNano,Duration\n")
	lg.WriteString("Timestamp,TimeUnixNano,Node,PodName,Container,TraceID,SpanID,Log\n")
	for i := -600; i < 400; i++ {
		ns := int64(start+i) * 1e9
		fmt.Fprintf(&tr, "%032x,%016x,root,front-aa-bb,GET,%d,0,9000\n", i+1000, 2*i+5000, ns)
		fmt.Fprintf(&tr, "%032x,%016x,%016x,back-cc-dd,get,%d,0,4000\n", i+1000, 2*i+5001, 2*i+5000, ns)
		line := fmt.Sprintf(`x,%d,n,back-cc-dd,server,%032x,%016x,"{""log"":""10:00:00.1 INFO Back#7 TraceID: a SpanID: b item %d\n""}"`+"\n", ns, i+1000, 2*i+5001, i)
		lg.WriteString(line + line) // rows come twice
	}
	lg.WriteString("x,-6795364578871345152,n,back-cc-dd,server,,,x\n")
	write(t, filepath.Join(dir, "day/trace/a.csv.gz"), tr.String())
	write(t, filepath.Join(dir, "day/log/a.csv.gz"), lg.String())
	var m strings.Builder
	m.WriteString("Time,TimeStamp,PodName,CpuUsageRate(%),MemoryUsageRate(%),PodServerLatencyP90(s),PodWorkload(Ops)\n")
	for i := -600; i < 400; i += 60 {
		fmt.Fprintf(&m, "%s,0,back-cc-dd,%d,40,NaN,1\n", time.Unix(int64(start+i), 0).UTC().Format("2006-01-02 15:04:05.000000000 +0000 UTC")+" m=+0.1", 10)
	}
	write(t, filepath.Join(dir, "day/metric/back-cc-dd_metric.csv.gz"), m.String())
	write(t, filepath.Join(dir, "day/metric/source_50.csv"), "time,timestamp,front_back\n"+time.Unix(start, 0).UTC().Format("2006-01-02 15:04:05 +0000 UTC")+",0,0.5\n")
	write(t, filepath.Join(dir, "day/metric/dependency.csv"), "Source,Target,Weight\nback,idle,1\n")
	files := Files{Normal: []string{"day/trace/a.csv.gz"}, Abnormal: []string{"day/trace/a.csv.gz"}}
	logs := Files{Abnormal: []string{"day/log/a.csv.gz"}}
	return dir, Case{
		ID: "x", InjectTS: start, NormalWindow: []float64{start - 500, start - 10}, AbnormalWindow: [2]float64{start, start + 180},
		ExcludeWindows: [][2]float64{{start - 400, start - 300}}, MetricDir: "day/metric/", TraceFiles: files, LogFiles: logs,
		Candidates: []string{"front", "back", "idle"},
	}
}

func TestNezhaCaseIsCutToItsWindows(t *testing.T) {
	dir, c := nezhaFolder(t)
	s, err := Load(dir, c)
	if err != nil {
		t.Fatal(err)
	}
	v := rca.NewView(s, 6)
	var before, since uint64
	for _, o := range v.Service("back").Operations {
		before, since = o.Base.Calls, o.Now.Calls
	}
	// 500 s before the alarm but 100 s excluded, then 180 s
	if before != 400 || since != 180 {
		t.Errorf("%d calls before and %d since the alarm, want 400 and 180", before, since)
	}
	var lines uint64
	for _, n := range v.Service("back").Patterns[0].Slots {
		lines += n
	}
	if lines != 580 || len(v.Service("back").Patterns) != 1 {
		t.Errorf("%d lines in %d patterns, want each of 580 once in one", lines, len(v.Service("back").Patterns))
	}
	for _, sr := range v.Service("back").Series {
		for _, p := range sr.Points {
			if p.T >= start+180 || p.T < start-500 || p.T >= start-400 && p.T < start-240 {
				t.Errorf("%s has a point at %+v s", sr.Name, p.T-start)
			}
		}
	}
	if len(s.Edges) != 1 || s.Edges[0].Caller != "front" || s.Edges[0].Callee != "back" {
		t.Errorf("edges %+v, want none but the one seen within the windows", s.Edges)
	}
	if v.Service("idle") == nil || len(s.Candidates) != 3 {
		t.Error("a candidate without data is missing")
	}
}

func TestShiftMovesTheWindows(t *testing.T) {
	_, c := nezhaFolder(t)
	s := c.Shift(time.Minute)
	if s.AbnormalWindow != [2]float64{start + 60, start + 240} || s.NormalWindow[1] != start+50 || c.NormalWindow[1] != start-10 {
		t.Errorf("shifted %+v, before %+v", s, c)
	}
}

func petshopFile(rows, from int, slow map[int]bool) string {
	var b strings.Builder
	b.WriteString("microservice,site,site,back,back\nmetric,latency,requests,latency,requests\nstatistic,Average,Sum,Average,Sum\nunix_timestamp,,,,\n")
	for i := range rows {
		l := 0.1
		if slow[i] {
			l = 0.5
		}
		fmt.Fprintf(&b, "%d.0,%v,10,%v,10\n", from+300*i, l, l)
	}
	return b.String()
}

func TestPetShopCase(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "graph.csv"), ",site,back\nsite,0,1\nback,0,0\n")
	write(t, filepath.Join(dir, "normal.csv.gz"), petshopFile(50, start+1e6, nil))
	write(t, filepath.Join(dir, "now.csv.gz"), petshopFile(6, start, map[int]bool{2: true, 3: true}))
	c := Case{ID: "p", Graph: "graph.csv", NormalFile: "normal.csv.gz", AbnormalFile: "now.csv.gz", InjectTS: start + 500,
		AbnormalWindow: [2]float64{start, start + 1200}, Candidates: []string{"site", "back"}}
	c.Target = &struct {
		Node   string `json:"node"`
		Metric string `json:"metric"`
		Agg    string `json:"agg"`
	}{"site", "latency", "Average"}
	s, err := Load(dir, c)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Steps) != 5 { // the sixth row lies past the window
		t.Errorf("%d steps, want 5", len(s.Steps))
	}
	if len(s.Edges) != 1 || s.Edges[0].Caller != "site" || s.Edges[0].Callee != "back" {
		t.Errorf("edges %+v", s.Edges)
	}
	for _, w := range s.Workloads {
		for _, sr := range w.Series {
			if sr.Name == rca.SeriesLatency && len(sr.Points) != 55 {
				t.Errorf("%s has %d samples, want 55", w.Name, len(sr.Points))
			}
		}
	}
}

func TestFilesOutsideTheFolderAreRefused(t *testing.T) {
	dir, c := nezhaFolder(t)
	c.TraceFiles.Normal = []string{"../secret.csv"}
	if _, err := Load(dir, c); err == nil {
		t.Error("read a file outside the folder")
	}
}

func TestMissingFilesLeaveAPartialSnapshot(t *testing.T) {
	dir, c := nezhaFolder(t)
	c.LogFiles.Abnormal = append(c.LogFiles.Abnormal, "day/log/gone.csv.gz")
	s, err := Load(dir, c)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Missing) != 1 || s.Missing[0] != "logs" {
		t.Errorf("missing %v, want logs", s.Missing)
	}
}

func TestEdgeNamesWithUnderscores(t *testing.T) {
	known := []string{"a_b", "c"}
	for column, want := range map[string][2]string{"a_b_c": {"a_b", "c"}, "c_a_b": {"c", "a_b"}, "x_y": {"x", "y"}} {
		if caller, callee, ok := edgeOf(column, known); !ok || caller != want[0] || callee != want[1] {
			t.Errorf("%s: %s, %s", column, caller, callee)
		}
	}
}

func TestBlindReadingDropsTheTruth(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "cases.json"), `{"cases":[{"id":"a","truth":{"service":"s"}}]}`)
	blind, err := ReadCases(dir, "cases.json", false)
	if err != nil || blind[0].Truth != nil {
		t.Errorf("%+v, %v", blind, err)
	}
	if _, err := ReadCases(dir, "cases_blind.json", false); !errors.Is(err, ErrNoData) {
		t.Errorf("error %v, want ErrNoData", err)
	}
}

func FuzzRows(f *testing.F) {
	f.Add([]byte("a,b\n1,2\n\"x,3\n4\n"))
	f.Fuzz(func(_ *testing.T, b []byte) {
		_ = parseRows(bytes.NewReader(b), func(row []string) error {
			_, _ = columns(row, "a")
			return nil
		})
	})
}

func FuzzMessage(f *testing.F) {
	f.Add(`{"log":"{\"message\":\"TraceID: a SpanID: b x\",\"severity\":\"info\"}"}`)
	f.Add("TraceID: ")
	f.Fuzz(func(_ *testing.T, line string) {
		_, _ = message(line)
		_, _ = rowTime(line)
		_ = traceID(line)
	})
}

func FuzzPetShop(f *testing.F) {
	f.Add([]byte(petshopFile(3, start, nil)))
	f.Add([]byte("a\nb\nc\n1\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		file := filepath.Join(t.TempDir(), "m.csv")
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
		d := &petshopData{}
		if d.read(file) == nil {
			for _, row := range d.values {
				if len(row) != len(d.columns) {
					t.Error("a row of another length")
				}
			}
		}
	})
}

func FuzzTraces(f *testing.F) {
	f.Add([]byte("TraceID,SpanID,ParentID,PodName,OperationName,StartTimeUnixNano,EndTimeUnixNano,Duration\na,b,root,p-x-y,op,1,2,3\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		file := filepath.Join(t.TempDir(), "t.csv")
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
		now := time.Unix(start, 0)
		builder := rca.NewBuilder(rca.NewLayout(now.Add(-time.Hour), now, now.Add(time.Minute), nil), rca.BuilderOptions{})
		_ = readTraces(file, builder)
		if err := builder.Snapshot().Validate(); err != nil {
			t.Error(err)
		}
	})
}
