package responder

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	toolscache "k8s.io/client-go/tools/cache"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/notify/secretfile"
	"github.com/kubebot/kubebot/internal/pipeline"
	"github.com/kubebot/kubebot/internal/teams"
)

// newTeams returns what keeps the routes of teams.
func (p *process) newTeams() *teams.Keeper {
	own := &stack{reader: p.direct, namespace: p.config.Namespace, now: time.Now, log: p.Log.WithName("teams")}
	return teams.New(teams.Options{
		Cache: p.cache, Client: p.direct, Target: p.pipeline, Writes: p.lease.Holds, PodName: p.PodName, Now: time.Now, Log: p.Log.WithName("teams"),
		Account: teams.Account{Namespace: p.config.Namespace, ServiceAccount: p.config.ServiceAccount, ClusterRole: p.config.TeamSecretRole},
		Make: func(r v1alpha1.Receiver, name string, find func(*v1alpha1.SecretKeyRef) secretfile.Ref) (pipeline.Receiver, error) {
			kind := typeOf(r)
			factory, ok := Sinks(Making{API: p.api, InStack: own.has, Secret: find})[kind]
			if !ok {
				return pipeline.Receiver{}, fmt.Errorf("this responder knows no such type: set one of %s", strings.Join(receiverTypes, ", "))
			}
			sink, err := factory(r, p.config.ClusterName)
			return pipeline.Receiver{Name: name, Type: kind, Sink: sink, OneByOne: oneByOne(kind), NoDigest: readByPrograms[kind]}, err
		},
	})
}

// watchTeams begins to watch AlertRoutes.
func (p *process) watchTeams(ctx context.Context) error {
	informer, err := p.cache.GetInformer(ctx, &v1alpha1.AlertRoute{})
	if err != nil {
		return fmt.Errorf("watch AlertRoutes: %w", err)
	}
	_, err = informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { p.teams.Changed() }, DeleteFunc: func(any) { p.teams.Changed() },
		UpdateFunc: func(before, after any) {
			a, okA := before.(*v1alpha1.AlertRoute)
			b, okB := after.(*v1alpha1.AlertRoute)
			if !okA || !okB || a.Generation != b.Generation {
				p.teams.Changed()
			}
		},
	})
	if err != nil {
		return fmt.Errorf("watch AlertRoutes: %w", err)
	}
	return nil
}

// syncTeams gives the pipeline the routes before it decides anything.
func (p *process) syncTeams(ctx context.Context) error {
	if err := p.teams.Sync(ctx); err != nil {
		return errors.Join(errors.New("the routes of teams were not read before the responder began"), err)
	}
	return nil
}
