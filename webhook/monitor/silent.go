package monitor

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
)

// silence is a run of failed attempts to deliver operational events to an endpoint: its owner
// does not learn that something is broken.
type silence struct {
	since time.Time // the first failed attempt
	last  dispatch.Result
	told  time.Time // when the log said so
}

// noteNotification notes whether an operational event has arrived. The caller has locked m.mu.
func (m *Monitor) noteNotification(r *dispatch.Result) {
	key := endpointKey{r.OrganizationID, r.Endpoint}
	run := m.silent.of[key]
	switch {
	case r.Status == webhook.StatusSucceeded:
		if run != nil && !run.told.IsZero() {
			m.heard = append(m.heard, key)
		}
		m.silent.remove(key)
		return
	case run == nil:
		run = &silence{since: r.Attempt.StartedAt}
		m.silent.put(key, run)
	}
	run.last = *r
}

// forgotten is after how long without an attempt a failure says nothing any more: the endpoint may be
// deleted, or what was for it given up.
const forgotten = 7 * day

// logSilence writes a line about each endpoint that operational events do not reach, at most once an
// hour, and one when they do again. The caller has locked m.mu.
func (m *Monitor) logSilence(ctx context.Context) {
	for _, key := range m.heard {
		m.cfg.Logger.InfoContext(ctx, "webhook: operational events are delivered again",
			"organization_id", key.organizationID, "webhook_id", key.endpoint.SubscriptionID,
			"channel", key.endpoint.Channel)
	}
	m.heard = nil
	now := time.Now()
	for key, run := range m.silent.of {
		r := &run.last
		if now.Sub(r.Attempt.StartedAt) > forgotten {
			m.silent.remove(key)
			continue
		}
		if now.Sub(run.told) < time.Hour || !r.Attempt.StartedAt.After(run.told) {
			continue
		}
		run.told = now
		m.cfg.Logger.ErrorContext(ctx, "webhook: an operational event is not delivered, "+
			"those who should get it do not learn what is broken",
			"organization_id", key.organizationID, "webhook_id", key.endpoint.SubscriptionID,
			"channel", key.endpoint.Channel, "since", run.since, "event_type", r.EventType,
			"event_id", r.EventID, "delivery_id", r.DeliveryID.String(), "attempt", r.Attempt.Number,
			"dead", r.Status == webhook.StatusDead, "error", r.Attempt.Error)
	}
}

// maxListened bounds how many endpoints listen asks for at a time.
const maxListened = 16

// listen forgets the endpoints that operational events have reached since, by another process.
func (m *Monitor) listen(ctx context.Context, d Dispatcher) {
	var asked []endpointKey
	m.mu.Lock()
	for key, run := range m.silent.of {
		if time.Since(run.last.Attempt.StartedAt) >= time.Minute && len(asked) < maxListened {
			asked = append(asked, key)
		}
	}
	m.mu.Unlock()
	for _, key := range asked {
		m.guard(ctx, func() {
			latest, err := d.Deliveries(ctx, webhook.DeliveryQuery{OrganizationID: key.organizationID,
				SubscriptionID: key.endpoint.SubscriptionID, Limit: LatestLooked})
			last := lastAttempt(key.endpoint.Channel, latest)
			if err != nil || last == nil || !last.Succeeded() {
				return
			}
			m.mu.Lock()
			defer m.mu.Unlock()
			run := m.silent.of[key]
			if run != nil && last.StartedAt.After(run.last.Attempt.StartedAt) {
				if !run.told.IsZero() {
					m.heard = append(m.heard, key)
				}
				m.silent.remove(key)
			}
		})
	}
}

// Reasons says that operational events do not arrive, as far as this process has attempted to deliver
// them: for [dispatch.HealthConfig]. It names no endpoint, because health may be public; the log
// does. Empty if all arrive.
func (m *Monitor) Reasons() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.silent.of) == 0 {
		return nil
	}
	return []string{fmt.Sprintf("operational events do not arrive, endpoints: %d", len(m.silent.of))}
}

