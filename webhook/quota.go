package webhook

// Quota bounds what one organization may have stored, because every event is matched against its
// subscriptions and becomes a delivery for each of their channels. In dispatch.Config, zero means
// the default and dispatch.NoLimit no bound; in a call of a [Store], zero means no bound.
//
// No quota bounds the pending deliveries of an organization: an emit that was accepted is never
// dropped. They wait in the store, and [Totals] count them.
type Quota struct {
	// Subscriptions is how many subscriptions there may be. The Dispatcher's
	// default is 20,000.
	Subscriptions int
	// Channels is how many channels they may have together. The
	// Dispatcher's default is 50,000.
	Channels int
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
