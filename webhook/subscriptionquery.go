package webhook

import (
	"slices"
	"strings"
	"time"

	"github.com/mixpeek/webhooks-go/event"
)

// SubscriptionQuery selects subscriptions of one organization.
type SubscriptionQuery struct {
	OrganizationID string
	// EventType keeps the subscriptions that an event of this type goes to. A
	// pattern with "*" keeps those that have just this pattern instead. Empty
	// keeps all. The store looks at the subscriptions one by one.
	EventType string
	// Paused keeps the paused or the active ones. Nil keeps both.
	Paused *bool
	// After is the cursor: only subscriptions that stand behind it in the order of
	// the list. The next page begins after the last subscription of this one.
	After SubscriptionCursor
	// Limit bounds the answer, and Offset skips that many. Limit 0 is no bound.
	// Negative ones count as 0.
	Limit, Offset int
}

// SubscriptionCursor is a position in a list of subscriptions. The zero value is the beginning.
type SubscriptionCursor struct {
	// CreatedAt and ID are those of the subscription before the place.
	CreatedAt time.Time
	ID        string
}

// Cursor returns the place after the subscription.
func (sub *Subscription) Cursor() SubscriptionCursor {
	return SubscriptionCursor{sub.CreatedAt, sub.ID}
}

// Fits reports whether the subscription fits the filters: EventType and Paused.
func (q *SubscriptionQuery) Fits(sub *Subscription) bool {
	if q.Paused != nil && *q.Paused != sub.Paused {
		return false
	}
	switch {
	case q.EventType == "":
		return true
	case strings.Contains(q.EventType, "*"):
		return slices.Contains(sub.EventTypes, event.Pattern(q.EventType))
	default:
		return sub.Matches(q.EventType)
	}
}
