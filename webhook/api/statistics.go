package api

import (
	"net/http"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
)

// Statistics says how a webhook has been doing since Since, and what of its
// deliveries is unfinished now. See [webhook.Statistics] for what counts.
type Statistics struct {
	SubscriptionID string `json:"webhook_id"`
	// Since is that of the request, rounded down to the hour.
	Since time.Time `json:"since"`
	// Deliveries counts deliveries by status; every status is there. Pending,
	// in flight and paused are those of now, whatever Since; the others came to
	// that end since Since.
	Deliveries map[webhook.Status]int64 `json:"deliveries"`
	// SuccessRate is the part of the deliveries that came to their end by
	// succeeding, of those that succeeded or died. Null if there are none.
	SuccessRate *float64 `json:"success_rate"`
	// Attempts and FailedAttempts count attempts.
	Attempts       int64 `json:"attempts"`
	FailedAttempts int64 `json:"failed_attempts"`
	// AverageDuration of an attempt in milliseconds. Null if there are none.
	AverageDuration *float64 `json:"average_duration_ms"`
	// LastSuccess and LastFailure are when the latest attempts of either kind
	// were started. Null if there are none.
	LastSuccess *time.Time `json:"last_success"`
	LastFailure *time.Time `json:"last_failure"`
	// LastFailed is the delivery of the attempt at LastFailure, which may have
	// been pruned since. Null if there is none.
	LastFailed *webhook.DeliveryID `json:"last_failed_delivery_id"`
}

func (a *API) getStatistics(r *request) (*response, error) {
	p := &problems{}
	q := newQuery(p, r)
	since := q.time("since")
	q.end()
	if err := p.err(); err != nil {
		return nil, err
	}
	if since.IsZero() {
		since = time.Now().UTC().Add(-24 * time.Hour)
	}
	id := r.PathValue("identifier")
	figures, err := a.dispatcher.Statistics(r.Context(), webhook.StatisticsQuery{
		OrganizationID: r.organizationID, SubscriptionID: id, Since: since,
	})
	if err != nil {
		return nil, orNotFound(err, "webhook", id)
	}
	return &response{status: http.StatusOK, body: newStatistics(id, &figures)}, nil
}

func newStatistics(subscriptionID string, f *webhook.Statistics) *Statistics {
	s := &Statistics{
		SubscriptionID: subscriptionID,
		Since:          f.Since,
		Deliveries: map[webhook.Status]int64{
			webhook.StatusPending: f.Pending, webhook.StatusInFlight: f.InFlight, webhook.StatusPaused: f.Paused,
			webhook.StatusSucceeded: f.Succeeded, webhook.StatusDead: f.Dead, webhook.StatusCancelled: f.Cancelled,
		},
		SuccessRate:    ratio(float64(f.Succeeded), f.Succeeded+f.Dead),
		Attempts:       f.Attempts(),
		FailedAttempts: f.Failed,
		// Whole microseconds, as milliseconds.
		AverageDuration: ratio(float64(f.Duration.Microseconds())/1000, f.Attempts()),
	}
	if !f.LastSuccess.IsZero() {
		s.LastSuccess = &f.LastSuccess
	}
	if !f.LastFailure.IsZero() {
		s.LastFailure, s.LastFailed = &f.LastFailure, &f.LastFailed
	}
	return s
}

// ratio is nil of nothing.
func ratio(part float64, whole int64) *float64 {
	if whole == 0 {
		return nil
	}
	part /= float64(whole)
	return &part
}
