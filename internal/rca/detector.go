package rca

// Detector turns a view into findings. It is a value; detectors hold no state.
type Detector struct {
	Name string
	Doc  string
	// Features names what the detector measures; every value lies in 0..1 and more of it speaks more for (or, where the
	// model says so, against) the cause.
	Features []Feature
	Detect   func(*View) []Finding
}

// Feature is one measurement.
type Feature struct {
	Name string
	Doc  string
	// Against says that the feature speaks against the cause; the model gives it a weight of at most 0.
	Against bool
}

// Finding is what a detector found about one workload.
type Finding struct {
	Workload string
	// Kind is the kind of cause that the finding speaks for; empty means that it speaks for the workload whatever the
	// kind.
	Kind Kind
	// Except lists the kinds that a finding without kind does not speak for.
	Except []Kind
	Values map[string]float64
	// Evidence is for people, most telling first.
	Evidence []Evidence
	// Region bounds the code at fault: the last log statement or span seen and the one that is missing or new.
	Region []string
}

// Evidence is one observation that a person can check.
type Evidence struct {
	Detector string  `json:"detector"`
	Text     string  `json:"text"`
	Before   float64 `json:"before"`
	Now      float64 `json:"now"`
	Unit     string  `json:"unit"`
}
