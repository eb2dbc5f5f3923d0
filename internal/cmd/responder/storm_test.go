package responder

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"os"
	"runtime/metrics"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubebot/kubebot/internal/pipeline/config"
)

var (
	stormSize = flag.Int("storm", 300, "alerts of the storm")
	stormOut  = flag.String("storm-out", "", "file for the figures of the storm")
)

const (
	// alertsPerWorkload of the storm, workloadsPerNamespace, and alerts in each post.
	alertsPerWorkload, workloadsPerNamespace, perPost = 4, 25, 64
	// posting at a time.
	posting = 4
)

// storm is what came of a storm of critical alerts that all begin at once.
type storm struct {
	Alerts    int `json:"alerts"`
	Workloads int `json:"workloads"`
	Incidents int `json:"incidents"`
	// Messages in the channel: Singles about one Incident, and Digests. Replies in threads are apart. Groups is how many messages Alertmanager's grouping
	// by name and namespace makes of the same alerts at least.
	Messages int `json:"messages"`
	Singles  int `json:"singles"`
	Digests  int `json:"digests"`
	Replies  int `json:"replies"`
	Groups   int `json:"alertmanagerMessages"`
	// StoredSeconds from the first post until every alert was stored and answered, ToldSeconds until the channel held every
	// Incident, SettledSeconds until each result was written too.
	StoredSeconds  float64 `json:"storedSeconds"`
	ToldSeconds    float64 `json:"toldSeconds"`
	SettledSeconds float64 `json:"settledSeconds"`
	// Heap in MiB: live objects and what is not collected yet, before and at most.
	HeapBefore float64 `json:"heapBeforeMiB"`
	HeapMost   float64 `json:"heapMostMiB"`
}

// heap is how many MiB objects take in the memory of this process.
func heap() float64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return float64(sample[0].Value.Uint64()) / (1 << 20)
}

// watchHeap returns a function that ends watching and returns the most that was seen.
func watchHeap() func() float64 {
	stop, done := make(chan struct{}), make(chan float64)
	go func() {
		most := 0.0
		ticker := time.NewTicker(50 * time.Millisecond)
		defer ticker.Stop()
		for {
			most = max(most, heap())
			select {
			case <-stop:
				done <- most
				return
			case <-ticker.C:
			}
		}
	}()
	return func() float64 { close(stop); return <-done }
}

// stormBodies are the posts of a storm: alerts of workloads in turn, as rules that begin to fire at once come.
func stormBodies(t *testing.T, n int) (bodies [][]byte, workloads, groups int) {
	workloads = (n + alertsPerWorkload - 1) / alertsPerWorkload
	names := map[string]bool{}
	var list []alert
	for i := range n {
		w := i % workloads
		a := down(fmt.Sprintf("w%d", w), "firing")
		a.Labels["namespace"], a.Labels["alertname"] = fmt.Sprintf("storm-%d", w/workloadsPerNamespace), fmt.Sprintf("Storm%d", i/workloads)
		names[a.Labels["namespace"]+"/"+a.Labels["alertname"]] = true
		list = append(list, a)
	}
	for part := range slices.Chunk(list, perPost) {
		bodies = append(bodies, body(t, part...))
	}
	return bodies, workloads, len(names)
}

// TestStormIsFewMessagesAndNothingIsLost lets many alerts begin at once. With -storm=10000 and -storm-out it is the
// measurement of make bench.
func TestStormIsFewMessagesAndNothingIsLost(t *testing.T) {
	above := min(20, *stormSize/40)
	r, server := inSlack(t, func(c *config.Config) { c.StormAbove = above })
	p := r.start("a")
	bodies, workloads, groups := stormBodies(t, *stormSize)
	s := storm{Alerts: *stormSize, Workloads: workloads, Groups: groups, HeapBefore: heap()}
	most, began := watchHeap(), time.Now()
	var calls sync.WaitGroup
	next := make(chan []byte)
	for range posting {
		calls.Go(func() {
			for b := range next {
				for p.post(token, b) != http.StatusOK {
					time.Sleep(time.Second) // as Alertmanager does
				}
			}
		})
	}
	for _, b := range bodies {
		next <- b
	}
	close(next)
	calls.Wait()
	s.StoredSeconds = time.Since(began).Seconds()
	require.Eventually(t, func() bool {
		told, _, _ := r.told(server)
		return len(told) == workloads
	}, 30*time.Minute, 250*time.Millisecond)
	s.ToldSeconds = time.Since(began).Seconds()
	require.Eventually(t, func() bool {
		for _, inc := range r.incidents() {
			if inc.Status.Receivers != "oncall:Delivered" {
				return false
			}
		}
		return true
	}, 10*time.Minute, 2*time.Second)
	s.SettledSeconds, s.HeapMost = time.Since(began).Seconds(), most()
	told, singles, digests := r.told(server)
	s.Incidents, s.Messages, s.Singles, s.Digests = len(told), singles+digests, singles, digests
	s.Replies = len(server.Messages(slackChannel)) - s.Messages
	assert.Equal(t, workloads, s.Incidents)
	assert.Equal(t, []int{1}, slices.Compact(slices.Collect(maps.Values(told))), "each is told once")
	assert.Less(t, s.Messages, workloads/2)
	stored := 0
	for _, inc := range r.incidents() {
		stored += len(inc.Status.Alerts)
	}
	assert.Equal(t, *stormSize, stored)
	if *stormOut != "" {
		data, err := json.MarshalIndent(s, "", "  ")
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(*stormOut, append(data, '\n'), 0o644))
	}
}
