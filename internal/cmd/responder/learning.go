package responder

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/decide"
	"github.com/kubebot/kubebot/internal/learn/keeper"
	"github.com/kubebot/kubebot/internal/learn/store"
	"github.com/kubebot/kubebot/internal/naming"
	"github.com/kubebot/kubebot/internal/pipeline/config"
)

// newKeeper returns what keeps what people taught; nil where that is switched off.
func (p *process) newKeeper(direct client.Client) *keeper.Keeper {
	if p.config.Learning == v1alpha1.SwitchDisabled {
		return nil
	}
	reference := owner(p.config)
	return &keeper.Keeper{
		Store:  store.Store{Client: direct, Namespace: p.config.Namespace, KubeBot: p.config.KubeBot, Owner: &reference},
		Holder: p.lease, Log: p.Log.WithName("learning"),
		Incidents: func() []*v1alpha1.Incident { return p.pipeline.Index().All() },
		Now:       time.Now,
	}
}

// learned is what decisions ask.
func (p *process) learned() func() decide.Learned {
	if p.keeper == nil {
		return nil
	}
	return p.keeper.Learned
}

// learningProblems are told in the report.
func (p *process) learningProblems() []string {
	if p.keeper == nil || p.keeper.Problem() == "" {
		return nil
	}
	return []string{p.keeper.Problem()}
}

// owner refers to the KubeBot, so that what the responder makes goes with it.
func owner(c config.Config) metav1.OwnerReference {
	return naming.Owner(c.KubeBot, c.UID)
}

var _ store.Holder = (*lease)(nil)
