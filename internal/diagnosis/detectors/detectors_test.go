package detectors

import (
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"k8s.io/client-go/applyconfigurations"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/kubebot/kubebot/internal/diagnosis"
	"github.com/kubebot/kubebot/internal/diagnosis/diagnosistest"
	"github.com/kubebot/kubebot/internal/diagnosis/fixcheck"
	"github.com/kubebot/kubebot/internal/rca"
)

func TestHealthyWorkloadHasNoFinding(t *testing.T) {
	for _, f := range diagnosis.Run(diagnosistest.Healthy(t), All()) {
		t.Errorf("%s found: %s", f.Detector, f.Sentence)
	}
}

// A workload that does what it is meant to do has no trouble, also while it does it.
func TestWorkloadsThatDoWellHaveNoFinding(t *testing.T) {
	files, err := filepath.Glob("testdata/well/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d cases: %v", len(files), err)
	}
	for _, file := range files {
		for _, f := range diagnosis.Run(diagnosistest.Load(t, file), All()) {
			t.Errorf("%s: %s found: %s", file, f.Detector, f.Sentence)
		}
	}
}

// A case of a detector has one cause: that detector must be first when all run, so a root comes before its symptoms.
func TestRootComesBeforeItsSymptoms(t *testing.T) {
	files, err := filepath.Glob("../*/testdata/*.yaml")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d cases: %v", len(files), err)
	}
	for _, file := range files {
		detector := filepath.Base(filepath.Dir(filepath.Dir(file)))
		alone := find(detector).Detect(diagnosistest.Load(t, file))
		if len(alone) == 0 || !slices.ContainsFunc(alone, func(f diagnosis.Finding) bool { return !f.Symptom && f.Score >= diagnosis.ScoreLikely }) {
			continue // the case says that the detector finds nothing, or a symptom
		}
		all := diagnosis.Run(diagnosistest.Load(t, file), All())
		if all[0].Detector != detector {
			t.Errorf("%s: first is %s: %s", file, all[0].Detector, all[0].Sentence)
		}
	}
}

func find(name string) diagnosis.Detector {
	all := All()
	return all[slices.IndexFunc(all, func(d diagnosis.Detector) bool { return d.Name == name })]
}

func TestSameFactsGiveTheSameFindings(t *testing.T) {
	files, err := filepath.Glob("../*/testdata/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		want := diagnosis.Run(diagnosistest.Load(t, file), All())
		for range 5 {
			if got := diagnosis.Run(diagnosistest.Load(t, file), All()); !reflect.DeepEqual(got, want) {
				t.Fatalf("%s: findings differ between runs", file)
			}
		}
	}
}

// Findings have to be complete: a person reads them without the detector's code at hand.
func TestFindingsAreComplete(t *testing.T) {
	files, err := filepath.Glob("../*/testdata/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]bool{}
	for _, k := range rca.Kinds() {
		kinds[string(k)] = true
	}
	for _, file := range files {
		for _, f := range diagnosis.Run(diagnosistest.Load(t, file), All()) {
			if !kinds[string(f.Kind)] || f.Object.Kind == "" || f.Object.Name == "" || f.Sentence == "" || f.Fix.Explanation == "" || f.Score <= 0 || f.Score > 1 {
				t.Errorf("%s: %s: incomplete: %+v", file, f.Detector, f)
			}
			if strings.HasSuffix(f.Sentence, ".") || strings.Contains(f.Sentence, "\n") {
				t.Errorf("%s: %s: not one plain sentence: %q", file, f.Detector, f.Sentence)
			}
			for _, c := range f.Fix.Commands {
				if !strings.Contains(c, "kubectl ") {
					t.Errorf("%s: %s: no kubectl command: %q", file, f.Detector, c)
				}
			}
		}
	}
}

// A patch that is told must do on the object that it is told for.
func TestPatchesFitTheirObjects(t *testing.T) {
	files, err := filepath.Glob("../*/testdata/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	types, checked := applyconfigurations.NewTypeConverter(scheme.Scheme), 0
	for _, file := range files {
		facts := diagnosistest.Load(t, file)
		for _, f := range diagnosis.Run(facts, All()) {
			for _, p := range f.Fix.Patches {
				if !slices.Contains(f.Fix.Commands, p.Command()) {
					t.Errorf("%s: %s: the patch is not among the commands: %s", file, f.Detector, p.Command())
				}
				live := facts.Live(p.Object)
				if live == nil {
					continue // it is known from an event alone
				}
				if err := fixcheck.Fits(live, p, types); err != nil {
					t.Errorf("%s: %s: %s: %v", file, f.Detector, p.Command(), err)
				}
				checked++
			}
		}
	}
	if checked < 20 {
		t.Errorf("%d patches were checked only", checked)
	}
}

func TestNamesAreUniqueAndDocumented(t *testing.T) {
	seen := map[string]bool{}
	for _, d := range All() {
		if seen[d.Name] || d.Name == "" || d.Doc == "" || d.Detect == nil {
			t.Errorf("detector %q is registered twice or incomplete", d.Name)
		}
		seen[d.Name] = true
	}
}
