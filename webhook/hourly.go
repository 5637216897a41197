package webhook

import "time"

// HourlyQuery selects figures by hour: those of one subscription, or of a page of an organization's
// subscriptions.
type HourlyQuery struct {
	// OrganizationID is the organization; "" is that of a service without tenants.
	OrganizationID string
	// SubscriptionID selects one subscription. Empty selects all, a page at a time.
	SubscriptionID string
	// Since is rounded down to the hour, in UTC. Zero selects everything that is kept: see
	// [StatisticsKept].
	Since time.Time
	// After is the cursor: the Next of the previous page. Empty begins with the first subscription.
	// It has no effect with a SubscriptionID.
	After string
	// Limit is the largest number of subscriptions to look at. 0 or less means [DefaultPageSize].
	Limit int
}

// PageSize returns how many subscriptions the query asks for at most.
func (q *HourlyQuery) PageSize() int {
	if q.Limit <= 0 {
		return DefaultPageSize
	}
	return q.Limit
}

// HourlyPage is a page of figures by hour.
type HourlyPage struct {
	// Hours are ordered by subscription, then by hour. An hour in which nothing was recorded is
	// left out, and so is a subscription that has none.
	Hours []HourlyStatistics
	// Next is the After of the query for the next page. Empty on the last page.
	Next string
}

// HourlyStatistics says what was recorded for a subscription within an hour. See [Statistics] for
// what is counted, and when it counts twice.
type HourlyStatistics struct {
	SubscriptionID string
	// Hour is when the hour began, in UTC.
	Hour time.Time
	// Succeeded counts the attempts that the target accepted, and Failed all others.
	Succeeded, Failed int64
	// Dead counts the deliveries that became dead, Cancelled those that Cancel ended.
	Dead, Cancelled int64
	// Duration is how long all attempts took together, and Durations counts them by how long each
	// took.
	Duration  time.Duration
	Durations Durations
	// LastSuccess and LastFailure are when the latest of these attempts of either kind were started;
	// zero if there were none.
	LastSuccess, LastFailure time.Time
}
