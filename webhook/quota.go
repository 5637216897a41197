package webhook

import "math"

// Quota bounds what one organization may have stored, because every event is matched against its
// subscriptions and becomes a delivery for each of their channels. In dispatch.Config, zero means
// the default and dispatch.NoLimit no bound; in a call of a [Store], zero means no bound.
//
// No quota bounds the pending deliveries of an organization: an emit that was accepted is never
// dropped. They wait in the store, and [Totals] count them.
type Quota struct {
	// Subscriptions is how many subscriptions there may be. The Dispatcher's
	// default is 20,000.
	//
	// It bounds their event types too, which every process that emits has in memory: a subscription
	// with more than FewEventTypes is refused if all together would have more than FewEventTypes for
	// each of these subscriptions, and more than 10,000.
	Subscriptions int
	// Channels is how many channels they may have together. The
	// Dispatcher's default is 50,000.
	Channels int
}

// FewEventTypes is how many event types a subscription may have whatever the other subscriptions of
// its organization have.
const FewEventTypes = 10

// leastEventTypes is how many event types all subscriptions together may have under any quota.
const leastEventTypes = 20 * MaxEventTypes

// CheckEventTypes returns a [*LimitError] if a subscription with n event types makes that all, its own
// included, exceed the quota.
func (q Quota) CheckEventTypes(n, all int) error {
	if q.Subscriptions <= 0 || q.Subscriptions > math.MaxInt/FewEventTypes || n <= FewEventTypes {
		return nil
	}
	if most := max(q.Subscriptions*FewEventTypes, leastEventTypes); all > most {
		return &LimitError{Limit: "event types", Max: most}
	}
	return nil
}

// Check returns a [*LimitError] if these numbers of subscriptions or channels exceed the quota.
func (q Quota) Check(subscriptions, channels int) error {
	switch {
	case q.Subscriptions > 0 && subscriptions > q.Subscriptions:
		return &LimitError{Limit: "webhooks", Max: q.Subscriptions}
	case q.Channels > 0 && channels > q.Channels:
		return &LimitError{Limit: "channels", Max: q.Channels}
	}
	return nil
}
