package slacktest

import (
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Limits are how often an app may call (https://docs.slack.dev/apis/web-api/rate-limits). A value of 0 is no limit.
type Limits struct {
	// PostsPerSecond is for chat.postMessage in each channel, with bursts of PostBurst.
	PostsPerSecond float64
	PostBurst      int
	// Tier1 to Tier4 and AuthTest are calls per minute of each method.
	Tier1, Tier2, Tier3, Tier4, AuthTest int
}

// SlackLimits are the documented ones: one message a second in each channel, where Slack allows "short bursts" without
// a number (5 here); 1, 20, 50 and 100 calls a minute in tiers 1 to 4; "hundreds" a minute for auth.test (300 here).
func SlackLimits() Limits {
	return Limits{PostsPerSecond: 1, PostBurst: 5, Tier1: 1, Tier2: 20, Tier3: 50, Tier4: 100, AuthTest: 300}
}

// NoLimits take every call, for tests of something else.
func NoLimits() *Limits { return &Limits{} }

// quotas hold one bucket per token, method and, for messages, channel.
type quotas struct {
	limits  Limits
	mu      sync.Mutex
	buckets map[[3]string]*rate.Limiter
}

func newQuotas(limits Limits) *quotas {
	return &quotas{limits: limits, buckets: map[[3]string]*rate.Limiter{}}
}

// wait takes one call from the quota, or says how long to wait for one.
func (q *quotas) wait(now time.Time, token, method, channel string) time.Duration {
	limit, burst := q.of(method)
	if burst == 0 {
		return 0
	}
	if method != "chat.postMessage" {
		channel = ""
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	key := [3]string{token, method, channel}
	bucket := q.buckets[key]
	if bucket == nil {
		bucket = rate.NewLimiter(limit, burst)
		q.buckets[key] = bucket
	}
	reservation := bucket.ReserveN(now, 1)
	wait := reservation.DelayFrom(now)
	if wait > 0 {
		reservation.CancelAt(now)
	}
	return wait
}

func (q *quotas) of(method string) (rate.Limit, int) {
	perMinute := func(n int) (rate.Limit, int) { return rate.Limit(float64(n) / 60), n }
	switch method {
	case "chat.postMessage":
		if q.limits.PostsPerSecond == 0 {
			return 0, 0
		}
		return rate.Limit(q.limits.PostsPerSecond), max(q.limits.PostBurst, 1)
	case "auth.test":
		return perMinute(q.limits.AuthTest)
	case "apps.connections.open":
		// Tier 1 tolerates short bursts, for which Slack gives no number: an app may have this many connections.
		if q.limits.Tier1 == 0 {
			return 0, 0
		}
		return rate.Limit(float64(q.limits.Tier1) / 60), maxSockets
	case "conversations.list", "usergroups.users.list":
		return perMinute(q.limits.Tier2)
	case "users.info", "chat.postEphemeral", "files.getUploadURLExternal", "files.completeUploadExternal":
		return perMinute(q.limits.Tier4)
	}
	return perMinute(q.limits.Tier3)
}

// rateLimited answers 429 with Retry-After in whole seconds.
func rateLimited(w http.ResponseWriter, wait time.Duration) {
	seconds := max(1, int(math.Ceil(wait.Seconds())))
	w.Header().Set("Retry-After", strconv.Itoa(seconds))
	writeJSON(w, http.StatusTooManyRequests, failed(refuse("ratelimited")))
}
