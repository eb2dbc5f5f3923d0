package archive

import (
	"testing"

	"github.com/kubebot/kubebot/internal/testutil/golden"
	"github.com/kubebot/kubebot/internal/testutil/otelcoltest"
)

func TestBuildMatchesGoldenFiles(t *testing.T) {
	golden.Components(t, Component{})
}

func TestTheCollectorAcceptsTheConfigurationOfEveryCase(t *testing.T) {
	otelcoltest.Accepted(t, Component{}, "../otelcol/contrib.txt")
}
