package dispatch

import (
	"context"
	"log/slog"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch/internal/outage"
)

// These bound the lines of the log about single deliveries and endpoints, of each kind in a minute:
// about one endpoint, about all of them, and how many endpoints have a line in any case.
const (
	linesPerEndpoint   = 10
	linesPerMinute     = 100
	maxLoggedEndpoints = 1000
)

// lineKind is a kind of lines, which all have the same message.
type lineKind struct {
	message  string
	throttle outage.KeyedThrottle[webhook.Endpoint]
}

// logLines are the kinds of lines of which thousands may come at once.
type logLines struct{ dead, late, leaseLost, attemptLost, notStored, cutOff lineKind }

func (l *logLines) init() {
	l.dead.message = "webhook: a delivery is dead"
	l.late.message = "webhook: a result came too late"
	l.leaseLost.message = "webhook: a lease was lost"
	l.attemptLost.message = "webhook: an attempt had no result, the process stopped or lost its lease"
	l.notStored.message = "webhook: the state of an endpoint cannot be stored"
	l.cutOff.message = "webhook: no host answers this process, so no endpoint is degraded"
	for _, kind := range l.all() {
		kind.throttle.PerKey, kind.throttle.PerMinute = linesPerEndpoint, linesPerMinute
		kind.throttle.MaxKeys = maxLoggedEndpoints
	}
}

func (l *logLines) all() []*lineKind {
	return []*lineKind{&l.dead, &l.late, &l.leaseLost, &l.attemptLost, &l.notStored, &l.cutOff}
}

// logHeldBack writes a line for each kind of which lines were held back, once a minute, or now if
// this is the end of Run.
func (d *Dispatcher) logHeldBack(ctx context.Context, end bool) {
	at := time.Now()
	for _, kind := range d.lines.all() {
		held, some := kind.throttle.EndMinute(at, end)
		if !some {
			continue
		}
		d.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "webhook: lines were left out of the log",
			slog.String("line", kind.message), slog.Int("lines", held.Messages),
			slog.String("most_webhook_id", held.MostKey.SubscriptionID),
			slog.String("most_channel", held.MostKey.Channel), slog.Int("most_lines", held.MostMessages))
	}
}

// maxSummaryTime is how long the end of Run waits for the figures of its line in the log.
const maxSummaryTime = time.Second

// logStart writes a line about what the store holds when Run begins.
func (d *Dispatcher) logStart(ctx context.Context) {
	summary, err := d.summary(ctx, storeTimeout)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		d.cfg.Logger.WarnContext(ctx, "webhook: started, and the store cannot be read", "error", err)
	default:
		d.cfg.Logger.LogAttrs(ctx, slog.LevelInfo, "webhook: started", summary...)
	}
}

// summary are the attributes of a line about what the store holds, for all organizations.
func (d *Dispatcher) summary(ctx context.Context, timeout time.Duration) ([]slog.Attr, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	s, err := d.Stats(ctx)
	if err != nil {
		return nil, err
	}
	t := &s.Stored
	attributes := []slog.Attr{
		slog.Int64("pending", t.Pending), slog.Int64("in_flight", t.InFlight),
		slog.Int64("in_flight_elsewhere", max(t.InFlight-int64(s.Process.Leased), 0)),
		slog.Int64("paused", t.Paused), slog.Int64("dead", t.Dead),
		slog.Int64("degraded_endpoints", t.DegradedEndpoints),
		slog.Int64("disabled_endpoints", t.DisabledEndpoints),
	}
	if t.MoreUnfinished || t.MoreDead {
		attributes = append(attributes, slog.Bool("incomplete", true)) // there are more
	}
	if !t.OldestDue.IsZero() {
		attributes = append(attributes, slog.Time("oldest_due", t.OldestDue))
	}
	return attributes, nil
}

// logDelivery writes a line about a delivery, unless there were too many of its kind.
func (d *Dispatcher) logDelivery(
	ctx context.Context, kind *lineKind, t *task, a *webhook.Attempt, more ...slog.Attr,
) {
	if d.cfg.Logger.Enabled(ctx, slog.LevelWarn) && kind.throttle.Allow(time.Now(), t.Endpoint) {
		d.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, kind.message,
			append(deliveryAttributes(t, a), more...)...)
	}
}

// names are what people know an endpoint by: the name of its subscription and the host of its
// attempts. Either is empty if it is not known.
type names struct{ webhook, host string }

// append adds the names that are known to the attributes of a line. There is never a path or query
// in them, which may be secret.
func (n names) append(attributes []slog.Attr) []slog.Attr {
	if n.webhook != "" {
		attributes = append(attributes, slog.String("webhook_name", n.webhook))
	}
	if n.host != "" {
		attributes = append(attributes, slog.String("host", n.host))
	}
	return attributes
}

// deliveryAttributes name the delivery and, unless it is nil, what the attempt came to, with the
// names of the endpoint: only the worker that makes the attempt sets those, and what has its
// result.
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
	attributes = t.names.append(append(attributes, slog.Int("attempt", t.Attempts+1)))
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

// logIfDead writes a line if the result made the delivery dead.
func (d *Dispatcher) logIfDead(ctx context.Context, t *task, s *webhook.Settlement) {
	if s.Status == webhook.StatusDead {
		var more []slog.Attr
		if t.Ordered {
			more = append(more, slog.Bool("holds_subject", s.SkipAt.IsZero()))
		}
		d.logDelivery(ctx, &d.lines.dead, t, s.Attempt, more...)
	}
}

// reportLeasesLost tells the log and the hook of deliveries that this process had leased, and that
// another one has taken over, or that were cancelled.
func (d *Dispatcher) reportLeasesLost(ctx context.Context, lost []*task) {
	for _, t := range lost {
		d.logDelivery(ctx, &d.lines.leaseLost, t, nil)
	}
	if hook := d.cfg.Hooks.LeasesLost; hook != nil && len(lost) > 0 {
		hookEnd(ctx, d, "LeasesLost", hook, LeasesLost{Deliveries: len(lost)})
	}
}