// Notifies reports whether a subscription asks for operational events by name, or by a pattern such as
// "webhook.*". One that asks for everything with "*" does not count.
func Notifies(sub *webhook.Subscription) bool {
	return slices.ContainsFunc(sub.EventTypes, func(p event.Pattern) bool {
		return p != event.MatchAll && slices.ContainsFunc(types[:], func(info event.TypeInfo) bool {
			return p.Match(info.Type)
		})
	})
}

// Silence says that operational events do not reach those who have subscribed to them.
type Silence struct {
	Subscription *webhook.Subscription
	// Reason is why, in words.
	Reason string
}

// LatestLooked is how many of the latest deliveries of a subscription show whether operational events
// reach it.
const LatestLooked = 20

// WhySilent says in words why operational events do not reach a subscription, or "" if they do: it is
// paused, or one of its endpoints is not healthy, or the newest delivery that was attempted there
// failed. states are those of its endpoints, and latest its latest deliveries, the newest first.
// Attempts that are older than 7 days before now do not count.
func WhySilent(
	sub *webhook.Subscription, states []webhook.EndpointState, latest []webhook.Delivery, now time.Time,
) string {
	if sub.Paused {
		return "it is paused"
	}
	for i := range states {
		if s := &states[i]; s.Health != webhook.Healthy {
			reason := fmt.Sprintf("its channel %s is %s", s.Channel, s.Health)
			if s.Cause != nil {
				reason += ": " + channel.Describe(channel.Class(s.Cause.Class), s.Cause.Error)
			}
			return reason
		}
	}
	for _, key := range sub.ChannelKeys() {
		last := lastAttempt(key, latest)
		if last != nil && !last.Succeeded() && now.Sub(last.StartedAt) < forgotten {
			return fmt.Sprintf("the last attempt of its channel %s failed at %s: %s", key,
				last.StartedAt.UTC().Format("2 January 2006, 15:04 UTC"),
				channel.Describe(channel.Class(last.Class), last.Error))
		}
	}
	return ""
}

// lastAttempt returns the last attempt of the newest delivery to the channel that was attempted. Nil
// if none was.
func lastAttempt(channelKey string, latest []webhook.Delivery) *webhook.Attempt {
	for i := range latest {
		if d := &latest[i]; d.Channel == channelKey && len(d.Attempts) > 0 {
			return &d.Attempts[len(d.Attempts)-1]
		}
	}
	return nil
}

// maxNotified bounds the subscriptions of a kind that Silent looks at.
const maxNotified = 80

// Silent returns the subscriptions of an organization that should get operational events about
// endpoints or dead deliveries, and do not: without this, nobody notices when a mail about a broken
// endpoint cannot itself be delivered. It looks at the first 80 subscriptions that get events of
// each of the two kinds.
func Silent(
	ctx context.Context, d *dispatch.Dispatcher, organizationID string,
) (list []Silence, err error) {
	seen := map[string]bool{}
	for _, eventType := range []string{WebhookDisabled, DeliveryDead} {
		subs, err := d.Subscriptions(ctx, webhook.SubscriptionQuery{OrganizationID: organizationID,
			EventType: eventType, Limit: maxNotified})
		if err != nil {
			return nil, err
		}
		for _, sub := range subs {
			if seen[sub.ID] || !Notifies(sub) {
				continue
			}
			seen[sub.ID] = true
			states, err := d.EndpointStates(ctx, webhook.EndpointQuery{OrganizationID: organizationID,
				SubscriptionID: sub.ID, Limit: webhook.MaxChannels})
			if err != nil {
				return nil, err
			}
			latest, err := d.Deliveries(ctx, webhook.DeliveryQuery{OrganizationID: organizationID,
				SubscriptionID: sub.ID, Limit: LatestLooked})
			if err != nil {
				return nil, err
			}
			if reason := WhySilent(sub, states, latest, time.Now()); reason != "" {
				list = append(list, Silence{sub, reason})
			}
		}
	}
	return list, nil
}
