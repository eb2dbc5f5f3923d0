// Package weights holds the weights that the root-cause engine ships with. `make train` rewrites weights.json.
package weights

import (
	"bytes"
	_ "embed"
	"fmt"

	"github.com/kubebot/kubebot/internal/rca"
)

//go:embed weights.json
var file []byte

// Default gives the embedded model.
func Default() (*rca.Model, error) {
	m, err := rca.ReadModel(bytes.NewReader(file))
	if err != nil {
		return nil, fmt.Errorf("embedded weights: %w", err)
	}
	return m, nil
}
