package webhook

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/mixpeek/webhooks-go/event"
)

// Retry says when the failed deliveries of one subscription are tried again, and when they are
// given up. It takes precedence over dispatch.Config.Retry, which decides what a Retry leaves open;
// the zero Retry leaves everything to it. Its JSON is
//
//	{"delays_seconds": [5, 300, 1800], "max_attempts": 4, "max_age_seconds": 86400}
//
// A receiver has to remember an event_id for longer than its deliveries are retried.
type Retry struct {
	// Delays are the waits after the first failure, the second, and so on. When they are used up, the
	// delivery is given up. They are whole seconds, and the Dispatcher makes each a little longer,
	// by up to a tenth: see dispatch.Config.ScheduleJitter. If an endpoint asks for a longer wait, it
	// gets that. Empty means that dispatch.Config.Retry decides. [StandardRetryDelays] is a
	// list that many know.
	Delays []time.Duration
	// MaxAttempts bounds the attempts of a delivery: 1 means one attempt and no retry. A replay
	// starts the count again. 0 means no bound of its own.
	MaxAttempts int
	// MaxAge bounds the time from the emit, or the last replay, to the last attempt, in whole
	// seconds. 0 means no bound of its own.
	MaxAge time.Duration
}

// The bounds of a Retry.
const (
	// MaxRetryDelays is how many entries Retry.Delays may have.
	MaxRetryDelays = 100
	// MaxRetryDelay is the longest of Retry.Delays.
	MaxRetryDelay = 24 * time.Hour
	// MaxRetryAttempts is the largest Retry.MaxAttempts. A delivery that has made dispatch.MaxReplayed
	// attempts, which are fewer, cannot be replayed.
	MaxRetryAttempts = 1000
	// MaxRetryAge is the longest Retry.MaxAge, and bounds the sum of Retry.Delays.
	MaxRetryAge = 30 * 24 * time.Hour
)

// StandardRetryDelays returns the waits of the schedule that the specification of Standard Webhooks
// gives: after 5 s, 5 min, 30 min, and 2, 5, 10, 14, 20 and 24 hours. That makes 10 attempts in three
// days and four hours. It fits Retry.Delays as well as dispatch.RetrySchedule.
func StandardRetryDelays() []time.Duration {
	return []time.Duration{
		5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour,
		10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
	}
}

// Validate returns an [*event.ValidationError] that lists every invalid field by its JSON name. A
// nil Retry is valid.
func (r *Retry) Validate() error {
	if r == nil {
		return nil
	}
	var p event.Problems
	if n := len(r.Delays); n > MaxRetryDelays {
		p.Add("delays_seconds", "must have at most %d entries, has %d", MaxRetryDelays, n)
		return p.Err()
	}
	sum := time.Duration(0)
	for i, delay := range r.Delays {
		checkSeconds(&p, fmt.Sprintf("delays_seconds[%d]", i), delay, MaxRetryDelay)
		sum += min(max(delay, 0), MaxRetryDelay)
	}
	if sum > MaxRetryAge {
		p.Add("delays_seconds", "must be at most %d in all", int64(MaxRetryAge/time.Second))
	}
	if r.MaxAttempts < 0 || r.MaxAttempts > MaxRetryAttempts {
		p.Add("max_attempts", "must be from 0 to %d", MaxRetryAttempts)
	}
	checkSeconds(&p, "max_age_seconds", r.MaxAge, MaxRetryAge)
	return p.Err()
}

// checkSeconds reports what is no number of seconds from 0 to the most.
func checkSeconds(p *event.Problems, field string, d, most time.Duration) {
	if d < 0 || d > most || d%time.Second != 0 {
		p.Add(field, "must be a whole number from 0 to %d", int64(most/time.Second))
	}
}

// Clone returns a copy that shares nothing with r.
func (r *Retry) Clone() *Retry {
	if r == nil {
		return nil
	}
	c := *r
	c.Delays = slices.Clone(r.Delays)
	return &c
}

type retryJSON struct {
	Delays      []int64 `json:"delays_seconds,omitempty"`
	MaxAttempts int     `json:"max_attempts,omitempty"`
	MaxAge      int64   `json:"max_age_seconds,omitempty"`
}

// MarshalJSON writes durations as seconds, and leaves out what is zero.
func (r Retry) MarshalJSON() ([]byte, error) {
	out := retryJSON{MaxAttempts: r.MaxAttempts, MaxAge: int64(r.MaxAge / time.Second)}
	for _, delay := range r.Delays {
		out.Delays = append(out.Delays, int64(delay/time.Second))
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads what MarshalJSON writes. It does not validate.
func (r *Retry) UnmarshalJSON(data []byte) error {
	var in retryJSON
	if err := json.Unmarshal(data, &in); err != nil {
		return fmt.Errorf("webhook: decoding a retry policy: %w", err)
	}
	*r = Retry{MaxAttempts: in.MaxAttempts, MaxAge: seconds(in.MaxAge)}
	for _, delay := range in.Delays {
		r.Delays = append(r.Delays, seconds(delay))
	}
	return nil
}

// seconds is a duration of so many seconds, or the longest that there is.
func seconds(n int64) time.Duration {
	const most = int64(math.MaxInt64 / time.Second)
	return time.Duration(min(max(n, -most), most)) * time.Second
}
