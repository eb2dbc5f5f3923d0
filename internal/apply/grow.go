package apply

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/naming"
)

// askAgain is after how long a growth that the API server refused is asked for again: the storage class may allow it then.
const askAgain = 10 * time.Minute

// refusal is what the API server said to a claim that shall grow.
type refusal struct {
	size    resource.Quantity
	message string
	instant time.Time
}

// short tells whether a claim is in use and its volume smaller than the spec says.
func (k keeping) short(pvc *corev1.PersistentVolumeClaim) bool {
	if k.switchedOff || k.size == nil || pvc.DeletionTimestamp != nil || pvc.Status.Phase != corev1.ClaimBound {
		return false
	}
	if ordinal, err := strconv.Atoi(pvc.Name[strings.LastIndex(pvc.Name, "-")+1:]); err == nil && ordinal >= int(k.replicas) {
		return false
	}
	has := pvc.Status.Capacity.Storage()
	return has.Sign() > 0 && has.Cmp(*k.size) < 0
}

// Capacity returns for each component whose volumes are smaller than the spec says the bytes of the smallest.
func Capacity(kb *v1alpha1.KubeBot, claims []corev1.PersistentVolumeClaim) map[string]int64 {
	kept, out := keepings(kb), map[string]int64{}
	for i := range claims {
		name := claims[i].Labels[naming.LabelComponent]
		if k, ok := kept[name]; ok && k.short(&claims[i]) {
			bytes := claims[i].Status.Capacity.Storage().Value()
			if had, ok := out[name]; !ok || bytes < had {
				out[name] = bytes
			}
		}
	}
	return out
}

// grow asks for a larger volume. Kubernetes enlarges it, and its file system, where the storage class allows that; else
// the API server refuses, which is remembered for a while.
func (p *Pruner) grow(ctx context.Context, k keeping, pvc *corev1.PersistentVolumeClaim) error {
	if !k.short(pvc) || pvc.Spec.Resources.Requests.Storage().Cmp(*k.size) >= 0 {
		return nil
	}
	if r, ok := p.refusalOf(pvc); ok && r.size.Equal(*k.size) && p.applier.now().Sub(r.instant) < askAgain {
		return nil
	}
	before := pvc.DeepCopy()
	pvc.Spec.Resources.Requests[corev1.ResourceStorage] = k.size.DeepCopy()
	err := p.writer.Patch(ctx, pvc, client.MergeFrom(before))
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.refused, pvc.UID)
	if err == nil || apierrors.IsNotFound(err) {
		return nil
	}
	*pvc = *before
	if !apierrors.IsForbidden(err) && !apierrors.IsInvalid(err) {
		return fmt.Errorf("enlarge volume claim %s to %s: %w", pvc.Name, k.size, err)
	}
	p.refused[pvc.UID] = refusal{size: k.size.DeepCopy(), message: Message(err), instant: p.applier.now()}
	return nil
}

func (p *Pruner) refusalOf(pvc *corev1.PersistentVolumeClaim) (refusal, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r, ok := p.refused[pvc.UID]
	return r, ok
}

// Undersized returns the condition VolumeSmallerThanSpec, which says why, or none when no volume is.
func (p *Pruner) Undersized(kb *v1alpha1.KubeBot, claims []corev1.PersistentVolumeClaim) []metav1.Condition {
	kept := keepings(kb)
	var refused, growing []string
	for i := range claims {
		pvc := &claims[i]
		k, ok := kept[pvc.Labels[naming.LabelComponent]]
		if !ok || !k.short(pvc) {
			continue
		}
		told := fmt.Sprintf("volume claim %s has %s of %s", pvc.Name, pvc.Status.Capacity.Storage(), k.size)
		if r, ok := p.refusalOf(pvc); ok && r.size.Equal(*k.size) {
			refused = append(refused, fmt.Sprintf("%s and can't be enlarged: %s", told, r.message))
		} else {
			growing = append(growing, told+progress(pvc))
		}
	}
	if len(refused)+len(growing) == 0 {
		return nil
	}
	slices.Sort(refused)
	slices.Sort(growing)
	c := metav1.Condition{Type: v1alpha1.ConditionVolumeSmallerThanSpec, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonExpanding}
	if len(refused) > 0 {
		c.Reason = v1alpha1.ReasonNotExpandable
	}
	c.Message = strings.Join(append(refused, growing...), "; ") + "; until then limits go by what there is"
	return []metav1.Condition{c}
}

// progress tells what Kubernetes says of a growth.
func progress(pvc *corev1.PersistentVolumeClaim) string {
	for _, c := range pvc.Status.Conditions {
		switch c.Type {
		case corev1.PersistentVolumeClaimFileSystemResizePending:
			return " and waits for its file system to grow, for which some drivers need its pod to start anew"
		case corev1.PersistentVolumeClaimControllerResizeError, corev1.PersistentVolumeClaimNodeResizeError:
			return " and can't be enlarged: " + c.Message
		}
	}
	return " and is being enlarged"
}
