package gather

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// pagesOf answers a list of three pages with two pods each, and fails once the page with the token.
func pagesOf(fails string, failure error) func(context.Context, metav1.ListOptions) (*corev1.PodList, error) {
	return func(_ context.Context, o metav1.ListOptions) (*corev1.PodList, error) {
		if o.Limit != page {
			return nil, fmt.Errorf("%d objects are asked for at once", o.Limit)
		}
		if o.Continue == fails && failure != nil {
			return &corev1.PodList{}, failure
		}
		next := map[string]string{"": "second", "second": "third", "third, of newer objects": "", "third": ""}
		return &corev1.PodList{ListMeta: metav1.ListMeta{Continue: next[o.Continue]}, Items: make([]corev1.Pod, 2)}, nil
	}
}

func expired(next string) error {
	err := apierrors.NewResourceExpired("the provided continue parameter is too old")
	err.ErrStatus.Continue = next
	return err
}

func TestListsAreReadPageByPageUpToABound(t *testing.T) {
	for _, c := range []struct {
		name    string
		most    int
		fails   string
		failure error
		read    int
		err     string
	}{
		{name: "all pages", most: 100, read: 6},
		{name: "the page that reaches the bound is the last one read", most: 3, read: 4, err: "more than 3: the rest was not read"},
		{name: "as many as the bound", most: 6, read: 6},
		{name: "what was read before an error is kept", most: 100, fails: "third", failure: errors.New("etcdserver: leader changed"), read: 4, err: "leader changed"},
		{name: "the list goes on with newer objects when its state is no longer kept", most: 100, fails: "third", failure: expired("third, of newer objects"), read: 6},
		{name: "an expired state without a token to go on", most: 100, fails: "third", failure: expired(""), read: 4, err: "too old"},
		{name: "a list that fails at once is not begun anew", most: 100, failure: expired("third"), err: "too old"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := listAll[corev1.Pod](t.Context(), c.most, pagesOf(c.fails, c.failure))
			if len(got) != c.read || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("got %d objects and %v, want %d and %q", len(got), err, c.read, c.err)
			}
		})
	}
}

// Detectors read events by how their messages begin.
func TestMessagesOfEventsHaveNoSecretsAndNoPrefix(t *testing.T) {
	got := masked([]corev1.Event{
		{Message: "(combined from similar events): Readiness probe failed: read tcp 10.0.0.1:48932->10.0.0.12:8080: read: connection reset by peer"},
		{Message: "Readiness probe failed: password=hunter2"},
	})
	for i, want := range []string{
		"Readiness probe failed: read tcp 10.0.0.1:48932->10.0.0.12:8080: read: connection reset by peer", "Readiness probe failed: password=***",
	} {
		if got[i].Message != want {
			t.Errorf("got %q", got[i].Message)
		}
	}
}
