package monitor

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"time"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
)

// report is an operational event that is to be emitted, to one organization or two.
type report struct {
	eventType string
	about     endpointKey // zero if it is about the backlog
	at        time.Time
	// bucket is the hour, or another time, of which there is at most one such event.
	bucket time.Time
	// period is how long the bucket is if the last word about the endpoint must not be lost: see
	// followUp. Zero if that does not matter.
	period   time.Duration
	metadata map[string]any

	// health is what the endpoint must still have got at that time for the event to be emitted. Empty
	// asks for nothing.
	health webhook.Health
	since  time.Time
	// percent and failingSince are those of a WebhookFailing, whose metadata comes from the state.
	percent      int
	failingSince time.Time

	failedSince time.Time // since when it could not be emitted
	outage      outage    // if the reason is the report's own
}

const day = 24 * time.Hour

// ofChange is the report of an endpoint whose health has changed.
func ofChange(c *dispatch.HealthChange) *report {
	s := &c.After
	r := &report{
		eventType: map[webhook.Health]string{webhook.Degraded: WebhookDegraded,
			webhook.Disabled: WebhookDisabled, webhook.Healthy: WebhookRecovered}[s.Health],
		about: endpointKey{s.OrganizationID, s.Endpoint}, at: s.Since, period: time.Hour,
		metadata: metadataOfState(s),
	}
	if IsOperational(c.EventType) {
		// The events of this package alone could keep an endpoint going up and down.
		r.period = day
	}
	r.bucket = r.at.Truncate(r.period)
	if s.Health == webhook.Healthy && !c.Before.FailingSince.IsZero() {
		r.metadata["failing_since"] = timestamp(c.Before.FailingSince)
	}
	return r
}

// followUp is a report for the next hour, because this hour has had one of its kind: it is emitted
// if the endpoint is still the same.
func (r *report) followUp() *report {
	next := *r
	next.bucket = r.bucket.Add(r.period)
	next.health, next.since = webhook.Health(r.metadata["health"].(string)), r.at
	next.failedSince, next.outage = time.Time{}, outage{}
	return &next
}

func metadataOf(about endpointKey) map[string]any {
	return map[string]any{
		"webhook_id": about.endpoint.SubscriptionID, "channel": about.endpoint.Channel,
		"organization_id": about.organizationID,
	}
}

func metadataOfState(s *webhook.EndpointState) map[string]any {
	m := metadataOf(endpointKey{s.OrganizationID, s.Endpoint})
	m["health"], m["since"] = string(s.Health), timestamp(s.Since)
	if !s.FailingSince.IsZero() {
		m["failing_since"] = timestamp(s.FailingSince)
	}
	if s.FailedProbes > 0 {
		m["failed_probes"] = s.FailedProbes
	}
	if last := s.LastFailure; last != nil && s.Health != webhook.Healthy {
		m["failed_before_since"] = timestamp(last.Since)
		m["failed_before_until"] = timestamp(last.Until)
	}
	if s.ChangedBy != "" {
		m["changed_by"] = s.ChangedBy
	}
	if c := s.Cause; c != nil {
		m["delivery_id"] = c.DeliveryID.String()
		addFailure(m, c.Class, c.StatusCode, c.Error)
	}
	return m
}

func addFailure(m map[string]any, class string, statusCode int, text string) {
	m["error_class"], m["error"] = class, text
	if statusCode != 0 {
		m["status_code"] = statusCode
	}
}

// ofDead is the report of the deliveries to an endpoint that have become dead in an hour.
func ofDead(key deadKey, c *deadCount) *report {
	r := &report{eventType: DeliveryDead, about: key.endpointKey, at: c.first, bucket: key.hour,
		metadata: metadataOf(key.endpointKey)}
	last := &c.last
	m := r.metadata
	m["since"], m["dead"] = timestamp(c.first), c.n
	m["delivery_id"], m["event_id"], m["event_type"] = last.DeliveryID.String(), last.EventID,
		last.EventType
	m["attempt"] = last.Attempt.Number
	addFailure(m, last.Attempt.Class, last.Attempt.StatusCode, last.Attempt.Error)
	return r
}

// completeFailing takes the metadata of a WebhookFailing from the state of the endpoint. It returns
// false if the endpoint is not in that run of failures any more.
func (m *Monitor) completeFailing(r *report, s *webhook.EndpointState) bool {
	if s.Health != webhook.Degraded || !s.FailingSince.Equal(r.failingSince) {
		return false
	}
	r.metadata = metadataOfState(s)
	r.metadata["percent"] = r.percent
	r.metadata["disabled_at"] = timestamp(s.FailingSince.Add(m.cfg.DisabledAfter))
	return true
}

func timestamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// events are those of the report, one for each organization that gets it.
func (m *Monitor) events(r *report) []*event.Event {
	subject := event.Subject{Type: "backlog", ID: "deliveries"}
	to := []string{m.cfg.Organization}
	if r.about != (endpointKey{}) {
		subject = event.Subject{Type: "webhook", ID: r.about.endpoint.SubscriptionID}
		to = m.recipients(r.about.organizationID)
	}
	events := make([]*event.Event, 0, len(to))
	for _, organizationID := range to {
		e := event.New(r.eventType, subject)
		e.ID, e.OccurredAt, e.OrganizationID = r.id(organizationID), r.at.UTC(), organizationID
		e.Metadata = r.metadata
		events = append(events, e)
	}
	return events
}

// recipients are the organizations that get the events about the endpoints of an organization.
func (m *Monitor) recipients(about string) []string {
	var to []string
	if m.cfg.Audience != Customer {
		to = append(to, m.cfg.Organization)
	}
	if m.cfg.Audience != Operator {
		customer, ok := m.cfg.Customer(about)
		if ok && (len(to) == 0 || customer != to[0]) {
			to = append(to, customer)
		}
	}
	return to
}

// id is the same in each process for the same kind of event, endpoint, hour and receiving
// organization, so that Emit stores only the first.
func (r *report) id(to string) string {
	h := sha256.New()
	for _, part := range []string{
		"monitor/1", r.eventType, to, r.about.organizationID, r.about.endpoint.SubscriptionID,
		r.about.endpoint.Channel, timestamp(r.bucket), timestamp(r.failingSince),
	} {
		_ = binary.Write(h, binary.BigEndian, uint64(len(part))) // a hash cannot fail
		_, _ = h.Write([]byte(part))
	}
	_ = binary.Write(h, binary.BigEndian, uint64(r.percent))
	return "evt_" + hex.EncodeToString(h.Sum(nil)[:16])
}
