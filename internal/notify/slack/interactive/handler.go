package interactive

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	slackgo "github.com/slack-go/slack"
	"k8s.io/klog/v2"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/interact"
	"github.com/kubebot/kubebot/internal/notify/slack"
)

const (
	// storeTime is how long a press may take to be stored: Slack waits three seconds for the acknowledgement.
	storeTime = 2200 * time.Millisecond
	// answerTime is how long the rest may take.
	answerTime = 40 * time.Second
	// atOnce is how many presses are worked on at once; more wait, and are delivered again if they wait too long.
	atOnce = 16
)

// Handler does what people ask by buttons.
type Handler struct {
	Desk *interact.Desk
	// Silence brings Alertmanager in line with the Incident and returns the silence as it is then, nil for none.
	Silence func(ctx context.Context, namespace, name string) (*v1alpha1.SilenceStatus, error)
	// Details tells more of an Incident; nil tells only what the Incident holds.
	Details func(ctx context.Context, inc *v1alpha1.Incident) string
	Now     func() time.Time
	Log     logr.Logger

	presses *prometheus.CounterVec
	work    sync.WaitGroup
	slots   chan struct{}
	once    sync.Once
}

// Results of presses, as the metric counts them.
const (
	resultDone    = "done"
	resultNothing = "nothing"
	resultRefused = "refused"
	resultUnknown = "unknown"
	resultFailed  = "failed"
)

// Register registers the metric of presses. It must be called before the first press.
func (h *Handler) Register(registerer prometheus.Registerer) {
	h.presses = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "kubebot_responder_interactions_total",
		Help: "Buttons that people pressed in Slack, by result."}, []string{"result"})
	for _, result := range []string{resultDone, resultNothing, resultRefused, resultUnknown, resultFailed} {
		h.presses.WithLabelValues(result)
	}
	registerer.MustRegister(h.presses)
}

func (h *Handler) count(result string) {
	if h.presses != nil {
		h.presses.WithLabelValues(result).Inc()
	}
}

// Wait waits until everything that was begun is answered. It is for after the sockets and servers that bring presses ended.
func (h *Handler) Wait() { h.work.Wait() }

// take stores what a press asks for. It returns within storeTime: the press may be acknowledged to Slack when there is
// no error; the rest, which answers the person, goes on by itself.
func (h *Handler) take(ctx context.Context, app *App, p pressed) error {
	h.once.Do(func() { h.slots = make(chan struct{}, atOnce) })
	ctx, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	select {
	case h.slots <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("wait for a free place: %w", ctx.Err())
	}
	after, err := h.store(ctx, app, p)
	if err != nil {
		h.count(resultFailed)
		<-h.slots
		return err
	}
	h.work.Add(1)
	go func() {
		defer func() { <-h.slots; h.work.Done() }()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), answerTime)
		defer cancel()
		after(ctx)
	}()
	return nil
}

// store looks whether the person may, writes the Incident and returns what remains to be done.
func (h *Handler) store(ctx context.Context, app *App, p pressed) (func(context.Context), error) {
	log := h.Log.WithValues("incident", klog.KRef(h.Desk.Namespace, p.incident), "action", p.action, "user", p.who.id)
	say := func(text string) func(context.Context) {
		return func(ctx context.Context) { h.tell(ctx, app, p, nil, text, nil) }
	}
	inc, err := h.Desk.Get(ctx, p.incident, p.uid)
	if errors.Is(err, interact.ErrUnknown) {
		h.count(resultUnknown)
		log.Info("Button of an unknown Incident was pressed")
		return say("KubeBot does not know this incident. Closed incidents are removed after a while; if the message is of another cluster's KubeBot, give each KubeBot a Slack app of its own."), nil
	}
	if err != nil {
		return nil, err
	}
	r := app.receiver(inc, p.channel)
	if r == nil {
		h.count(resultRefused)
		return say("This channel was not told of the incident by a receiver that has buttons, so nothing was done."), nil
	}
	if age := h.Now().Sub(p.at); age > maxAge || age < -maxSkew {
		h.count(resultRefused)
		return say("The button was pressed too long ago, so nothing was done. Press it again."), nil
	}
	if no := app.refusal(ctx, r, p.who, p.action.Right()); no != "" {
		h.count(resultRefused)
		log.Info("Press was refused")
		return func(ctx context.Context) { h.tell(ctx, app, p, r, no, nil) }, nil
	}
	stored, outcome, err := h.Desk.Do(ctx, inc, interact.Press{ID: p.id, Action: p.action, By: p.who.by(), At: p.at, Cause: p.cause})
	switch {
	case errors.Is(err, interact.ErrUnknown):
		h.count(resultUnknown)
		return say("The incident was removed."), nil
	case err != nil:
		return nil, err
	case outcome.Changed:
		h.count(resultDone)
		log.Info("Press was stored")
	default:
		h.count(resultNothing)
	}
	return func(ctx context.Context) { h.finish(ctx, app, r, p, stored, outcome) }, nil
}

// finish does what follows from a stored press and answers the person.
func (h *Handler) finish(ctx context.Context, app *App, r *Receiver, p pressed, inc *v1alpha1.Incident, outcome interact.Outcome) {
	text := outcome.Text
	switch {
	case p.action == interact.Details:
		h.show(ctx, app, r, p, inc)
		return
	case outcome.Silence:
		if status, err := h.Silence(ctx, inc.Namespace, inc.Name); err != nil {
			h.Log.Error(err, "Silence was not brought in line", "incident", klog.KRef(inc.Namespace, inc.Name))
			text += " Alertmanager was not told yet; that is tried again every few seconds."
			if status != nil && status.Message != "" {
				text += " It said: " + status.Message
			}
		}
	case outcome.Others:
		h.tell(ctx, app, p, r, text+" Which one is right? If it is none of these: kubectl patch incident, spec.cause.correct.", others(inc))
		return
	}
	h.tell(ctx, app, p, r, text, nil)
}

// others are buttons for the causes but the one that was rejected.
func others(inc *v1alpha1.Incident) []slackgo.BlockElement {
	rejected := 0
	if says := inc.Spec.Cause; says != nil && says.Reject != nil {
		rejected = int(*says.Reject) - 1
	}
	var list []slackgo.BlockElement
	for i, c := range inc.Status.Causes {
		if i != rejected {
			label := fmt.Sprintf("%s %s: %s", c.Object.Kind, c.Object.Name, c.Kind)
			list = append(list, slack.Button(interact.Action(fmt.Sprintf("%s%d", interact.CauseIs, i+1)), inc, label))
		}
	}
	return list
}
