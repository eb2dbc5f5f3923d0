package dataset

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/kubebot/kubebot/internal/rca"
)

// petshopPeriod is the length of a PetShop sample. CloudWatch stamps a sample with its start; the engine wants its end.
const petshopPeriod = 300 * time.Second

type petshopColumn struct {
	node, metric string
	factor       float64
}

var petshopMetrics = map[[2]string]petshopColumn{
	{"latency", "Average"}:      {metric: "workload.latency", factor: 1},
	{"latency", "p50"}:          {metric: "workload.latency.p50", factor: 1},
	{"latency", "p90"}:          {metric: "workload.latency.p90", factor: 1},
	{"latency", "p99"}:          {metric: "workload.latency.p99", factor: 1},
	{"availability", "Average"}: {metric: "workload.availability", factor: 0.01},
	{"requests", "Sum"}:         {metric: "workload.requests", factor: 1},
}

// petshop makes the snapshot of a PetShop case from its two metric files and its graph.
func petshop(folder string, c Case) (*rca.Snapshot, error) {
	normal := c.NormalFile
	if normal == "" {
		normal = c.Surrogate
	}
	base, err := readPetShop(folder, normal)
	if err != nil {
		return nil, err
	}
	now, err := readPetShop(folder, c.AbnormalFile)
	if err != nil {
		return nil, err
	}
	if c.quietRow > 0 {
		base, now, c = cutQuiet(base, c)
	}
	b := rca.NewBuilder(petshopLayout(c, base, now), rca.BuilderOptions{})
	b.SetCandidates(c.Candidates)
	for _, s := range c.Candidates {
		b.AddWorkload(s)
	}
	if c.Target != nil {
		b.SetTarget(rca.Target{Workload: c.Target.Node, Signal: c.Target.Metric})
	}
	base.feed(b, math.Inf(1))
	now.feed(b, c.AbnormalWindow[1])
	if err := readFile(folder, c.Graph, func(f string) error { return readGraph(f, b) }); err != nil {
		return nil, err
	}
	return b.Snapshot(), nil
}

// cutQuiet takes five rows out of the fault-free recording; the alarm falls before the third, as in an incident.
func cutQuiet(d *petshopData, c Case) (base, now *petshopData, _ Case) {
	i := min(c.quietRow, max(0, len(d.times)-5))
	j := min(i+5, len(d.times))
	base = &petshopData{columns: d.columns, times: slices.Concat(d.times[:i], d.times[j:]), values: slices.Concat(d.values[:i], d.values[j:])}
	now = &petshopData{columns: d.columns, times: d.times[i:j], values: d.values[i:j]}
	c.AbnormalWindow = [2]float64{now.times[0], now.times[j-i-1]}
	c.InjectTS = now.times[min(2, j-i-1)] - 100
	return base, now, c
}

// petshopLayout has the fault-free recording as baseline and one step per sample of the incident.
func petshopLayout(c Case, base, now *petshopData) rca.Layout {
	l := rca.Layout{Alarm: unix(c.InjectTS)}
	if n := len(base.times); n > 0 {
		// samples of the incident itself belong to the steps, which come first
		l.Baseline = []rca.Window{{Start: unix(base.times[0]).UnixNano(), End: unix(base.times[n-1]).Add(2 * petshopPeriod).UnixNano()}}
	}
	for _, t := range now.times {
		if t > c.AbnormalWindow[1] {
			break
		}
		start := unix(t).Add(time.Second)
		l.Steps = append(l.Steps, rca.Window{Start: start.UnixNano(), End: start.Add(petshopPeriod).UnixNano()})
	}
	return l
}

// petshopData is a metric file: the times of its rows (start of the period, Unix seconds) and the values by column.
type petshopData struct {
	columns []petshopColumn
	times   []float64
	values  [][]float64
}

func readPetShop(folder, name string) (*petshopData, error) {
	d := &petshopData{}
	err := readFile(folder, name, func(f string) error { return d.read(f) })
	if err == nil && len(d.times) == 0 {
		err = fmt.Errorf("read %s: no rows", name)
	}
	return d, err
}

func (d *petshopData) read(file string) error {
	var head [][]string
	return eachRow(file, func(row []string) error {
		if len(head) < 3 {
			cp := make([]string, len(row))
			for i := range row {
				cp[i] = strings.Clone(row[i])
			}
			if head = append(head, cp); len(head) == 3 {
				return d.header(head)
			}
			return nil
		}
		t, err := strconv.ParseFloat(row[0], 64)
		if err != nil { // the row that names the index
			return nil
		}
		d.times = append(d.times, t)
		vals := make([]float64, len(d.columns))
		for i := range vals {
			vals[i] = math.NaN()
			if v, err := strconv.ParseFloat(row[i+1], 64); err == nil {
				vals[i] = v * d.columns[i].factor
			}
		}
		d.values = append(d.values, vals)
		return nil
	})
}

func (d *petshopData) header(head [][]string) error {
	if len(head[0]) < 2 || len(head[1]) != len(head[0]) || len(head[2]) != len(head[0]) {
		return errors.New("headers of unequal length")
	}
	for i := 1; i < len(head[0]); i++ {
		c := petshopMetrics[[2]string{head[1][i], head[2][i]}]
		c.node = head[0][i]
		d.columns = append(d.columns, c)
	}
	return nil
}

// feed gives the rows up to the last usable time to the builder.
func (d *petshopData) feed(b *rca.Builder, last float64) {
	for i, c := range d.columns {
		if c.metric == "" {
			continue
		}
		md := pmetric.NewMetrics()
		rm := md.ResourceMetrics().AppendEmpty()
		rm.Resource().Attributes().PutStr("service.name", c.node)
		m := rm.ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
		m.SetName(c.metric)
		points := m.SetEmptyGauge().DataPoints()
		for j, t := range d.times {
			if t > last || math.IsNaN(d.values[j][i]) {
				continue
			}
			addPoint(points, unix(t).Add(petshopPeriod), strconv.FormatFloat(d.values[j][i], 'g', -1, 64), 1)
		}
		b.AddMetrics(md)
	}
}

// readGraph reads the caller (row) to callee (column) adjacency matrix.
func readGraph(file string, b *rca.Builder) error {
	var header []string
	return eachRow(file, func(row []string) error {
		if header == nil {
			for _, h := range row {
				header = append(header, strings.Clone(h))
			}
			return nil
		}
		for i := 1; i < len(row); i++ {
			if v, err := strconv.ParseFloat(row[i], 64); err == nil && v != 0 {
				b.AddEdge(strings.Clone(row[0]), header[i])
			}
		}
		return nil
	})
}

// Load makes the snapshot of a case.
func Load(folder string, c Case) (*rca.Snapshot, error) {
	load := nezha
	if c.IsPetShop() {
		load = petshop
	}
	s, err := load(folder, c)
	if err != nil {
		return nil, fmt.Errorf("load case %s: %w", c.ID, err)
	}
	return s, nil
}
