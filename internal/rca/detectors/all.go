// Package detectors lists every detector.
package detectors

import (
	"github.com/kubebot/kubebot/internal/rca"
	"github.com/kubebot/kubebot/internal/rca/detector/change"
	"github.com/kubebot/kubebot/internal/rca/detector/cpu"
	"github.com/kubebot/kubebot/internal/rca/detector/disk"
	"github.com/kubebot/kubebot/internal/rca/detector/event"
	"github.com/kubebot/kubebot/internal/rca/detector/flow"
	"github.com/kubebot/kubebot/internal/rca/detector/memory"
	"github.com/kubebot/kubebot/internal/rca/detector/network"
	"github.com/kubebot/kubebot/internal/rca/detector/selftime"
	"github.com/kubebot/kubebot/internal/rca/detector/signal"
)

// All lists every detector, one line each.
func All() []rca.Detector {
	return []rca.Detector{
		change.Detector(),
		cpu.Detector(),
		disk.Detector(),
		event.Detector(),
		flow.Detector(),
		memory.Detector(),
		network.Detector(),
		selftime.Detector(),
		signal.Detector(),
	}
}
