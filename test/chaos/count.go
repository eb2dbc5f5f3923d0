package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/alert"
	"github.com/kubebot/kubebot/internal/notify/webhook"
	slacktest "github.com/kubebot/kubebot/test/slack"
	"github.com/kubebot/kubebot/test/stack"
)

// mostMissing is how many lost alerts a report names.
const mostMissing = 10

// payload is what a message of KubeBot's carries as metadata.
type payload struct {
	key string
	// incidents are one, or those of a digest.
	incidents []string
	sequence  int64
}

// payloadOf reads it; without one, or with one of somebody else's, there is no incident.
func payloadOf(m slacktest.Message) (p payload) {
	if m.Metadata == nil {
		return p
	}
	p.key, _ = m.Metadata.EventPayload["key"].(string)
	if one, ok := m.Metadata.EventPayload["incident"].(string); ok {
		p.incidents = []string{one}
	}
	namespace, _ := m.Metadata.EventPayload["namespace"].(string)
	list, _ := m.Metadata.EventPayload["incidents"].([]any)
	for _, name := range list {
		if text, ok := name.(string); ok {
			p.incidents = append(p.incidents, namespace+"/"+text)
		}
	}
	sequence, _ := m.Metadata.EventPayload["sequence"].(float64)
	p.sequence = int64(sequence)
	return p
}

// holdings are what the receivers hold.
type holdings struct {
	// slack and hooks are the incidents that were told of, by channel ID and for the webhook.
	slack map[string]map[string]bool
	hooks map[string]bool
	// doubled and repeated copies, and changes out of order.
	doubled, repeated, disordered int
}

// settle waits until everything has arrived, and fills the report.
func (r *round) settle(ctx context.Context) error {
	last := ""
	err := stack.Eventually(ctx, r.Settle, 5*time.Second, func(ctx context.Context) error {
		if err := r.count(ctx); err != nil {
			return err
		}
		if r.report.Lost > 0 {
			if now := fmt.Sprintf("%d of %d alerts have not arrived", r.report.Lost, r.report.Sent); now != last {
				r.say("%s", now)
				last = now
			}
			return fmt.Errorf("%d of %d alerts have not arrived", r.report.Lost, r.report.Sent)
		}
		return nil
	})
	if err == nil {
		// Second copies would come late: whoever sends one waits for a claim to end first.
		if err := wait(ctx, 40*time.Second); err != nil {
			return err
		}
	}
	return r.count(ctx)
}

// count compares what was sent with what the receivers hold.
func (r *round) count(ctx context.Context) error {
	// What was taken is read before the Incidents, so that a message of an Incident made in between is not missed.
	messages, err := r.AllSlackMessages(ctx)
	if err != nil {
		return err
	}
	hooks, err := r.Webhooks(ctx)
	if err != nil {
		return err
	}
	hooks = slices.DeleteFunc(hooks, func(h slacktest.Webhook) bool { return h.Name != r.tag })
	all, err := r.Incidents(ctx)
	if err != nil {
		return err
	}
	incidents, names := ofRound(all, r.tag)
	messages = slices.DeleteFunc(messages, func(m slacktest.Message) bool {
		return !slices.ContainsFunc(payloadOf(m).incidents, func(name string) bool { return names[name] })
	})
	held, err := holdingsOf(messages, hooks)
	if err != nil {
		return err
	}
	r.report.SlackMessages, r.report.Webhooks = len(messages), len(hooks)
	r.report.Doubled, r.report.Repeated, r.report.Disordered = held.doubled, held.repeated, held.disordered
	r.report.tally(r.alerts(), incidents, held)
	return nil
}

// ofRound are the Incidents about the round's namespaces, and their names as messages have them.
func ofRound(all []v1alpha1.Incident, tag string) ([]v1alpha1.Incident, map[string]bool) {
	var list []v1alpha1.Incident
	names := map[string]bool{}
	for _, inc := range all {
		if strings.HasPrefix(inc.Spec.Subject.Namespace, tag) {
			list = append(list, inc)
			names[inc.Namespace+"/"+inc.Name] = true
		}
	}
	return list, names
}

// holdingsOf reads what the receivers hold, in the order in which they took it.
func holdingsOf(messages []slacktest.Message, hooks []slacktest.Webhook) (holdings, error) {
	h := holdings{slack: map[string]map[string]bool{}, hooks: map[string]bool{}}
	keys, latest := map[string]bool{}, map[string]int64{}
	order := func(receiver, incident string, sequence int64) {
		at := receiver + " " + incident
		if sequence < latest[at] {
			h.disordered++
		}
		latest[at] = max(latest[at], sequence)
	}
	for _, m := range messages {
		p := payloadOf(m)
		if h.slack[m.Channel] == nil {
			h.slack[m.Channel] = map[string]bool{}
		}
		for _, incident := range p.incidents {
			h.slack[m.Channel][incident] = true
		}
		// A head and the reply that tells the same change in its thread share the key.
		place := "head"
		if m.ThreadTS != "" && m.ThreadTS != m.TS {
			place = "reply"
		}
		if key := place + p.key; keys[key] {
			h.doubled++
		} else {
			keys[key] = true
			if len(p.incidents) == 1 { // a digest tells of each of its incidents for the first time
				order(m.Channel, p.incidents[0], p.sequence)
			}
		}
	}
	for _, w := range hooks {
		var d webhook.Document
		if err := json.Unmarshal([]byte(w.Body), &d); err != nil {
			return h, fmt.Errorf("read a webhook: %w", err)
		}
		h.hooks[d.Incident.Namespace+"/"+d.Incident.Name] = true
		for _, one := range d.Incidents {
			h.hooks[one.Namespace+"/"+one.Name] = true
		}
		if w.Repeat {
			h.repeated++
			continue
		}
		order("webhook", d.Incident.Namespace+"/"+d.Incident.Name, d.Sequence)
	}
	return h, nil
}

// tally counts an alert as delivered when the channel and the webhook both took a message of an Incident that holds it.
func (r *Report) tally(sent []sentAlert, incidents []v1alpha1.Incident, held holdings) {
	in := map[string][]string{}
	r.Incidents, r.PossibleDuplicate = len(incidents), 0
	digests := map[string]bool{}
	for _, inc := range incidents {
		name := inc.Namespace + "/" + inc.Name
		for _, a := range slices.Concat(inc.Spec.OpeningAlerts, inc.Status.Alerts) {
			in[a.Fingerprint] = append(in[a.Fingerprint], name)
		}
		for _, d := range inc.Status.Deliveries {
			if d.PossibleDuplicate != "" && (d.Digest == "" || !digests[d.Digest]) {
				r.PossibleDuplicate++
				digests[d.Digest] = d.Digest != ""
			}
		}
	}
	r.Delivered, r.Lost, r.MissingAt = 0, 0, nil
	for _, a := range sent[:r.Sent] {
		names := in[alert.Fingerprint(a.labels)]
		slack := slices.ContainsFunc(names, func(n string) bool { return held.slack[channelID(a.channel)][n] })
		hook := slices.ContainsFunc(names, func(n string) bool { return held.hooks[n] })
		if slack && hook {
			r.Delivered++
			continue
		}
		r.Lost++
		if len(r.MissingAt) < mostMissing {
			r.MissingAt = append(r.MissingAt, fmt.Sprintf("alert %s of %d incidents: slack %t, webhook %t", a.labels["chaos_id"], len(names), slack, hook))
		}
	}
}
