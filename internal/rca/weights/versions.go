package weights

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/kubebot/kubebot/internal/rca"
)

// BuiltIn names the weights that come with the program.
const BuiltIn = "BuiltIn"

// Keys of the documents that hold versions of the weights, such as the files of a folder: the index, which version a
// person asks for (empty for the one adopted last), and one document per version (Key).
const (
	IndexKey  = "index.json"
	PinnedKey = "pinned"
)

// MaxVersions is how many versions are kept.
const MaxVersions = 8

// maxIndexBytes bounds the index that is read.
const maxIndexBytes = 512 << 10

// Key of the document of a version.
func Key(version int) string { return "weights-" + strconv.Itoa(version) + ".json" }

// Index lists the versions of the weights.
type Index struct {
	// Versions that were adopted, the latest first.
	Versions []Version `json:"versions,omitempty"`
	// Last is the last refit, nil for none.
	Last *Refit `json:"last,omitempty"`
}

// Version is one version of the weights.
type Version struct {
	Number int `json:"number"`
	Refit
	// Seen names the incidents that it was fitted to.
	Seen []string `json:"seen,omitempty"`
}

// Refit is how a refit of the weights went.
type Refit struct {
	At time.Time `json:"at"`
	// Judged counts the incidents whose cause people judged, Usable those of them whose telemetry is known, HeldBack those
	// that neither the weights in use nor the new ones that judged them had seen.
	Judged   int `json:"judged"`
	Usable   int `json:"usable"`
	HeldBack int `json:"heldBack"`
	// Before and After are the shares of those whose first cause is right, by the weights in use and by the new ones.
	Before  float64 `json:"before"`
	After   float64 `json:"after"`
	Adopted bool    `json:"adopted"`
	// Reason says why they were adopted, or were not.
	Reason string `json:"reason"`
}

// ParseIndex reads an index; an empty text is one without versions.
func ParseIndex(text string) (Index, error) {
	var x Index
	if text == "" {
		return x, nil
	}
	if len(text) > maxIndexBytes {
		return x, fmt.Errorf("read the index of weights: more than %d bytes", maxIndexBytes)
	}
	if err := json.Unmarshal([]byte(text), &x); err != nil {
		return Index{}, fmt.Errorf("read the index of weights: %w", err)
	}
	return x, nil
}

// Choice is which weights are in use.
type Choice struct {
	// Name is BuiltIn or the number of a version.
	Name  string
	Model *rca.Model
	// Problem says in a sentence why they are not those that were asked for, empty if they are.
	Problem string
}

// Choose returns the weights in use: those that are asked for, else those adopted last, else the built-in ones. What can't
// be read, or measures what no detector of this program does, is not used, and the built-in ones are.
func Choose(documents map[string]string, detectors []rca.Detector) (Choice, error) {
	own, err := Default()
	if err != nil {
		return Choice{}, err
	}
	builtIn := Choice{Name: BuiltIn, Model: own}
	wanted := strings.TrimSpace(documents[PinnedKey])
	if wanted == BuiltIn {
		return builtIn, nil
	}
	index, err := ParseIndex(documents[IndexKey])
	if err != nil {
		builtIn.Problem = "The list of the versions of the weights can't be read"
		return builtIn, nil
	}
	for _, v := range index.Versions {
		if wanted != "" && wanted != strconv.Itoa(v.Number) {
			continue
		}
		m, err := rca.ReadModel(strings.NewReader(documents[Key(v.Number)]))
		if err == nil {
			_, err = rca.NewEngine(detectors, m)
		}
		if err != nil {
			builtIn.Problem = fmt.Sprintf("Version %d of the weights does not fit this version of KubeBot", v.Number)
			return builtIn, nil
		}
		return Choice{Name: strconv.Itoa(v.Number), Model: m}, nil
	}
	if wanted != "" {
		builtIn.Problem = fmt.Sprintf("Version %s of the weights is not kept", wanted)
	}
	return builtIn, nil
}
