package archive

import (
	"testing"

	"github.com/kubebot/kubebot/internal/component/otelcol/otelcoltest"
	"github.com/kubebot/kubebot/internal/testutil/golden"
)

func TestBuildMatchesGoldenFiles(t *testing.T) {
	golden.Components(t, Component{})
}

func TestTheCollectorAcceptsTheConfigurationOfEveryCase(t *testing.T) {
	otelcoltest.Accepted(t, Component{}, "../otelcol/contrib.txt")
}
