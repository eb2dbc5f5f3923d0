// Package detectors lists every detector of Kubernetes' own troubles.
package detectors

import (
	"github.com/kubebot/kubebot/internal/diagnosis"
	"github.com/kubebot/kubebot/internal/diagnosis/admission"
	"github.com/kubebot/kubebot/internal/diagnosis/applog"
	"github.com/kubebot/kubebot/internal/diagnosis/autoscaler"
	"github.com/kubebot/kubebot/internal/diagnosis/certificate"
	"github.com/kubebot/kubebot/internal/diagnosis/change"
	"github.com/kubebot/kubebot/internal/diagnosis/claim"
	"github.com/kubebot/kubebot/internal/diagnosis/crash"
	"github.com/kubebot/kubebot/internal/diagnosis/creation"
	"github.com/kubebot/kubebot/internal/diagnosis/cronjob"
	"github.com/kubebot/kubebot/internal/diagnosis/dependency"
	"github.com/kubebot/kubebot/internal/diagnosis/disruption"
	"github.com/kubebot/kubebot/internal/diagnosis/dns"
	"github.com/kubebot/kubebot/internal/diagnosis/forbidden"
	"github.com/kubebot/kubebot/internal/diagnosis/gateway"
	"github.com/kubebot/kubebot/internal/diagnosis/image"
	"github.com/kubebot/kubebot/internal/diagnosis/ingress"
	"github.com/kubebot/kubebot/internal/diagnosis/initcontainer"
	"github.com/kubebot/kubebot/internal/diagnosis/job"
	"github.com/kubebot/kubebot/internal/diagnosis/missingref"
	"github.com/kubebot/kubebot/internal/diagnosis/mount"
	"github.com/kubebot/kubebot/internal/diagnosis/networkpolicy"
	"github.com/kubebot/kubebot/internal/diagnosis/node"
	"github.com/kubebot/kubebot/internal/diagnosis/notstarted"
	"github.com/kubebot/kubebot/internal/diagnosis/oom"
	"github.com/kubebot/kubebot/internal/diagnosis/podsecurity"
	"github.com/kubebot/kubebot/internal/diagnosis/probe"
	"github.com/kubebot/kubebot/internal/diagnosis/quota"
	"github.com/kubebot/kubebot/internal/diagnosis/rollout"
	"github.com/kubebot/kubebot/internal/diagnosis/service"
	"github.com/kubebot/kubebot/internal/diagnosis/unschedulable"
)

// All returns every detector.
func All() []diagnosis.Detector {
	return []diagnosis.Detector{
		admission.Detector,
		applog.Detector,
		autoscaler.Detector,
		certificate.Detector,
		change.Detector,
		claim.Detector,
		crash.Detector,
		creation.Detector,
		cronjob.Detector,
		dependency.Detector,
		disruption.Detector,
		dns.Detector,
		forbidden.Detector,
		gateway.Detector,
		image.Detector,
		ingress.Detector,
		initcontainer.Detector,
		job.Detector,
		missingref.Detector,
		mount.Detector,
		networkpolicy.Detector,
		node.Detector,
		notstarted.Detector,
		oom.Detector,
		podsecurity.Detector,
		probe.Detector,
		quota.Detector,
		rollout.Detector,
		service.Detector,
		unschedulable.Detector,
	}
}
