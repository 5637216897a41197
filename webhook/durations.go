package webhook

import (
	"math"
	"sort"
	"time"
)

// Durations counts attempts by how long they took, in fixed buckets, so that the counts of channels,
// hours and subscriptions can be added up: percentiles cannot. Bucket i has those that took longer
// than bound i-1 and at most bound i of [DurationBounds]; the last one has all that took longer.
type Durations [11]int64

// DurationBounds returns the upper bounds of the buckets of [Durations], in ascending order. The
// last bucket has none.
func DurationBounds() []time.Duration {
	const ms = time.Millisecond
	return []time.Duration{10 * ms, 25 * ms, 50 * ms, 100 * ms, 250 * ms, 500 * ms, time.Second,
		2500 * ms, 5 * time.Second, 10 * time.Second}
}

var durationBounds = DurationBounds()

// Count adds an attempt that took that long.
func (d *Durations) Count(took time.Duration) {
	d[sort.Search(len(durationBounds), func(i int) bool { return took <= durationBounds[i] })]++
}

// Add adds the counts of other.
func (d *Durations) Add(other *Durations) {
	for i, n := range other {
		d[i] += n
	}
}

// Quantile estimates the duration that a share q of the attempts did not exceed: 0.95 is the 95th
// percentile. It assumes that attempts are spread evenly within a bucket. Beyond the last bound it
// returns that bound, so 10 s means 10 s or more. It returns 0 if nothing was counted; q is taken as
// 0 or 1 if it is beyond them.
func (d *Durations) Quantile(q float64) time.Duration {
	var all int64
	for _, n := range d {
		all += n
	}
	rank := math.Min(math.Max(q, 0), 1) * float64(all)
	var below int64
	var lower time.Duration
	for i, upper := range durationBounds {
		if n := d[i]; n > 0 && float64(below+n) >= rank {
			return lower + time.Duration((rank-float64(below))/float64(n)*float64(upper-lower))
		}
		below, lower = below+d[i], upper
	}
	if all == 0 {
		return 0
	}
	return lower
}
