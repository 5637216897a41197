package webhook

import (
	"context"
	"time"
)

// BacklogStore keeps how large the backlog was, hour by hour. Nothing else that a store keeps can
// tell: what was replayed, cancelled or removed since is not what was waiting then.
type BacklogStore interface {
	// SampleBacklog counts what is waiting at now, of each organization, and keeps the largest numbers
	// of the hour of now. It does nothing if another call, of any process, did so less than
	// [BacklogSampleGap] before now. The cost of a call is bounded: a store may count a part of the
	// organizations, and go on with the others in the next call.
	SampleBacklog(ctx context.Context, now time.Time) error
	// HourlyBacklog returns how much was waiting, the oldest hour first. An hour of which nothing is
	// known is left out: SampleBacklog was not called in it, or has not come to the organization. An
	// hour in which nothing was waiting is there.
	HourlyBacklog(ctx context.Context, q BacklogQuery) ([]HourlyBacklog, error)
}

// BacklogSampleInterval is how often a Dispatcher calls SampleBacklog, and BacklogSampleGap the
// shortest time between two calls that count.
const (
	BacklogSampleInterval = time.Minute
	BacklogSampleGap      = BacklogSampleInterval / 2
)

// BacklogQuery selects the hours that [BacklogStore].HourlyBacklog returns: those of one
// organization, or of all.
type BacklogQuery struct {
	// OrganizationID is the organization, unless AllOrganizations is set; "" is that of a service
	// without tenants.
	OrganizationID   string
	AllOrganizations bool
	// Since is rounded down to the hour, in UTC. Zero selects everything that is kept: see
	// [StatisticsKept].
	Since time.Time
}

// HourlyBacklog says how much was waiting within an hour.
type HourlyBacklog struct {
	// Hour is when the hour began, in UTC.
	Hour time.Time
	// Waiting is the largest number of deliveries that were pending or paused at a time. More says
	// that there may have been more, because a store counts up to a limit. Of all organizations
	// together, a store that counts some of them in each call adds up what it found minutes apart.
	Waiting int64
	More    bool
	// OldestDueAge is the longest time that the oldest due delivery had been waiting for a claim: see
	// [Totals].OldestDue. Zero if none was due.
	OldestDueAge time.Duration
}

// Add takes what is larger in another sample of the hour.
func (h *HourlyBacklog) Add(other *HourlyBacklog) {
	h.Waiting = max(h.Waiting, other.Waiting)
	h.More = h.More || other.More
	h.OldestDueAge = max(h.OldestDueAge, other.OldestDueAge)
}
