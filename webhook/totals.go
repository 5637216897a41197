package webhook

import "time"

// DefaultTotalsLimit is the Limit of a [TotalsQuery] that has none.
const DefaultTotalsLimit = 100_000

// TotalsQuery selects the deliveries that [History.Totals] counts.
type TotalsQuery struct {
	// OrganizationID is whose deliveries are counted, unless AllOrganizations is set.
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

// Totals says how many deliveries have not succeeded yet, and how long the first of them has
// waited. They are as they are now, whatever happened before.
type Totals struct {
	// Pending, InFlight and Paused count the unfinished deliveries by the status that they report.
	// Pending ones are due, or wait for their next attempt.
	Pending, InFlight, Paused int64
	// Dead counts the deliveries that are dead: neither replayed nor pruned since they died.
	Dead int64
	// MoreUnfinished says that counting stopped at the query's Limit: there may be more than Pending,
	// InFlight and Paused say. MoreDead says the same of Dead.
	MoreUnfinished, MoreDead bool
	// OldestDue is since when the delivery has been due that has waited longest for a claim. Zero if
	// none is due. A delivery in flight is due again when its lease ends. What waits for a paused
	// subscription, or for an endpoint that is not healthy, does not count. If MoreUnfinished is set,
	// a store may have looked at some of the endpoints only, at least 1000.
	OldestDue time.Time
	// DegradedEndpoints and DisabledEndpoints count the endpoints whose stored [EndpointState] says
	// so, up to the query's Limit together.
	DegradedEndpoints, DisabledEndpoints int64
}

// CountUnfinished adds n deliveries that report the status, which is not a settled one.
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
