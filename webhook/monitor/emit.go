package monitor

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/mixpeek/webhooks-go/channel/channelkit"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
)

// outage is a time in which events cannot be emitted.
type outage struct {
	wait  time.Duration
	until time.Time // nothing is tried before
}

const (
	firstWait, maxWait = time.Second, time.Minute
	// maxFailed is for how long a report is tried.
	maxFailed = time.Hour
	// callTime bounds one call of the Dispatcher.
	callTime = 30 * time.Second
)

// toldKey names what this process has told already, and need not try again.
type toldKey struct {
	endpointKey
	percent int // 0 for DeliveryDead
}

// maxTold bounds what is remembered: without it, Emit finds the duplicates.
const maxTold = 8192

// tells notes that the report about a time is made, and returns false if it was already.
func (m *Monitor) tells(key toldKey, at time.Time) bool {
	if m.told[key].Equal(at) {
		return false
	}
	if len(m.told) >= maxTold {
		clear(m.told)
	}
	m.told[key] = at
	return true
}

// add queues a report, unless too many wait.
func (m *Monitor) add(r *report) {
	if len(m.queue) >= m.cfg.QueueSize {
		m.dropped.Add(1)
		return
	}
	m.queue = append(m.queue, r)
}

// collect makes reports of what the hooks have counted since the last time.
func (m *Monitor) collect(ctx context.Context) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.collectRefusing(ctx)
	m.logSilence(ctx)
	for key, count := range m.dead {
		if m.tells(toldKey{key.endpointKey, 0}, key.hour) {
			m.add(ofDead(key, count))
		}
	}
	clear(m.dead)
	for key, f := range m.failing {
		if m.tells(toldKey{key, f.percent}, f.since) {
			m.add(&report{eventType: WebhookFailing, about: key, at: f.at,
				percent: f.percent, failingSince: f.since})
		}
	}
	clear(m.failing)
}

// flush emits what waits, and returns after how long it is to be called again, 0 if not by itself.
func (m *Monitor) flush(ctx context.Context, d Dispatcher) time.Duration {
	m.mu.Lock()
	for i := range m.changes {
		m.add(ofChange(&m.changes[i]))
	}
	m.changes = nil
	m.mu.Unlock()
	now := time.Now()
	m.followUps = slices.DeleteFunc(m.followUps, func(r *report) bool {
		due := !now.Before(r.bucket)
		if due {
			m.add(r)
		}
		return due
	})
	if wait := m.outage.until.Sub(now); wait > 0 {
		return wait
	}
	for len(m.queue) > 0 && ctx.Err() == nil {
		r := m.queue[0]
		m.queue = m.queue[1:]
		var err error
		if !m.guard(ctx, func() { err = m.emit(ctx, d, r) }) {
			m.dropped.Add(1)
		}
		if err != nil {
			return m.failed(ctx, r, err)
		}
		m.outage = outage{}
	}
	return 0
}

// guard calls f. If it panics, such as in Config.Customer, guard logs that and returns false.
func (m *Monitor) guard(ctx context.Context, f func()) (ok bool) {
	defer func() {
		if p := recover(); p != nil {
			// Its type and not its value, which may hold a secret.
			m.cfg.Logger.ErrorContext(ctx, "webhook: an operational event panicked",
				"panic", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
		}
	}()
	f()
	return true
}

// failed decides what follows from a report that could not be emitted, and returns how long to
// wait.
func (m *Monitor) failed(ctx context.Context, r *report, err error) time.Duration {
	now := time.Now()
	if r.failedSince.IsZero() {
		r.failedSince = now
	}
	var invalid *event.ValidationError
	message := "webhook: an operational event cannot be emitted, it is tried again"
	again := !errors.As(err, &invalid) && now.Sub(r.failedSince) < maxFailed
	switch {
	case again && errors.Is(err, webhook.ErrUnavailable):
		m.queue = slices.Insert(m.queue, 0, r) // which keeps the order
	case again:
		m.add(r) // behind the others: the reason may be this one
	default:
		m.dropped.Add(1)
		message = "webhook: an operational event cannot be emitted, it is dropped"
	}
	if (m.outage.wait == 0 || !again) && ctx.Err() == nil {
		m.cfg.Logger.WarnContext(ctx, message, "event_type", r.eventType,
			"organization_id", r.about.organizationID,
			"webhook_id", r.about.endpoint.SubscriptionID, "channel", r.about.endpoint.Channel,
			"error", err)
	}
	m.outage.wait = min(max(2*m.outage.wait, firstWait), maxWait)
	m.outage.until = now.Add(m.outage.wait)
	return m.outage.wait
}

// emit emits the events of a report.
func (m *Monitor) emit(ctx context.Context, d Dispatcher, r *report) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	if r.health != "" || r.percent != 0 {
		s, err := d.EndpointState(ctx, r.about.organizationID, r.about.endpoint)
		switch {
		case errors.Is(err, webhook.ErrNotFound): // deleted
			return nil
		case err != nil:
			return err
		case r.percent != 0 && !m.completeFailing(r, &s),
			r.health != "" && (s.Health != r.health || !s.Since.Equal(r.since)):
			return nil
		}
	}
	if err := m.describe(ctx, d, r); err != nil {
		return err
	}
	events := m.events(r)
	if len(events) == 0 {
		return nil
	}
	emitted, err := d.Emit(ctx, events...)
	if err != nil {
		return err
	}
	duplicate := slices.ContainsFunc(emitted, func(e webhook.Emitted) bool { return e.Duplicate })
	// After an error, the duplicate may be the event that was stored nevertheless.
	if duplicate && r.period > 0 && r.failedSince.IsZero() {
		m.follow(r.followUp())
	}
	return nil
}

// describe adds the name of the webhook, unless that is deleted, and the summary.
func (m *Monitor) describe(ctx context.Context, d Dispatcher, r *report) error {
	if r.about != (endpointKey{}) {
		sub, err := d.Subscription(ctx, r.about.organizationID, r.about.endpoint.SubscriptionID)
		switch {
		case err == nil:
			r.metadata["webhook_name"] = sub.Name
		case !errors.Is(err, webhook.ErrNotFound):
			return err
		}
	}
	r.metadata[channelkit.SummaryField] = m.summaryOf(r)
	return nil
}

// follow keeps a report for the next hour. Of one endpoint only the last counts.
func (m *Monitor) follow(r *report) {
	m.followUps = slices.DeleteFunc(m.followUps, func(old *report) bool {
		return old.about == r.about
	})
	if len(m.followUps) >= m.cfg.QueueSize {
		m.dropped.Add(1)
		return
	}
	m.followUps = append(m.followUps, r)
}
