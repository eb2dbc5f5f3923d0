package creation

import (
	"testing"

	"github.com/kubebot/kubebot/internal/diagnosis/diagnosistest"
)

func TestDetector(t *testing.T) { diagnosistest.Check(t, Detector) }
