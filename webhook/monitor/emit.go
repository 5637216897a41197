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

// outage is a time in which events cannot be emitted, or one cannot.
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
func (m *Monitor) add(r *report) { m.queue = enqueue(m.queue, r, m.cfg.QueueSize, &m.dropped, ownerOf) }

func ownerOf(r *report) string { return r.about.organizationID }

// collect makes reports of what the hooks have counted since the last time.
func (m *Monitor) collect(ctx context.Context) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.collectRefusing(ctx)
	m.logSilence(ctx)
	for key, count := range m.dead.of {
		if m.tells(toldKey{key.endpointKey, 0}, key.hour) {
			m.add(ofDead(key, count))
		}
	}
	m.dead.clear()
	for key, f := range m.failing.of {
		if m.tells(toldKey{key, f.percent}, f.since) {
			m.add(&report{eventType: WebhookFailing, about: key, at: f.at,
				percent: f.percent, failingSince: f.since})
		}
	}
	m.failing.clear()
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
	stopped := false
	var failed endpointKey // because of an outage
	m.queue = slices.DeleteFunc(m.queue, func(r *report) (done bool) {
		if stopped || ctx.Err() != nil || r.outage.until.After(time.Now()) {
			return false
		}
		var err error
		if !m.guard(ctx, func() { err = m.emit(ctx, d, r) }) {
			m.dropped.Add(1)
			return true
		}
		if err == nil {
			m.outage = outage{}
			return true
		}
		if stopped = isOutage(err); stopped {
			failed = r.about
		}
		return !m.failed(ctx, r, err)
	})
	if stopped {
		m.queue = behind(m.queue, failed)
	}
	return m.nextTry(time.Now())
}

// behind puts the reports about an endpoint behind all others, lest one whose call hangs be the
// first each time. Their own order stays.
func behind(queue []*report, about endpointKey) []*report {
	var last []*report
	queue = slices.DeleteFunc(queue, func(r *report) bool {
		if r.about == about {
			last = append(last, r)
		}
		return r.about == about
	})
	return append(queue, last...)
}

// nextTry returns after how long the first report that waits may be tried, or 0 if none waits.
func (m *Monitor) nextTry(now time.Time) time.Duration {
	if len(m.queue) == 0 {
		return 0
	}
	first := slices.MinFunc(m.queue, func(a, b *report) int {
		return a.outage.until.Compare(b.outage.until)
	})
	return max(first.outage.until.Sub(now), m.outage.until.Sub(now), time.Millisecond)
}

// isOutage reports whether an error says that other reports would fail as well: the store is
// unavailable, or does not answer. A transaction that has stored the same event blocks one report.
func isOutage(err error) bool {
	return !errors.Is(err, webhook.ErrBlocked) &&
		(errors.Is(err, webhook.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded))
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

// failed reports whether a report that could not be emitted is to be tried again, and notes when.
func (m *Monitor) failed(ctx context.Context, r *report, err error) (again bool) {
	now := time.Now()
	if r.failedSince.IsZero() {
		r.failedSince = now
	}
	var invalid *event.ValidationError
	again = !errors.As(err, &invalid) && now.Sub(r.failedSince) < maxFailed
	message := "webhook: an operational event cannot be emitted, it is tried again"
	if !again {
		m.dropped.Add(1)
		message = "webhook: an operational event cannot be emitted, it is dropped"
	}
	o := &r.outage // the reason may be this report
	if isOutage(err) {
		o = &m.outage
	}
	if (o.wait == 0 || !again) && ctx.Err() == nil {
		m.cfg.Logger.WarnContext(ctx, message, "event_type", r.eventType,
			"organization_id", r.about.organizationID,
			"webhook_id", r.about.endpoint.SubscriptionID, "channel", r.about.endpoint.Channel,
			"error", err)
	}
	o.wait = min(max(2*o.wait, firstWait), maxWait)
	o.until = now.Add(o.wait)
	return again
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
	m.followUps = enqueue(m.followUps, r, m.cfg.QueueSize, &m.dropped, ownerOf)
}
