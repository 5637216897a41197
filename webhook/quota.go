package webhook

// Quota bounds what one organization may have stored: every event is matched
// against its subscriptions, and becomes a delivery for each of their channels. In a
// [Config] zero is the default, and [NoLimit] none; in a call of a [Store] zero is
// none.
type Quota struct {
	// Subscriptions is how many subscriptions there may be. Config's default is
	// 20,000.
	Subscriptions int
	// Channels is how many channels they may have together. Config's default is
	// 50,000.
	Channels int
}

// Check returns a [*LimitError] if an organization must not have so many subscriptions,
// or channels.
func (q Quota) Check(subscriptions, channels int) error {
	switch {
	case q.Subscriptions > 0 && subscriptions > q.Subscriptions:
		return &LimitError{Limit: "webhooks", Max: q.Subscriptions}
	case q.Channels > 0 && channels > q.Channels:
		return &LimitError{Limit: "channels", Max: q.Channels}
	}
	return nil
}
