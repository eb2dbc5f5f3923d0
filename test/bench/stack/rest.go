package main

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/kubebot/kubebot/test/stack"
)

// settle is how long the stack rests before writes are counted: what installing it caused has ended by then.
const settle = 60 * time.Second

// Rest is what is written to the API while nothing happens.
type Rest struct {
	Seconds  float64         `json:"seconds"`
	Accounts []AccountWrites `json:"accounts"`
}

// AccountWrites counts the requests of a service account that write. Every request counts, whether it changed something
// or was refused.
type AccountWrites struct {
	// Account is namespace/name.
	Account string `json:"account"`
	// Writes are requests other than for Leases, dry runs included.
	Writes int `json:"writes"`
	// DryRuns of them.
	DryRuns int `json:"dryRuns"`
	// Leases are writes of Leases, not in Writes.
	Leases int `json:"leases"`
	// What counts the Writes by verb and resource.
	What map[string]int `json:"what,omitempty"`
}

func (b *bench) measureRest(ctx context.Context) error {
	if err := sleep(ctx, min(settle, b.options.rest)); err != nil {
		return err
	}
	start := time.Now()
	if err := sleep(ctx, b.options.rest); err != nil {
		return err
	}
	end := time.Now()
	counts := restCounts{}
	err := b.Audit(start, func(e stack.AuditEvent) {
		if e.RequestReceivedTimestamp.Before(end) {
			counts.add(e)
		}
	})
	if err != nil {
		return err
	}
	for _, account := range []string{"kubebot-manager", "kubebot-responder"} {
		counts.of(stack.Namespace + "/" + account)
	}
	b.report.Rest = Rest{Seconds: round(end.Sub(start).Seconds()), Accounts: counts.list()}
	return nil
}

// restCounts holds the counts by account.
type restCounts map[string]*AccountWrites

func (c restCounts) of(account string) *AccountWrites {
	if c[account] == nil {
		c[account] = &AccountWrites{Account: account, What: map[string]int{}}
	}
	return c[account]
}

// add counts a request if it is a write of a service account.
func (c restCounts) add(e stack.AuditEvent) {
	namespace, name := e.ServiceAccount()
	if namespace == "" || !e.Write() || virtual(e) {
		return
	}
	a := c.of(namespace + "/" + name)
	if e.ObjectRef.Resource == "leases" {
		a.Leases++
		return
	}
	a.Writes++
	a.What[e.Verb+" "+e.Resource()]++
	if u, err := url.Parse(e.RequestURI); err == nil && u.Query().Has("dryRun") {
		a.DryRuns++
	}
}

// virtual tells whether a request is a question in the form of a create: nothing is stored.
func virtual(e stack.AuditEvent) bool {
	return strings.HasPrefix(e.ObjectRef.APIGroup, "authorization.k8s.io") || strings.HasPrefix(e.ObjectRef.APIGroup, "authentication.k8s.io")
}

// list returns the counts, those of KubeBot's namespace first.
func (c restCounts) list() []AccountWrites {
	list := make([]AccountWrites, 0, len(c))
	for _, a := range c {
		list = append(list, *a)
	}
	own := func(a AccountWrites) int {
		if strings.HasPrefix(a.Account, stack.Namespace+"/") {
			return 0
		}
		return 1
	}
	slices.SortFunc(list, func(a, b AccountWrites) int {
		return cmp.Or(cmp.Compare(own(a), own(b)), cmp.Compare(a.Account, b.Account))
	})
	return list
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return fmt.Errorf("wait %s: %w", d, ctx.Err())
	case <-time.After(d):
		return nil
	}
}
