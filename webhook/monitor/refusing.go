package monitor

import (
	"context"
	"net/http"
	"time"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
)

// refusals are those of an endpoint that has accepted nothing in between.
type refusals struct {
	since time.Time // the first one
	n     int       // deliveries, each at its first attempt
	last  dispatch.Result
	told  time.Time // when it was reported
}

// noteRefusal counts the deliveries that an endpoint refuses until it accepts one. A refusal may be
// tried again for days, as 401 is. The caller has locked m.mu.
func (m *Monitor) noteRefusal(r *dispatch.Result) {
	key := endpointKey{r.OrganizationID, r.Endpoint}
	switch {
	case r.Status == webhook.StatusSucceeded:
		m.refusing.remove(key)
	case never(m.cfg.RefusingAfter) || !isRefusal(&r.Attempt):
	default:
		run := m.refusing.of[key]
		if run == nil {
			run = &refusals{since: endOf(&r.Attempt)}
			m.refusing.put(key, run)
		}
		if run.last = *r; r.Attempt.Number == 1 {
			run.n++
		}
	}
}

func endOf(a *webhook.Attempt) time.Time { return a.StartedAt.Add(a.Duration) }

// isRefusal reports whether an attempt was answered by an endpoint that does not want the event.
func isRefusal(a *webhook.Attempt) bool {
	switch channel.Class(a.Class) {
	case channel.ClassRejected:
		return true
	case channel.ClassStatus:
		return a.StatusCode >= 400 && a.StatusCode <= 499 && a.StatusCode != http.StatusGone
	}
	return false
}

// collectRefusing makes reports of endpoints that refuse everything, one a day of each. The caller
// has locked m.mu.
func (m *Monitor) collectRefusing(ctx context.Context) {
	m.refusing.forgetLost()
	for key, run := range m.refusing.of {
		last := endOf(&run.last.Attempt)
		switch {
		case time.Since(last) > max(day, m.cfg.RefusingAfter):
			m.refusing.remove(key) // it has got nothing for long
			continue
		case run.n >= m.cfg.RefusingEvents && last.Sub(run.since) >= m.cfg.RefusingAfter &&
			last.Sub(run.told) >= day:
			run.told = last
			m.add(ofRefusing(key, run))
			m.cfg.Logger.WarnContext(ctx, "webhook: an endpoint refuses everything",
				"organization_id", key.organizationID, "webhook_id", key.endpoint.SubscriptionID,
				"channel", key.endpoint.Channel, "since", run.since, "deliveries", run.n,
				"status_code", run.last.Attempt.StatusCode, "error", run.last.Attempt.Error)
		}
		m.refusing.mark(key, !run.told.IsZero() || time.Since(last) > m.cfg.RefusingAfter)
	}
}

// ofRefusing is the report of an endpoint that refuses everything.
func ofRefusing(key endpointKey, run *refusals) *report {
	last := &run.last
	at := endOf(&last.Attempt)
	r := &report{eventType: WebhookRefusing, about: key, at: at, bucket: at.Truncate(day),
		metadata: metadataOf(key)}
	m := r.metadata
	m["since"], m["refused"] = timestamp(run.since), run.n
	m["delivery_id"], m["event_id"], m["event_type"] = last.DeliveryID.String(), last.EventID,
		last.EventType
	addFailure(m, last.Attempt.Class, last.Attempt.StatusCode, last.Attempt.Error)
	return r
}
