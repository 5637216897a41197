package webhook

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/mixpeek/webhooks-go/event"
)

// WebhookQuery selects webhooks of one organization.
type WebhookQuery struct {
	OrganizationID string
	// EventType keeps the webhooks that an event of this type goes to. A
	// pattern with "*" keeps those that have just this pattern instead. Empty
	// keeps all. Finding what fits takes looking at the webhooks one by one.
	EventType string
	// Paused keeps the paused or the active ones. Nil keeps both.
	Paused *bool
	// After is the cursor: only webhooks that stand behind it in the order of
	// the list. The next page begins after the last webhook of this one.
	After WebhookCursor
	// Limit bounds the answer, and Offset skips that many. Limit 0 is no bound.
	// Negative ones count as 0.
	Limit, Offset int
}

// WebhookCursor is a place in the order of webhooks. The zero value is the
// beginning.
type WebhookCursor struct {
	// CreatedAt and ID are those of the webhook before the place.
	CreatedAt time.Time
	ID        string
}

// Cursor returns the place behind the webhook.
func (w *Webhook) Cursor() WebhookCursor { return WebhookCursor{w.CreatedAt, w.ID} }

// Fits reports whether the webhook fits the filters: EventType and Paused.
func (q *WebhookQuery) Fits(w *Webhook) bool {
	if q.Paused != nil && *q.Paused != w.Paused {
		return false
	}
	switch {
	case q.EventType == "":
		return true
	case strings.Contains(q.EventType, "*"):
		return slices.Contains(w.EventTypes, event.Pattern(q.EventType))
	default:
		return w.Matches(q.EventType)
	}
}

// CountWebhooks returns how many of the organization's webhooks fit the filters
// of the query, on all pages.
func (d *Dispatcher) CountWebhooks(ctx context.Context, q WebhookQuery) (int, error) {
	if !storable(q.OrganizationID, q.EventType) {
		return 0, nil
	}
	return d.store.CountWebhooks(ctx, q)
}
