package ingest

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"
	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/internal/naming"
)

const (
	// heartbeatPause is the least time between two writes of the watchdog's Lease.
	heartbeatPause = 30 * time.Second
	// heartbeatGap without a watchdog means that alerts may have been missed. Alertmanager repeats the watchdog each
	// minute, so two were missed.
	heartbeatGap = 150 * time.Second
	// annotationHistory on the Lease is the time up to which nothing was missed.
	annotationHistory = "kubebot.io/history-until"
	// annotationReceiver on the Lease is Alertmanager's name of the receiver that is this responder.
	annotationReceiver = "kubebot.io/alertmanager-receiver"
)

// Heartbeat keeps the Lease <kubebot>-watchdog: its renew time is when the watchdog alert last reached any replica.
type Heartbeat struct {
	// Client reads and writes Leases without a cache.
	Client client.Client
	// KubeBot and Namespace name the KubeBot, UID is its UID.
	KubeBot, Namespace, UID string
	Replica                 string
	Now                     func() time.Time
	Log                     logr.Logger

	mu      sync.Mutex
	arrived *Beat // a watchdog that is not yet written
	known   Beat
}

// Beat is what the Lease says.
type Beat struct {
	// Seen is when the watchdog last came, zero if never.
	Seen time.Time
	// History is the time up to which no alert was missed, zero if unknown.
	History time.Time
	// Receiver is Alertmanager's name of the receiver, empty if unknown.
	Receiver string
}

// Arrived takes the arrival of the watchdog; it is written by Run.
func (h *Heartbeat) Arrived(receiver string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.arrived = &Beat{Seen: h.Now(), Receiver: receiver}
}

// Last returns what was last known of the Lease.
func (h *Heartbeat) Last() Beat {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.known
}

// Run writes arrivals and reads what other replicas wrote, until the context ends.
func (h *Heartbeat) Run(ctx context.Context) error {
	ticker := time.NewTicker(5 * time.Second)
	defer ticker.Stop()
	for {
		if err := h.Sync(ctx); err != nil && ctx.Err() == nil {
			h.Log.Error(err, "Watchdog Lease was not brought up to date")
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// Sync reads the Lease, and renews it if the watchdog came and the last renewal is old enough.
func (h *Heartbeat) Sync(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	lease, err := h.read(ctx)
	if err != nil {
		return err
	}
	beat := beatOf(lease)
	h.mu.Lock()
	next := h.arrived
	h.known = beat
	h.mu.Unlock()
	if next == nil {
		return nil
	}
	gap := next.Seen.Sub(beat.Seen)
	if gap >= heartbeatPause {
		next.History = beat.History
		if beat.Seen.IsZero() || gap < heartbeatGap && next.Seen.Sub(beat.History) < heartbeatGap {
			next.History = next.Seen
		}
		if err := h.write(ctx, lease, *next); err != nil {
			return err
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.arrived == next {
		h.arrived = nil
	}
	return nil
}

// ReadUntil records that nothing was missed up to t.
func (h *Heartbeat) ReadUntil(ctx context.Context, t time.Time) error {
	lease, err := h.read(ctx)
	if err != nil {
		return err
	}
	beat := beatOf(lease)
	if beat.Seen.IsZero() || !t.After(beat.History) {
		return nil
	}
	beat.History = t
	return h.write(ctx, lease, beat)
}

func (h *Heartbeat) name() string { return h.KubeBot + "-watchdog" }

func (h *Heartbeat) read(ctx context.Context) (*coordinationv1.Lease, error) {
	lease := &coordinationv1.Lease{}
	err := h.Client.Get(ctx, client.ObjectKey{Namespace: h.Namespace, Name: h.name()}, lease)
	if err != nil && !apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("read Lease %s: %w", h.name(), err)
	}
	return lease, nil
}

// write stores a beat; another replica that was faster has done the same work.
func (h *Heartbeat) write(ctx context.Context, lease *coordinationv1.Lease, beat Beat) error {
	renew := metav1.NewMicroTime(beat.Seen.Truncate(time.Microsecond))
	seconds := int32((5 * time.Minute).Seconds()) // after which ResponderReady names the watchdog as missing
	lease.Spec = coordinationv1.LeaseSpec{HolderIdentity: &h.Replica, RenewTime: &renew, LeaseDurationSeconds: &seconds}
	if lease.Annotations == nil {
		lease.Annotations = map[string]string{}
	}
	lease.Annotations[annotationHistory] = beat.History.UTC().Format(time.RFC3339)
	lease.Annotations[annotationReceiver] = beat.Receiver
	var err error
	if lease.ResourceVersion == "" {
		h.own(lease)
		err = h.Client.Create(ctx, lease)
	} else {
		err = h.Client.Update(ctx, lease)
	}
	if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("write Lease %s: %w", h.name(), err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.known = beat
	return nil
}

func (h *Heartbeat) own(lease *coordinationv1.Lease) {
	lease.Namespace, lease.Name = h.Namespace, h.name()
	lease.Labels = map[string]string{naming.LabelName: h.KubeBot, naming.LabelNamespace: h.Namespace}
	lease.OwnerReferences = []metav1.OwnerReference{naming.Controller(h.KubeBot, h.UID)}
}

func beatOf(lease *coordinationv1.Lease) Beat {
	var beat Beat
	if lease.Spec.RenewTime != nil {
		beat.Seen = lease.Spec.RenewTime.Time
	}
	if t, err := time.Parse(time.RFC3339, lease.Annotations[annotationHistory]); err == nil {
		beat.History = t
	}
	beat.Receiver = lease.Annotations[annotationReceiver]
	return beat
}
