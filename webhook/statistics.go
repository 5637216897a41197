package webhook

import (
	"time"
)

// StatisticsKept is how far back statistics go: Prune removes the figures of
// hours that ended longer ago.
const StatisticsKept = 30 * 24 * time.Hour

// StatisticsQuery selects the figures of one subscription.
type StatisticsQuery struct {
	// OrganizationID is the organization of the subscription; "" is that of a service without
	// tenants.
	OrganizationID string
	SubscriptionID string
	// Since is rounded down to the hour, in UTC. Zero selects everything that is kept.
	Since time.Time
}

// Statistics says how a subscription has been doing: how many of its deliveries are unfinished now,
// and what was recorded since Since. A recorded attempt or end stays counted when its delivery is
// replayed or pruned. A delivery that settles again after a replay counts again.
//
// Figures belong to the channels that the subscription has now: those of a channel are
// removed with it, and all of them when the subscription is deleted.
type Statistics struct {
	// Since is where the figures begin: the query's Since rounded down to the hour, or
	// zero.
	Since time.Time

	// Pending, InFlight and Paused count the unfinished deliveries, whatever Since is.
	Pending, InFlight, Paused int64

	// Succeeded counts the attempts that the target accepted, each of which
	// ended its delivery, and Failed all others.
	Succeeded, Failed int64
	// Dead counts the deliveries that became dead, Cancelled those that Cancel ended.
	Dead, Cancelled int64
	// Duration is how long all attempts took together, and Durations counts them by how long each
	// took.
	Duration  time.Duration
	Durations Durations

	// LastSuccess and LastFailure are when the latest attempts of either kind
	// were started; zero if there were none.
	LastSuccess, LastFailure time.Time
	// LastFailed is the delivery of the attempt at LastFailure, which may have
	// been pruned since. Zero if there was none.
	LastFailed DeliveryID
}

// Attempts counts all attempts.
func (s *Statistics) Attempts() int64 { return s.Succeeded + s.Failed }

// Add adds the recorded figures of other: those of another endpoint, or another hour.
func (s *Statistics) Add(other *Statistics) {
	s.Succeeded += other.Succeeded
	s.Failed += other.Failed
	s.Dead += other.Dead
	s.Cancelled += other.Cancelled
	s.Duration += other.Duration
	s.Durations.Add(&other.Durations)
	if other.LastSuccess.After(s.LastSuccess) {
		s.LastSuccess = other.LastSuccess
	}
	if other.LastFailure.After(s.LastFailure) {
		s.LastFailure, s.LastFailed = other.LastFailure, other.LastFailed
	}
}

// CountUnfinished adds n to Pending, InFlight or Paused, as the status says. The status must not be
// a settled one.
func (s *Statistics) CountUnfinished(status Status, n int64) {
	switch status {
	case StatusPaused:
		s.Paused += n
	case StatusInFlight:
		s.InFlight += n
	default:
		s.Pending += n
	}
}

// Count adds a result that was accepted. A Store calls it in Settle.
func (s *Statistics) Count(v *Settlement) {
	if v.Status == StatusDead {
		s.Dead++
	}
	if v.Attempt == nil {
		return
	}
	took := v.Attempt.Duration.Truncate(time.Microsecond)
	s.Duration += took
	s.Durations.Count(took)
	started := v.Attempt.StartedAt.UTC().Truncate(time.Microsecond)
	if v.Attempt.Succeeded() {
		s.Succeeded++
		if started.After(s.LastSuccess) {
			s.LastSuccess = started
		}
		return
	}
	s.Failed++
	if started.After(s.LastFailure) {
		s.LastFailure, s.LastFailed = started, v.DeliveryID
	}
}
