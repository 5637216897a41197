package dispatch

import (
	"context"
	"log/slog"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch/internal/outage"
)

// linesPerMinute bounds the lines of the log that are written for single deliveries, of each kind.
const linesPerMinute = 100

// deliveryLogs bound the lines that thousands of deliveries may cause at once.
type deliveryLogs struct{ dead, late, leaseLost, attemptLost, notStored, cutOff outage.Throttle }

func (l *deliveryLogs) limit() {
	for _, b := range []*outage.Throttle{
		&l.dead, &l.late, &l.leaseLost, &l.attemptLost, &l.notStored, &l.cutOff,
	} {
		b.PerMinute = linesPerMinute
	}
}

// logDelivery writes a line about a delivery, unless there were too many of its kind: then the next
// one that is written says how many were not, as unlogged.
func (d *Dispatcher) logDelivery(
	ctx context.Context, throttle *outage.Throttle, message string, t *task, a *webhook.Attempt,
	more ...slog.Attr,
) {
	if !d.cfg.Logger.Enabled(ctx, slog.LevelWarn) {
		return
	}
	unlogged, ok := throttle.Allow(time.Now())
	if !ok {
		return
	}
	attributes := append(deliveryAttributes(t, a), more...)
	if unlogged > 0 {
		attributes = append(attributes, slog.Int("unlogged", unlogged))
	}
	d.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, message, attributes...)
}

// deliveryAttributes name the delivery and, unless it is nil, what the attempt came to.
func deliveryAttributes(t *task, a *webhook.Attempt) []slog.Attr {
	attributes := []slog.Attr{
		slog.String("event_id", t.EventID),
		slog.String("event_type", t.EventType),
		slog.String("delivery_id", t.DeliveryID.String()),
		slog.String("webhook_id", t.Endpoint.SubscriptionID),
		slog.String("channel", t.Endpoint.Channel),
		slog.String("organization_id", t.OrganizationID),
	}
	if a == nil {
		return append(attributes, slog.Int("attempt", t.Attempts))
	}
	attributes = append(attributes, slog.Int("attempt", t.Attempts+1))
	if a.StatusCode != 0 {
		attributes = append(attributes, slog.Int("status_code", a.StatusCode))
	}
	if a.Class != "" {
		attributes = append(attributes, slog.String("class", a.Class), slog.String("error", a.Error))
	}
	return attributes
}

// logAttempt writes a line about an attempt that is over, for those who look closely.
func (d *Dispatcher) logAttempt(ctx context.Context, t *task, a *webhook.Attempt) {
	if d.cfg.Logger.Enabled(ctx, slog.LevelDebug) {
		d.cfg.Logger.LogAttrs(ctx, slog.LevelDebug, "webhook: attempted",
			append(deliveryAttributes(t, a), slog.Duration("duration", a.Duration))...)
	}
}

// logSettled writes a line if the result made the delivery dead.
func (d *Dispatcher) logSettled(ctx context.Context, t *task, s *webhook.Settlement) {
	if s.Status == webhook.StatusDead {
		d.logDelivery(ctx, &d.logs.dead, "webhook: a delivery is dead", t, s.Attempt)
	}
}

// leasesLost tells the log and the hook of deliveries that this process had leased, and that
// another one has taken over, or that were cancelled.
func (d *Dispatcher) leasesLost(ctx context.Context, lost []*task) {
	for _, t := range lost {
		d.logDelivery(ctx, &d.logs.leaseLost, "webhook: a lease was lost", t, nil)
	}
	if hook := d.cfg.Hooks.LeasesLost; hook != nil && len(lost) > 0 {
		hookEnd(ctx, d, "LeasesLost", hook, LeasesLost{Deliveries: len(lost)})
	}
}
