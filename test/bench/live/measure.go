package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/test/stack"
)

// settle is how long is waited after the explanation for what else comes of one fault: a second incident, a better cause.
const settle = 50 * time.Second

// play injects a fault, measures what KubeBot makes of it, and mends it.
func (b *bench) play(ctx context.Context, f fault) Measured {
	m := Measured{Fault: f.name, Services: f.services, Node: f.node, Kinds: f.kinds}
	if err := b.SlackForget(ctx); err != nil { // what an earlier fault left is not to be taken for this one's
		m.Error = err.Error()
		return m
	}
	began := time.Now()
	if err := f.inject(ctx, b); err != nil {
		m.Error = "inject: " + err.Error()
	} else if err := b.watch(ctx, f, began, &m); err != nil {
		m.Error = err.Error()
	}
	if err := b.saveAll(ctx, f, began); err != nil {
		m.Error = strings.TrimSpace(m.Error + " save: " + err.Error())
	}
	if err := f.mend(context.WithoutCancel(ctx), b); err != nil {
		m.Error = strings.TrimSpace(m.Error + " mend: " + err.Error())
	}
	if err := b.calmDown(ctx, f, began); err != nil {
		m.Error = strings.TrimSpace(m.Error + " " + err.Error())
	}
	return m
}

// watch follows Incidents and messages until the cause is told, or the time is up.
func (b *bench) watch(ctx context.Context, f fault, began time.Time, m *Measured) error {
	ctx, cancel := context.WithTimeout(ctx, b.limit)
	defer cancel()
	var explained time.Time
	for ctx.Err() == nil && (explained.IsZero() || time.Since(explained) < settle) {
		if incidents, err := b.of(ctx, f, began); err == nil {
			m.see(incidents, f, began, time.Since(began))
		}
		if messages, err := b.SlackMessages(ctx); err == nil {
			m.hear(messages, time.Since(began))
		}
		if explained.IsZero() && (m.SecondsToExplained > 0 || m.SecondsToCause > 0 && m.Notified == 0) {
			explained = time.Now()
		}
		sleep(ctx, time.Second)
	}
	return nil
}

// saveAll writes what the Incidents of a fault say, what kubebot why answers about them while the fault lasts, and its
// snapshots, into the folder of -save.
func (b *bench) saveAll(ctx context.Context, f fault, began time.Time) error {
	if b.save == "" {
		return nil
	}
	if err := os.MkdirAll(b.save, 0o755); err != nil {
		return err
	}
	incidents, err := b.of(ctx, f, began)
	if err != nil {
		return err
	}
	for _, inc := range incidents {
		path := filepath.Join(b.save, strings.ReplaceAll(f.name, " ", "-")+"."+inc.Name)
		text, err := b.Kubectl(ctx, "-n", inc.Namespace, "get", "incident", inc.Name, "-o", "yaml")
		if err != nil {
			return err
		}
		why := exec.CommandContext(ctx, filepath.Join(b.Root, "bin", "kubebot"), "why", "incident/"+inc.Name, "-n", inc.Namespace,
			"--kubeconfig", b.Kubeconfig, "--all", "--timeout", "30s", "--save", path+".json")
		answer, _ := why.CombinedOutput() // a failure to answer is worth keeping too
		if err := errors.Join(os.WriteFile(path+".yaml", []byte(text), 0o644), os.WriteFile(path+".txt", answer, 0o644)); err != nil {
			return err
		}
	}
	return nil
}

// of lists the Incidents that were opened since a fault began, and those that tell of it besides what they told before.
func (b *bench) of(ctx context.Context, f fault, began time.Time) ([]v1alpha1.Incident, error) {
	return b.list(ctx, func(inc *v1alpha1.Incident) bool {
		return opened(inc, began) || len(f.alerts) > 0 && f.tells(inc, began)
	})
}

// since lists the Incidents that were opened since a time, the oldest first.
func (b *bench) since(ctx context.Context, began time.Time) ([]v1alpha1.Incident, error) {
	return b.list(ctx, func(inc *v1alpha1.Incident) bool { return opened(inc, began) })
}

func opened(inc *v1alpha1.Incident, since time.Time) bool {
	return !inc.CreationTimestamp.Time.Before(since.Truncate(time.Second))
}

func (b *bench) list(ctx context.Context, wanted func(*v1alpha1.Incident) bool) ([]v1alpha1.Incident, error) {
	all, err := b.Incidents(ctx)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(inc v1alpha1.Incident) bool { return !wanted(&inc) })
	slices.SortStableFunc(all, func(x, y v1alpha1.Incident) int {
		return x.CreationTimestamp.Compare(y.CreationTimestamp.Time)
	})
	return all, nil
}

