package rca

import (
	"errors"
	"math"
)

// histogramScale is the scale of the OpenTelemetry exponential histogram: 2^scale buckets per power of two, so that the
// relative error of a quantile is at most (2^(1/8)-1)/2, about 4.5 %.
const histogramScale = 3

const (
	histogramSub    = 1 << histogramScale
	histogramMinIdx = -30 * histogramSub // about 1 ns in seconds
	histogramMaxIdx = 17 * histogramSub  // about 36 h in seconds
)

// Histogram is a mergeable sketch of non-negative values with exponential buckets. The zero value is empty.
type Histogram struct {
	// Offset is the bucket index of Counts[0]; bucket i holds values in [2^(i/8), 2^((i+1)/8)), linear inside a
	// power of two.
	Offset int      `json:"offset,omitempty"`
	Counts []uint32 `json:"counts,omitempty"`
	// N counts all values, Sum adds them up.
	N   uint64  `json:"n,omitempty"`
	Sum float64 `json:"sum,omitempty"`
}

// IsZero says that nothing was added; encoding/json leaves such histograms out.
func (h Histogram) IsZero() bool { return h.N == 0 }

// bucketOf gives the bucket of v from the bits of the float: exponent, then the first bits of the mantissa.
func bucketOf(v float64) int {
	b := math.Float64bits(v)
	i := (int(b>>52)-1023)*histogramSub + int(b>>(52-histogramScale))&(histogramSub-1)
	return min(max(i, histogramMinIdx), histogramMaxIdx)
}

// valueOf gives the middle of a bucket.
func valueOf(i int) float64 {
	e, m := i>>histogramScale, i&(histogramSub-1)
	return math.Ldexp(1+(float64(m)+0.5)/histogramSub, e)
}

// Add records v; negative values and NaN count as zero.
func (h *Histogram) Add(v float64) {
	if !(v > 0) {
		v = 0
	}
	i := bucketOf(v)
	switch {
	case len(h.Counts) == 0:
		h.Offset, h.Counts = i, make([]uint32, 1, 8)
	case i < h.Offset:
		grown := make([]uint32, len(h.Counts)+h.Offset-i, 2*(len(h.Counts)+h.Offset-i))
		copy(grown[h.Offset-i:], h.Counts)
		h.Offset, h.Counts = i, grown
	}
	for i >= h.Offset+len(h.Counts) {
		h.Counts = append(h.Counts, 0)
	}
	h.Counts[i-h.Offset]++
	h.N++
	h.Sum += v
}

// Merge adds what o holds.
func (h *Histogram) Merge(o Histogram) {
	if o.N == 0 {
		return
	}
	lo, hi := o.Offset, o.Offset+len(o.Counts)
	if len(h.Counts) > 0 {
		lo, hi = min(lo, h.Offset), max(hi, h.Offset+len(h.Counts))
	}
	if len(h.Counts) == 0 || lo < h.Offset || hi > h.Offset+len(h.Counts) {
		grown := make([]uint32, hi-lo)
		if len(h.Counts) > 0 {
			copy(grown[h.Offset-lo:], h.Counts)
		}
		h.Offset, h.Counts = lo, grown
	}
	for i, c := range o.Counts {
		h.Counts[o.Offset-h.Offset+i] += c
	}
	h.N += o.N
	h.Sum += o.Sum
}

// Quantile gives the value below which the share q of the values lies, or NaN when empty.
func (h Histogram) Quantile(q float64) float64 {
	if h.N == 0 {
		return math.NaN()
	}
	want := q * float64(h.N)
	var seen float64
	for i, c := range h.Counts {
		seen += float64(c)
		if c > 0 && seen >= want {
			return valueOf(h.Offset + i)
		}
	}
	return valueOf(h.Offset + len(h.Counts) - 1)
}

// Mean gives the arithmetic mean, or NaN when empty.
func (h Histogram) Mean() float64 {
	if h.N == 0 {
		return math.NaN()
	}
	return h.Sum / float64(h.N)
}

// ShareAbove gives the share of values above v, interpolated inside the bucket, or 0 when empty.
func (h Histogram) ShareAbove(v float64) float64 {
	if h.N == 0 {
		return 0
	}
	if !(v > 0) {
		return 1
	}
	b := bucketOf(v)
	var above uint64
	for i, c := range h.Counts {
		if h.Offset+i > b {
			above += uint64(c)
		}
	}
	return float64(above) / float64(h.N)
}

func (h Histogram) validate() error {
	if len(h.Counts) > histogramMaxIdx-histogramMinIdx+1 || len(h.Counts) > 0 &&
		(h.Offset < histogramMinIdx || h.Offset+len(h.Counts) > histogramMaxIdx+1) {
		return errors.New("histogram out of range")
	}
	var n uint64
	for _, c := range h.Counts {
		n += uint64(c)
	}
	if n != h.N || math.IsNaN(h.Sum) || math.IsInf(h.Sum, 0) {
		return errors.New("histogram counts do not add up")
	}
	return nil
}
