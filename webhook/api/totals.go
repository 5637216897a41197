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
	// InLine counts the unfinished deliveries that wait behind another one of their subject, and
	// Holding the dead ones that hold their subject: see [webhook.Ordering]. OldestHolding is when
	// the oldest of these died. Null if none holds.
	InLine        int64      `json:"in_line"`
	Holding       int64      `json:"holding"`
	OldestHolding *time.Time `json:"oldest_holding"`
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

// BacklogHistory says how large the backlog of all webhooks of the organization was, hour by hour.
type BacklogHistory struct {
	// Since is the time in the request, rounded down to the hour.
	Since time.Time `json:"since"`
	// Hours are ordered, the oldest first. An hour in which the backlog was not counted is left out,
	// such as one in which no process was delivering. An hour in which nothing was waiting is there.
	Hours []HourlyBacklog `json:"hours"`
}

// HourlyBacklog says how large the backlog was within an hour. It is counted each minute.
type HourlyBacklog struct {
	// Hour is when the hour began.
	Hour time.Time `json:"hour"`
	// Waiting is the largest number of deliveries that were pending or paused at a time. MoreWaiting
	// says that there may have been more: they are counted up to 100,000.
	Waiting     int64 `json:"waiting"`
	MoreWaiting bool  `json:"more_waiting"`
	// OldestDueAge is the longest time, in milliseconds, that the oldest due delivery had been
	// waiting. 0 if none was due.
	OldestDueAge float64 `json:"oldest_due_age_ms"`
}

// presentBacklog returns totals as they are answered.
func presentBacklog(t *webhook.Totals) Backlog {
	return Backlog{
		Deliveries: map[webhook.Status]int64{
			webhook.StatusPending: t.Pending, webhook.StatusInFlight: t.InFlight,
			webhook.StatusPaused: t.Paused, webhook.StatusDead: t.Dead,
		},
		MoreUnfinished: t.MoreUnfinished, MoreDead: t.MoreDead, OldestDue: orNull(t.OldestDue),
		InLine: t.InLine, Holding: t.Holding, OldestHolding: orNull(t.OldestHolding),
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

// getHourlyBacklog answers with the backlog of past hours.
func (a *API) getHourlyBacklog(r *request) (*response, error) {
	since, err := readSince(r)
	if err != nil {
		return nil, err
	}
	hours, err := a.dispatcher.HourlyBacklog(r.Context(), webhook.BacklogQuery{
		OrganizationID: r.organizationID, Since: since,
	})
	if err != nil {
		return nil, err
	}
	body := BacklogHistory{Since: since.UTC().Truncate(time.Hour), Hours: []HourlyBacklog{}}
	for i := range hours {
		h := &hours[i]
		body.Hours = append(body.Hours, HourlyBacklog{Hour: h.Hour, Waiting: h.Waiting,
			MoreWaiting: h.More, OldestDueAge: float64(h.OldestDueAge.Microseconds()) / 1000})
	}
	return &response{status: http.StatusOK, body: body}, nil
}
