package monitor

import (
	"context"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
)

// endpointKey names an endpoint.
type endpointKey struct {
	organizationID string
	endpoint       webhook.Endpoint
}

func (k endpointKey) owner() string { return k.organizationID }

// deadKey names an endpoint and an hour.
type deadKey struct {
	endpointKey
	hour time.Time
}

// deadCount is what has become dead in an hour, since Run has last looked.
type deadCount struct {
	n     int
	first time.Time
	last  dispatch.Result
}

// failure is the last failed probe of an endpoint.
type failure struct {
	since   time.Time // since when the endpoint has been failing
	at      time.Time
	percent int
}

// Hooks returns the hooks that notice what happens, for the Config of the Dispatcher. To use others
// as well, see [dispatch.JoinHooks]. They never block, and call neither store nor channel: Run
// does.
func (m *Monitor) Hooks() dispatch.Hooks {
	return dispatch.Hooks{
		HealthChanged: m.healthChanged, Attempted: m.attempted, AttemptEnd: m.attemptEnd,
	}
}

func (m *Monitor) healthChanged(_ context.Context, c dispatch.HealthChange) {
	m.mu.Lock()
	m.changes = enqueue(m.changes, c, m.cfg.QueueSize, &m.dropped, func(c dispatch.HealthChange) string {
		return c.After.OrganizationID
	})
	m.mu.Unlock()
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// attempted counts the deliveries that become dead, and notes which operational events arrive.
func (m *Monitor) attempted(r dispatch.Result) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if IsOperational(r.EventType) {
		m.noteNotification(&r)
		return
	}
	m.noteRefusal(&r)
	if r.Status != webhook.StatusDead {
		return
	}
	at := r.Attempt.StartedAt.Add(r.Attempt.Duration)
	key := deadKey{endpointKey{r.OrganizationID, r.Endpoint}, at.Truncate(time.Hour)}
	count := m.dead.of[key]
	if count == nil {
		count = &deadCount{first: at}
		m.dead.put(key, count)
	}
	count.n++
	count.last = r
}

// attemptEnd notes the degraded endpoints whose probes fail.
func (m *Monitor) attemptEnd(_ context.Context, a dispatch.AttemptEnd) {
	if a.Err == nil || a.FailingSince.IsZero() || IsOperational(a.EventType) {
		return
	}
	at := a.Attempt.StartedAt.Add(a.Attempt.Duration)
	percent := m.percentOf(at.Sub(a.FailingSince))
	if percent == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failing.put(endpointKey{a.OrganizationID, a.Endpoint},
		failure{since: a.FailingSince, at: at, percent: percent})
}

// thresholds are the parts of DisabledAfter, in percent, of which WebhookFailing tells. Of all of
// it WebhookDisabled does.
var thresholds = [...]int{90, 70, 50}

// percentOf returns the largest threshold that a run of failures has reached, or 0.
func (m *Monitor) percentOf(failing time.Duration) int {
	if never(m.cfg.DisabledAfter) {
		return 0
	}
	for _, percent := range thresholds {
		if float64(failing) >= float64(m.cfg.DisabledAfter)*float64(percent)/100 {
			return percent
		}
	}
	return 0
}
