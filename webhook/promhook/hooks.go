package promhook

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mixpeek/webhooks-go/webhook/dispatch"
)

// began is the key of the time at which an operation began, in the context of its hooks.
type began struct{ op string }

func begin(ctx context.Context, op string) context.Context {
	return context.WithValue(ctx, began{op}, time.Now())
}

// took returns how many seconds have passed since begin.
func took(ctx context.Context, op string) float64 {
	at, ok := ctx.Value(began{op}).(time.Time)
	if !ok { // another hook has returned a context that is not derived from ours
		return 0
	}
	return time.Since(at).Seconds()
}

// Hooks returns the hooks that move the metrics. To use others as well, see dispatch.JoinHooks.
func (m *Metrics) Hooks() dispatch.Hooks {
	return dispatch.Hooks{
		EmitStart: func(ctx context.Context, _ dispatch.EmitStart) context.Context {
			return begin(ctx, opEmit)
		},
		EmitEnd:    m.emitEnd,
		AttemptEnd: m.attemptEnd,
		ClaimStart: func(ctx context.Context, _ dispatch.ClaimStart) context.Context {
			return begin(ctx, opClaim)
		},
		ClaimEnd: m.claimEnd,
		SettleStart: func(ctx context.Context, _ dispatch.SettleStart) context.Context {
			return begin(ctx, opSettle)
		},
		SettleEnd: m.settleEnd,
		PruneStart: func(ctx context.Context, _ dispatch.PruneStart) context.Context {
			return begin(ctx, opPrune)
		},
		PruneEnd: m.pruneEnd,
		LeasesLost: func(_ context.Context, l dispatch.LeasesLost) {
			m.instruments.leasesLost.Add(float64(l.Deliveries))
		},
		HealthChanged: m.healthChanged,
		Attempted:     m.attempted,
	}
}

// patience is after how many seconds an emit counts as failed if its caller gives up: a client that
// closes its connection is often the first to notice that the store takes nothing.
const patience = 1

func (m *Metrics) emitEnd(ctx context.Context, e dispatch.EmitEnd) {
	i := &m.instruments
	seconds := took(ctx, opEmit)
	m.observe(ctx, i.emitDuration, seconds)
	if e.Err != nil {
		if isStores(e.Err) || seconds > patience && errors.Is(e.Err, context.Canceled) {
			i.storeErrors.WithLabelValues(opEmit).Inc()
		}
		return
	}
	for n := range e.Emitted {
		result := resultStored
		if e.Emitted[n].Duplicate {
			result = resultDuplicate
		}
		i.emitted.WithLabelValues(m.eventTypes.label(e.Events[n].Type), result).Inc()
	}
}

func (m *Metrics) attemptEnd(ctx context.Context, a dispatch.AttemptEnd) {
	i := &m.instruments
	name := m.channels.label(channelName(a.Endpoint.Channel))
	m.add(ctx, i.attempts.WithLabelValues(name, resultOf(&a), statusClass(a.Attempt.StatusCode)))
	m.observe(ctx, i.attemptDuration.WithLabelValues(name), a.Attempt.Duration.Seconds())
	limited := notRateLimited
	if a.RateLimit.PerSecond > 0 {
		limited = rateLimited
	}
	m.observe(ctx, i.lag.WithLabelValues(limited), seconds(a.DueAt, a.Attempt.StartedAt))
	if a.Number == 1 {
		m.observe(ctx, i.firstDelay, seconds(a.QueuedAt, a.Attempt.StartedAt))
	}
}

// Connected counts a connection that a request went out on. It is for channelkit.HTTPConfig, or the
// HTTP of a standard.Config: without it, connections_total stays 0.
func (m *Metrics) Connected(ctx context.Context, reused bool) {
	kind := kindOpened
	if reused {
		kind = kindReused
	}
	m.add(ctx, m.instruments.connections.WithLabelValues(kind))
}

// attempted is called once the result of an attempt is stored.
func (m *Metrics) attempted(r dispatch.Result) {
	if !r.Status.Settled() {
		return
	}
	i := &m.instruments
	status := string(r.Status)
	i.finished.WithLabelValues(m.eventTypes.label(r.EventType), status).Inc()
	i.deliveryDuration.WithLabelValues(status).Observe(
		seconds(r.QueuedAt, r.Attempt.StartedAt.Add(r.Attempt.Duration)))
}

func (m *Metrics) claimEnd(ctx context.Context, c dispatch.ClaimEnd) {
	i := &m.instruments
	if m.storeAnswered(ctx, opClaim, i.claimDuration, c.Err) {
		i.claimSize.Observe(float64(c.Deliveries))
	}
}

func (m *Metrics) settleEnd(ctx context.Context, s dispatch.SettleEnd) {
	i := &m.instruments
	if m.storeAnswered(ctx, opSettle, i.settleDuration, s.Err) {
		i.settleSize.Observe(float64(s.Deliveries))
		i.lateResults.Add(float64(s.Refused))
	}
}

func (m *Metrics) pruneEnd(ctx context.Context, p dispatch.PruneEnd) {
	i := &m.instruments
	if m.storeAnswered(ctx, opPrune, i.pruneDuration, p.Err) {
		i.prunedRows.Add(float64(p.Rows))
	}
}

// storeAnswered records how long a call of the store took, and its error. It reports whether there
// was none.
func (m *Metrics) storeAnswered(
	ctx context.Context, op string, duration prometheus.Observer, err error,
) bool {
	m.observe(ctx, duration, took(ctx, op))
	if err != nil && isStores(err) {
		m.instruments.storeErrors.WithLabelValues(op).Inc()
	}
	return err == nil
}

func (m *Metrics) healthChanged(_ context.Context, c dispatch.HealthChange) {
	m.instruments.healthChanges.WithLabelValues(healthLabel(string(c.After.Health))).Inc()
}

// seconds returns how many seconds lie between two times, 0 if they are in the other order.
func seconds(from, to time.Time) float64 { return max(to.Sub(from).Seconds(), 0) }

// exemplar returns the labels of an exemplar, nil for none.
func (m *Metrics) exemplar(ctx context.Context) prometheus.Labels {
	if m.cfg.TraceID == nil {
		return nil
	}
	id := m.cfg.TraceID(ctx)
	if id == "" || len(id) > 64 {
		return nil
	}
	return prometheus.Labels{"trace_id": id}
}

// observe and add have an exemplar if there is one. The types of the client library all take
// exemplars, and have interfaces of their own for it.
func (m *Metrics) observe(ctx context.Context, o prometheus.Observer, value float64) {
	if labels := m.exemplar(ctx); labels != nil {
		if with, ok := o.(prometheus.ExemplarObserver); ok {
			with.ObserveWithExemplar(value, labels)
			return
		}
	}
	o.Observe(value)
}

func (m *Metrics) add(ctx context.Context, c prometheus.Counter) {
	if labels := m.exemplar(ctx); labels != nil {
		if with, ok := c.(prometheus.ExemplarAdder); ok {
			with.AddWithExemplar(1, labels)
			return
		}
	}
	c.Inc()
}
