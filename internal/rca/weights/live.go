package weights

import (
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/kubebot/kubebot/internal/rca"
)

// maxDocumentBytes bounds one file of a folder.
const maxDocumentBytes = 1 << 20

// Live gives the engine with the weights that a folder holds now. A change of the files is taken over with the next
// question, without a restart. It is safe for concurrent use.
type Live struct {
	dir       string
	detectors []rca.Detector

	mu     sync.Mutex
	read   map[string]string
	chosen Choice
	engine *rca.Engine
}

// NewLive returns a Live of a folder; one that does not exist, or is empty, stands for the built-in weights.
func NewLive(dir string, detectors []rca.Detector) (*Live, error) {
	l := &Live{dir: dir, detectors: detectors}
	_, _, err := l.Engine()
	return l, err
}

// Engine returns the engine with the weights in use, and which those are.
func (l *Live) Engine() (*rca.Engine, Choice, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	documents, err := readFolder(l.dir)
	if err != nil && l.engine == nil {
		documents, err = map[string]string{}, nil
	}
	if err != nil || l.engine != nil && maps.Equal(documents, l.read) {
		return l.engine, l.chosen, nil // what can't be read just now is not what the weights are
	}
	chosen, err := Choose(documents, l.detectors)
	if err != nil {
		return nil, Choice{}, err
	}
	engine, err := rca.NewEngine(l.detectors, chosen.Model)
	if err != nil {
		return nil, Choice{}, fmt.Errorf("make the engine: %w", err)
	}
	l.read, l.chosen, l.engine = documents, chosen, engine
	return engine, chosen, nil
}

// readFolder reads the documents of a folder, by their names.
func readFolder(dir string) (map[string]string, error) {
	out := map[string]string{}
	for _, pattern := range []string{IndexKey, PinnedKey, "weights-*.json"} {
		files, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			return nil, fmt.Errorf("list weights: %w", err)
		}
		for _, name := range files {
			f, err := os.Open(name)
			if err != nil {
				return nil, fmt.Errorf("read weights: %w", err)
			}
			var text strings.Builder
			_, err = io.Copy(&text, io.LimitReader(f, maxDocumentBytes))
			if closeErr := f.Close(); err == nil {
				err = closeErr
			}
			if err != nil {
				return nil, fmt.Errorf("read weights: %w", err)
			}
			out[filepath.Base(name)] = text.String()
		}
	}
	return out, nil
}
