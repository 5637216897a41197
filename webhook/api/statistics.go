package api

import (
	"net/http"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
)

// maxCounted bounds the deliveries that statistics are made of.
const maxCounted = 10_000

// Statistics says how a webhook has been doing. It counts the deliveries of
// events that were emitted since Since, the newest 10 000 at most.
type Statistics struct {
	WebhookID string    `json:"webhook_id"`
	Since     time.Time `json:"since"`
	// Complete is false if there are more deliveries than were counted.
	Complete bool `json:"complete"`
	// Deliveries counts deliveries by status; every status is there.
	Deliveries map[webhook.Status]int `json:"deliveries"`
	// SuccessRate is the part of the deliveries that came to their end by
	// succeeding, of those that succeeded or died. Null if there are none.
	SuccessRate *float64 `json:"success_rate"`
	// Attempts and FailedAttempts count attempts.
	Attempts       int `json:"attempts"`
	FailedAttempts int `json:"failed_attempts"`
	// AverageDuration of an attempt in milliseconds. Null if there are none.
	AverageDuration *float64 `json:"average_duration_ms"`
	// LastSuccess and LastFailure are the latest attempts of either kind.
	LastSuccess *webhook.Attempt `json:"last_success"`
	LastFailure *webhook.Attempt `json:"last_failure"`
}

// getStatistics counts in pages, so that a long history neither holds the store
// nor fills the memory.
func (a *API) getStatistics(r *request) (*response, error) {
	p := &problems{}
	q := newQuery(p, r)
	since := q.time("since")
	q.end()
	if err := p.err(); err != nil {
		return nil, err
	}
	if since.IsZero() {
		since = time.Now().UTC().Add(-24 * time.Hour).Truncate(time.Microsecond)
	}
	w, err := a.webhook(r)
	if err != nil {
		return nil, err
	}
	s := newStatistics(w.ID, since)
	filter := webhook.DeliveryQuery{OrganizationID: r.organizationID, WebhookID: w.ID, Since: since, Limit: 500}
	for counted := 0; counted < maxCounted; counted += filter.Limit {
		page, err := a.dispatcher.Deliveries(r.Context(), filter)
		if err != nil {
			return nil, err
		}
		for i := range page {
			s.count(&page[i])
		}
		if len(page) < filter.Limit {
			s.Complete = true
			break
		}
		filter.Before = page[len(page)-1].ID
	}
	s.rate()
	return &response{status: http.StatusOK, body: s}, nil
}

func newStatistics(webhookID string, since time.Time) *Statistics {
	return &Statistics{WebhookID: webhookID, Since: since, Deliveries: map[webhook.Status]int{
		webhook.StatusPending: 0, webhook.StatusInFlight: 0, webhook.StatusHeld: 0,
		webhook.StatusSucceeded: 0, webhook.StatusDead: 0, webhook.StatusCancelled: 0,
	}}
}

func (s *Statistics) count(d *webhook.Delivery) {
	s.Deliveries[d.Status]++
	for i := range d.Attempts {
		attempt := &d.Attempts[i]
		s.Attempts++
		last := &s.LastSuccess
		if !attempt.Succeeded() {
			s.FailedAttempts++
			last = &s.LastFailure
		}
		if *last == nil || (*last).StartedAt.Before(attempt.StartedAt) {
			*last = attempt
		}
		if s.AverageDuration == nil {
			s.AverageDuration = new(float64)
		}
		*s.AverageDuration += float64(attempt.Duration.Microseconds()) / 1000
	}
}

// rate turns sums into averages.
func (s *Statistics) rate() {
	succeeded, dead := s.Deliveries[webhook.StatusSucceeded], s.Deliveries[webhook.StatusDead]
	if succeeded+dead > 0 {
		rate := float64(succeeded) / float64(succeeded+dead)
		s.SuccessRate = &rate
	}
	if s.AverageDuration != nil {
		*s.AverageDuration /= float64(s.Attempts)
	}
}