// see takes what the Incidents say at a time after the injection.
func (m *Measured) see(incidents []v1alpha1.Incident, f fault, began time.Time, after time.Duration) {
	telling := slices.DeleteFunc(slices.Clone(incidents), func(inc v1alpha1.Incident) bool { return !f.tells(&inc, began) })
	if len(telling) == 0 {
		return
	}
	if !m.Detected {
		m.Detected, m.SecondsToIncident = true, round(after)
	}
	m.Incidents, m.Duplicates, m.Notified, m.Titles = 0, 0, 0, nil
	for _, inc := range incidents {
		m.Titles = append(m.Titles, inc.Status.Title)
		if inc.Status.DuplicateOf == "" {
			m.Incidents++
		} else {
			m.Duplicates++
		}
		if told(&inc) {
			m.Notified++
		}
	}
	first := telling[0]
	for _, inc := range telling { // the first that people are told of counts
		if d := inc.Status.Decision; d != nil && d.Verdict == v1alpha1.VerdictNotify {
			first = inc
			break
		}
	}
	if !analysed(&first, f) {
		return
	}
	if a := first.Status.Analysis; a != nil {
		m.Analysis, m.Message = string(a.State), a.Message
		if m.SecondsToCause == 0 && a.State == v1alpha1.AnalysisCauseFound {
			m.SecondsToCause = round(after)
		}
	}
	if len(first.Status.Causes) > 0 {
		m.Causes = nil
		for _, c := range first.Status.Causes {
			m.Causes = append(m.Causes, fmt.Sprintf("%d %% %s of %s: %s", c.ScorePercent, c.Kind, service(c), c.Sentence))
		}
		m.judge(first.Status.Causes, f)
	}
}

// analysed tells whether what an Incident says of its cause can be about the fault: one that was open before has an
// answer of before.
func analysed(inc *v1alpha1.Incident, f fault) bool {
	a := inc.Status.Analysis
	return len(f.alerts) == 0 || a != nil && a.FinishedAt != nil && slices.ContainsFunc(inc.Status.Alerts, func(r v1alpha1.IncidentAlert) bool {
		return slices.Contains(f.alerts, r.Name) && a.FinishedAt.Time.After(r.StartsAt.Time)
	})
}

// told tells whether people were told of an Incident, also of one that became part of another one afterwards.
func told(inc *v1alpha1.Incident) bool {
	d := inc.Status.Decision
	return d != nil && d.Verdict == v1alpha1.VerdictNotify ||
		slices.ContainsFunc(inc.Status.Deliveries, func(x v1alpha1.Delivery) bool { return x.Transition == v1alpha1.TransitionOpened })
}

// service is the workload that a cause names.
func service(c v1alpha1.Cause) string {
	if c.Workload != "" {
		return c.Workload
	}
	return c.Object.Name
}

// judge compares the causes with the truth.
func (m *Measured) judge(causes []v1alpha1.Cause, f fault) {
	m.Top1Service, m.Top1, m.Top3Service, m.Top3 = false, false, false, false
	for i, c := range causes[:min(3, len(causes))] {
		name := f.named(c)
		both := name && slices.Contains(f.kinds, string(c.Kind))
		m.Top3Service, m.Top3 = m.Top3Service || name, m.Top3 || both
		if i == 0 {
			m.Top1Service, m.Top1 = name, both
		}
	}
}

// hear takes what the messages say that came since the injection.
func (m *Measured) hear(messages []stack.Message, after time.Duration) {
	for _, message := range messages {
		if m.SecondsToMessage == 0 {
			m.SecondsToMessage = round(after)
		}
		if m.SecondsToExplained == 0 && strings.Contains(message.String(), "Likely cause (") {
			m.SecondsToExplained = round(after)
		}
	}
}

// calmWithin is longer than the longest alert about something that is over: an eviction is told for ten minutes.
const calmWithin = 12 * time.Minute

// calmDown waits until nothing that began with the fault fires any more, closes it, and gives the shop time to be normal.
func (b *bench) calmDown(ctx context.Context, f fault, began time.Time) error {
	err := stack.Eventually(ctx, calmWithin, 2*time.Second, func(ctx context.Context) error {
		if err := b.PodsReady(ctx, stack.ShopNamespace, 7); err != nil {
			return err
		}
		all, err := b.of(ctx, f, began)
		if err != nil {
			return err
		}
		for _, inc := range all {
			if f.fires(&inc) {
				return fmt.Errorf("%s still tells of %s", inc.Spec.Subject.Display, f.name)
			}
			if s := inc.Status.State; inc.Spec.Subject.Namespace == stack.ShopNamespace && s != v1alpha1.IncidentResolved && s != v1alpha1.IncidentClosed {
				return fmt.Errorf("%s is still open", inc.Spec.Subject.Display)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("calm down: %w", err)
	}
	all, err := b.since(ctx, began)
	if err != nil {
		return err
	}
	for i := range all {
		if all[i].Spec.Subject.Namespace != stack.ShopNamespace {
			continue // it is not the fault's, and stays until it ends by itself
		}
		closed := all[i].DeepCopy()
		closed.Spec.Close = &v1alpha1.Request{By: "bench-live", Comment: "the fault was mended"}
		if err := b.Client.Patch(ctx, closed, client.MergeFrom(&all[i])); err != nil {
			return fmt.Errorf("close Incident %s: %w", closed.Name, err)
		}
	}
	sleep(ctx, b.calm)
	return b.SlackForget(ctx)
}

func round(d time.Duration) float64 {
	return float64(d.Round(100*time.Millisecond)) / float64(time.Second)
}
