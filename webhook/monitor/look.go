package monitor

import (
	"context"
	"time"

	"github.com/mixpeek/webhooks-go/webhook/dispatch"
)

// backlog is what is known of the backlog.
type backlog struct {
	growing bool
	since   time.Time // when this process has seen it grow
	hour    time.Time // of the last BacklogGrowing
	failing bool      // Stats cannot be had
}

// look looks at the backlog.
func (m *Monitor) look(ctx context.Context, d Dispatcher) {
	if dropped := m.dropped.Load(); dropped > m.logged {
		m.cfg.Logger.WarnContext(ctx, "webhook: operational events were dropped",
			"reports", dropped-m.logged)
		m.logged = dropped
	}
	b := &m.backlog
	if never(m.cfg.BacklogAge) {
		return
	}
	var s dispatch.Stats
	var err error
	ok := m.guard(ctx, func() { s, err = d.Stats(ctx) })
	if err != nil || !ok {
		if ok && !b.failing && ctx.Err() == nil {
			m.cfg.Logger.WarnContext(ctx, "webhook: the backlog cannot be read", "error", err)
		}
		b.failing = true
		return
	}
	b.failing = false
	hour := s.At.Truncate(time.Hour)
	switch age := s.OldestDueAge(); {
	case age >= m.cfg.BacklogAge:
		if !b.growing {
			b.growing, b.since = true, s.At
		}
		if b.hour.Before(hour) {
			b.hour = hour
			m.add(m.ofBacklog(BacklogGrowing, &s))
		}
	case b.growing && age < m.cfg.BacklogAge/2:
		b.growing = false
		m.add(m.ofBacklog(BacklogCleared, &s))
	}
}

// ofBacklog is the report about the backlog. A BacklogCleared belongs to the hour of the
// BacklogGrowing before it, so that all processes name it alike, and none is left without one.
func (m *Monitor) ofBacklog(eventType string, s *dispatch.Stats) *report {
	t := &s.Stored
	return &report{
		eventType: eventType, at: s.At, bucket: m.backlog.hour,
		metadata: map[string]any{
			"since": timestamp(m.backlog.since), "oldest_due_age_seconds": s.OldestDueAge().Seconds(),
			"bound_seconds": m.cfg.BacklogAge.Seconds(),
			"pending":       t.Pending, "in_flight": t.InFlight, "paused": t.Paused, "dead": t.Dead,
			"incomplete":         t.MoreUnfinished || t.MoreDead,
			"degraded_endpoints": t.DegradedEndpoints, "disabled_endpoints": t.DisabledEndpoints,
		},
	}
}
