// Package silence makes the silences that Incidents ask for in Alertmanager, by its API v2, and ends them when nobody
// asks any more.
package silence

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/interact"
)

const (
	// checkPause is the time between two looks at all Incidents.
	checkPause = 15 * time.Second
	// callTime bounds what is done for one Incident.
	callTime = 10 * time.Second
	// maxAnswer of Alertmanager in bytes.
	maxAnswer = 32 << 20
	// maxID of a silence in bytes, as an Incident holds it; Alertmanager's are UUIDs.
	maxID = 64
)

var errID = errors.New("the answer names a silence without a usable ID")

// Keeper keeps Alertmanager's silences as the Incidents ask. Every replica may run one: Alertmanager and the Incident
// hold all state.
type Keeper struct {
	// URL of Alertmanager; empty when there is none.
	URL    string
	HTTP   *http.Client
	Client client.Client
	// All returns the known Incidents.
	All func() []*v1alpha1.Incident
	Now func() time.Time
	Log logr.Logger

	mu sync.Mutex // one Incident at a time
}

// Run looks at all Incidents again and again until the context ends.
func (k *Keeper) Run(ctx context.Context) error {
	ticker := time.NewTicker(checkPause)
	defer ticker.Stop()
	for {
		for _, inc := range k.All() {
			if Settled(inc, k.Now()) || ctx.Err() != nil {
				continue
			}
			if _, err := k.Settle(ctx, inc.Namespace, inc.Name); err != nil && ctx.Err() == nil {
				k.Log.Error(err, "Silence was not brought in line", "incident", klog.KRef(inc.Namespace, inc.Name))
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// Settled tells whether Alertmanager was told what the Incident asks for.
func Settled(inc *v1alpha1.Incident, now time.Time) bool {
	want, have := inc.Spec.Silence, inc.Status.Silence
	if want == nil || !want.Until.After(now) {
		return have == nil || have.State == v1alpha1.SilenceEnded && have.ToldUntil != nil // the pipeline tells of it first
	}
	return have != nil && have.State == v1alpha1.SilenceActive && have.Until.Equal(&want.Until)
}

// Settle does what the Incident asks for and records it there. It returns the silence as it is then; nil for none.
func (k *Keeper) Settle(ctx context.Context, namespace, name string) (*v1alpha1.SilenceStatus, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	for range 10 {
		inc := &v1alpha1.Incident{}
		if err := k.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, inc); err != nil {
			return nil, client.IgnoreNotFound(err)
		}
		if Settled(inc, k.Now()) {
			return inc.Status.Silence, nil
		}
		status, failed := k.bring(ctx, inc)
		inc.Status.Silence = status
		err := k.Client.Status().Update(ctx, inc)
		switch {
		case apierrors.IsConflict(err):
			continue
		case err != nil:
			return status, errors.Join(failed, fmt.Errorf("record the silence: %w", err))
		}
		return status, failed
	}
	return nil, errors.New("record the silence: others kept writing the Incident")
}

// bring tells Alertmanager. The status says how far it came.
func (k *Keeper) bring(ctx context.Context, inc *v1alpha1.Incident) (*v1alpha1.SilenceStatus, error) {
	want := inc.Spec.Silence
	if want == nil || !want.Until.After(k.Now()) {
		status := inc.Status.Silence.DeepCopy()
		if status == nil {
			return nil, nil
		}
		err := k.end(ctx, inc)
		switch {
		case err != nil:
			status.State, status.Message = v1alpha1.SilenceEnding, sentence(err)
		case status.ToldUntil == nil:
			return nil, nil
		default:
			status.State, status.ID, status.Message = v1alpha1.SilenceEnded, "", ""
		}
		return status, err
	}
	status := &v1alpha1.SilenceStatus{State: v1alpha1.SilenceActive, By: want.By, Until: want.Until}
	if have := inc.Status.Silence; have != nil {
		status.ToldUntil = have.ToldUntil
	}
	id, err := k.begin(ctx, inc)
	if status.ID = id; err != nil {
		status.State, status.Message = v1alpha1.SilenceFailed, sentence(err)
	}
	return status, err
}

func sentence(err error) string {
	text := strings.ToValidUTF8(err.Error(), "")
	if len(text) > 500 {
		text = strings.ToValidUTF8(text[:500], "")
	}
	return text
}

// apiSilence is a silence of Alertmanager's API v2.
type apiSilence struct {
	ID        string             `json:"id,omitempty"`
	Matchers  []interact.Matcher `json:"matchers"`
	StartsAt  time.Time          `json:"startsAt"`
	EndsAt    time.Time          `json:"endsAt"`
	CreatedBy string             `json:"createdBy"`
	Comment   string             `json:"comment"`
	Status    *struct {
		State string `json:"state"`
	} `json:"status,omitempty"`
}

// mark begins the comment of each silence of an Incident, by which it is found again after a lost answer.
func mark(inc *v1alpha1.Incident) string {
	return fmt.Sprintf("Incident %s/%s of KubeBot %s", inc.Namespace, inc.Name, inc.Spec.KubeBot)
}

// begin makes the silence, or lengthens the one that is there. It returns its ID.
func (k *Keeper) begin(ctx context.Context, inc *v1alpha1.Incident) (string, error) {
	matchers := interact.Matchers(inc)
	if len(matchers) == 0 {
		return "", errors.New("no firing alert of the incident came from Alertmanager, so there is nothing that it could silence")
	}
	want := inc.Spec.Silence
	by := want.By
	if by == "" {
		by = "somebody"
	}
	silence := apiSilence{
		Matchers: matchers, StartsAt: k.Now().UTC(), EndsAt: want.Until.UTC(), CreatedBy: by,
		Comment: fmt.Sprintf("%s, silenced by %s. %s", mark(inc), by, want.Comment),
	}
	there, err := k.list(ctx, inc)
	if err != nil {
		return "", err
	}
	if len(there) > 0 {
		if there[0].EndsAt.Equal(silence.EndsAt) {
			return there[0].ID, nil
		}
		silence.ID, silence.StartsAt, silence.Matchers = there[0].ID, there[0].StartsAt, there[0].Matchers
	}
	body, err := json.Marshal(silence)
	if err != nil {
		return "", fmt.Errorf("encode the silence: %w", err)
	}
	var answer struct {
		ID string `json:"silenceID"`
	}
	if err := k.call(ctx, http.MethodPost, "/api/v2/silences", body, &answer); err != nil {
		return "", fmt.Errorf("make the silence in Alertmanager: %w", err)
	}
	if answer.ID == "" || len(answer.ID) > maxID {
		return "", fmt.Errorf("make the silence in Alertmanager: %w", errID)
	}
	return answer.ID, nil
}

// end ends every silence of the Incident.
func (k *Keeper) end(ctx context.Context, inc *v1alpha1.Incident) error {
	there, err := k.list(ctx, inc)
	if err != nil {
		return err
	}
	for _, s := range there {
		if err := k.call(ctx, http.MethodDelete, "/api/v2/silence/"+url.PathEscape(s.ID), nil, nil); err != nil {
			return fmt.Errorf("end the silence in Alertmanager: %w", err)
		}
	}
	return nil
}

// list returns the silences of the Incident that are not over.
func (k *Keeper) list(ctx context.Context, inc *v1alpha1.Incident) ([]apiSilence, error) {
	var all []apiSilence
	if err := k.call(ctx, http.MethodGet, "/api/v2/silences", nil, &all); err != nil {
		return nil, fmt.Errorf("ask Alertmanager for its silences: %w", err)
	}
	var mine []apiSilence
	for _, s := range all {
		if strings.HasPrefix(s.Comment, mark(inc)+",") && s.Status != nil && s.Status.State != "expired" {
			if s.ID == "" || len(s.ID) > maxID {
				return nil, fmt.Errorf("ask Alertmanager for its silences: %w", errID)
			}
			mine = append(mine, s)
		}
	}
	return mine, nil
}

// call makes one call. Errors hold no query.
func (k *Keeper) call(ctx context.Context, method, path string, body []byte, into any) error {
	if k.URL == "" {
		return errors.New("the KubeBot has no Alertmanager")
	}
	request, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(k.URL, "/")+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("make the request: %w", err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := k.HTTP.Do(request)
	if err != nil {
		var failed *url.Error
		if errors.As(err, &failed) {
			err = failed.Err
		}
		return err
	}
	defer func() { _ = response.Body.Close() }()
	data, err := io.ReadAll(http.MaxBytesReader(nil, response.Body, maxAnswer))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return fmt.Errorf("the answer is larger than %d MiB", maxAnswer>>20)
	case err != nil:
		return fmt.Errorf("read the answer: %w", err)
	case response.StatusCode != http.StatusOK:
		return fmt.Errorf("the answer was %s: %s", response.Status, strings.TrimSpace(string(data[:min(len(data), 200)])))
	case into == nil:
		return nil
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	return nil
}
