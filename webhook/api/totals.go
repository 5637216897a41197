package api

import (
	"net/http"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
)

// Backlog says how many deliveries are unfinished or dead now.
type Backlog struct {
	// Deliveries counts those that are pending, in_flight, paused and dead.
	Deliveries map[webhook.Status]int64 `json:"deliveries"`
	// MoreUnfinished says that there may be more pending, in_flight and paused deliveries than
	// Deliveries says, and MoreDead the same of dead ones: they are counted up to 100,000.
	MoreUnfinished bool `json:"more_unfinished"`
	MoreDead       bool `json:"more_dead"`
	// OldestDue is since when the oldest due delivery has been waiting. Null if none is due.
	OldestDue *time.Time `json:"oldest_due"`
	// DegradedEndpoints and DisabledEndpoints count the endpoints that are not healthy.
	DegradedEndpoints int64 `json:"degraded_endpoints"`
	DisabledEndpoints int64 `json:"disabled_endpoints"`
}

// Totals is the Backlog of all webhooks of the organization.
type Totals struct {
	Backlog
	// Subscriptions is how many webhooks there are.
	Subscriptions int `json:"webhooks"`
}

// presentBacklog returns totals as they are answered.
func presentBacklog(t *webhook.Totals) Backlog {
	return Backlog{
		Deliveries: map[webhook.Status]int64{
			webhook.StatusPending: t.Pending, webhook.StatusInFlight: t.InFlight,
			webhook.StatusPaused: t.Paused, webhook.StatusDead: t.Dead,
		},
		MoreUnfinished: t.MoreUnfinished, MoreDead: t.MoreDead, OldestDue: orNull(t.OldestDue),
		DegradedEndpoints: t.DegradedEndpoints, DisabledEndpoints: t.DisabledEndpoints,
	}
}

// getTotals answers with the totals across all webhooks.
func (a *API) getTotals(r *request) (*response, error) {
	t, err := a.dispatcher.Totals(r.Context(), webhook.TotalsQuery{OrganizationID: r.organizationID})
	if err != nil {
		return nil, err
	}
	n, err := a.dispatcher.CountSubscriptions(r.Context(),
		webhook.SubscriptionQuery{OrganizationID: r.organizationID})
	if err != nil {
		return nil, err
	}
	return &response{status: http.StatusOK,
		body: Totals{Backlog: presentBacklog(&t), Subscriptions: n}}, nil
}
