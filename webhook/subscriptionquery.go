package webhook

import (
	"slices"
	"strings"
	"time"

	"github.com/mixpeek/webhooks-go/event"
)

// SubscriptionQuery selects subscriptions of one organization.
type SubscriptionQuery struct {
	// OrganizationID is the organization; "" is that of a service without tenants.
	OrganizationID string
	// EventType selects the subscriptions that get events of this type. If it contains "*", it selects
	// the subscriptions that list exactly this pattern among their EventTypes. Empty selects all. The
	// cost grows with the number of the organization's subscriptions.
	EventType string
	// Paused selects the paused subscriptions if it points to true, and the active ones if it points
	// to false. Nil selects both.
	Paused *bool
	// After is the cursor: it selects the subscriptions after this position of the list. For the next
	// page, set it to the Cursor of the last subscription of this one.
	After SubscriptionCursor
	// Limit is the largest number of subscriptions to return; 0 or less means no bound (unlike
	// DeliveryQuery.Limit). Offset is how many to skip first; less than 0 counts as 0.
	Limit, Offset int
}

// SubscriptionCursor is a position in a list of subscriptions. The zero value is the beginning.
type SubscriptionCursor struct {
	// CreatedAt and ID are those of the subscription before the position.
	CreatedAt time.Time
	ID        string
}

// Cursor returns the position after the subscription.
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
