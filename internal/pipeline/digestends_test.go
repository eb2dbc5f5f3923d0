package pipeline

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/decide"
	"github.com/kubebot/kubebot/internal/notify"
)

func states(msg notify.Message) map[v1alpha1.IncidentState]int {
	count := map[v1alpha1.IncidentState]int{}
	for _, inc := range msg.Digest {
		count[inc.Status.State]++
	}
	return count
}

func TestTheEndOfWhatADigestToldIsAnEditOfIt(t *testing.T) {
	inBubble(t, nil, func(b *bubble) {
		alerts := b.storm(9)
		time.Sleep(time.Minute)
		singles, digests := b.oncall.news()
		require.Equal(t, []int{3, 1}, []int{singles, digests})
		first := b.oncall.messages()[3]
		head := notify.Ref{Channel: "C1", ID: first.Key}

		b.end(alerts[4], alerts[5])
		time.Sleep(2 * time.Minute)
		got := b.oncall.messages()[4:]
		require.Len(t, got, 1, "one edit for both")
		assert.Equal(t, head, got[0].Head)
		assert.Equal(t, map[v1alpha1.IncidentState]int{v1alpha1.IncidentOpen: 4, v1alpha1.IncidentResolved: 2}, states(got[0]))
		assert.Equal(t, "6 incidents, 6 critical", got[0].Incident.Status.Title)

		alerts[4].StartsAt = time.Now()
		b.take(alerts[4])
		time.Sleep(2 * time.Minute)
		got = b.oncall.messages()[5:]
		require.Len(t, got, 1)
		assert.Equal(t, map[v1alpha1.IncidentState]int{v1alpha1.IncidentOpen: 5, v1alpha1.IncidentResolved: 1}, states(got[0]))

		b.end(alerts[3:]...)
		time.Sleep(2 * time.Minute)
		got = b.oncall.messages()[6:]
		require.Len(t, got, 1)
		assert.Equal(t, "6 incidents, 6 critical, all over", got[0].Incident.Status.Title)
		assert.Equal(t, v1alpha1.IncidentResolved, got[0].Incident.Status.State)
		for _, a := range alerts[3:] {
			inc := b.incident(a.Labels["workload"])
			assert.Equal(t, "oncall:Delivered", inc.Status.Receivers)
		}

		time.Sleep(time.Hour)
		assert.Len(t, b.oncall.messages(), 7, "nothing is told twice")
	})
}

func TestTheEndIsToldInTheNextDigestWhereNothingCanBeEdited(t *testing.T) {
	mail := &collector{}
	inBubble(t, func(o *Options) {
		o.Receivers[0] = Receiver{Name: "oncall", Type: "email", Sink: mail}
	}, func(b *bubble) {
		alerts := b.storm(6)
		time.Sleep(time.Minute)
		require.Len(t, mail.messages(), 4)
		b.end(alerts[3:]...)
		time.Sleep(5 * time.Minute)
		// One comes back before its end was told: that is no news.
		alerts[3].StartsAt = time.Now()
		b.take(alerts[3])
		time.Sleep(time.Hour)
		got := mail.messages()[4:]
		require.Len(t, got, 1)
		assert.Equal(t, "2 incidents, 2 critical, all over", got[0].Incident.Status.Title)
		assert.Zero(t, got[0].Head)
		assert.Zero(t, time.Now().Truncate(time.Hour).Sub(b.incident("w4").Status.Deliveries[1].DeliveredAt.Truncate(time.Hour)))

		b.end(alerts[3])
		time.Sleep(70 * time.Minute)
		assert.Len(t, mail.messages(), 6, "the end of the one that came back")
	})
}

func TestWhatWasOverWhenTheDigestWentOutIsNotToldAgain(t *testing.T) {
	inBubble(t, nil, func(b *bubble) {
		alerts := b.storm(4)
		b.end(alerts[3])
		time.Sleep(time.Hour)
		_, digests := b.oncall.news()
		assert.Equal(t, 1, digests)
		assert.Equal(t, v1alpha1.IncidentClosed, b.incident("w3").Status.State)
	})
}

func TestTheEndIsToldAfterAMuteTime(t *testing.T) {
	mute, err := decide.NewMute(v1alpha1.MuteTime{Name: "night", Start: "00:10", End: "01:00"})
	require.NoError(t, err)
	inBubble(t, func(o *Options) {
		o.Rules.Routes = []v1alpha1.Route{{Receivers: []string{"oncall"}, MuteTimes: []string{"night"}}}
		o.Rules.Mutes = map[string]decide.Mute{"night": mute}
	}, func(b *bubble) {
		alerts := b.storm(4)
		time.Sleep(11 * time.Minute)
		before := len(b.oncall.messages())
		b.end(alerts[3])
		time.Sleep(5 * time.Minute)
		assert.Len(t, b.oncall.messages(), before)
		time.Sleep(time.Hour)
		got := b.oncall.messages()[before:]
		require.Len(t, got, 1)
		assert.NotNil(t, got[0].Digest)
	})
}
