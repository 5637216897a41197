package webhook

import "time"

// DefaultTotalsLimit is the Limit of a [TotalsQuery] that has none.
const DefaultTotalsLimit = 100_000

// TotalsQuery selects the deliveries that [History.Totals] counts.
type TotalsQuery struct {
	// OrganizationID is the organization whose deliveries are counted, unless AllOrganizations is set.
	OrganizationID string
	// AllOrganizations counts the deliveries of all organizations together.
	AllOrganizations bool
	// Limit bounds the work: a store that has counted that many unfinished deliveries, or that
	// many dead ones, may stop there. 0 or less means [DefaultTotalsLimit].
	Limit int
}

// CountLimit returns how many deliveries of a kind the query asks to count at most.
func (q *TotalsQuery) CountLimit() int {
	if q.Limit <= 0 {
		return DefaultTotalsLimit
	}
	return q.Limit
}

// Totals says how many deliveries are unfinished or dead now, and how long the oldest due delivery
// has been waiting.
type Totals struct {
	// Pending, InFlight and Paused count the unfinished deliveries by the status that they report.
	// Pending deliveries are due, or wait for their next attempt.
	Pending, InFlight, Paused int64
	// Dead counts the deliveries that are dead now: those that were replayed or pruned do not count.
	Dead int64
	// MoreUnfinished says that counting stopped at the query's Limit: there may be more than Pending,
	// InFlight and Paused say. MoreDead says the same of Dead.
	MoreUnfinished, MoreDead bool
	// OldestDue is the time since which the oldest due delivery has been waiting for a claim. Zero if
	// none is due. A delivery in flight is due again when its lease ends. Deliveries that wait for a
	// paused subscription, or for an endpoint that is not healthy, do not count. If MoreUnfinished is
	// set, a store may have looked at only some of the endpoints, at least 1000.
	OldestDue time.Time
	// InLine counts those of the unfinished deliveries that wait behind another one of their subject
	// (see [Ordering]), and Holding those of the dead that hold their subject, each up to the query's
	// Limit. OldestHolding is when the oldest of those that were counted died; zero if none holds.
	InLine, Holding int64
	OldestHolding   time.Time
	// DegradedEndpoints and DisabledEndpoints count the endpoints whose stored [EndpointState] says
	// so, up to the query's Limit together.
	DegradedEndpoints, DisabledEndpoints int64
	// FanOuts counts the events of which some deliveries are still to be stored (see [Queue.FanOut]),
	// and OldestFanOut is when the oldest of them was emitted; zero if there is none. They are set if
	// the query has AllOrganizations. A store may stop at 1000 pieces of such events.
	FanOuts      int64
	OldestFanOut time.Time
}

// CountUnfinished adds n to Pending, InFlight or Paused, as the status says. The status must not be
// a settled one.
func (t *Totals) CountUnfinished(status Status, n int64) {
	switch status {
	case StatusPaused:
		t.Paused += n
	case StatusInFlight:
		t.InFlight += n
	default:
		t.Pending += n
	}
}

// Unfinished returns how many deliveries are not settled.
func (t *Totals) Unfinished() int64 { return t.Pending + t.InFlight + t.Paused }

// Waiting returns how many deliveries are pending or paused: unfinished, and not in flight. It is what
// [HourlyBacklog].Waiting counts.
func (t *Totals) Waiting() int64 { return t.Pending + t.Paused }
