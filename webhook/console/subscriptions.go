package console

import (
	"strconv"
	"strings"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
)

// rowsAtMost is how many rows a list has on a page.
const rowsAtMost = 25

// subscriptionRow is a row of the list of subscriptions.
type subscriptionRow struct {
	*webhook.Subscription
	Keys []string
	state
	Series      series
	LastFailure time.Time // within the series
}

// state is how a subscription is doing, in one word.
type state struct {
	// Word is active, paused, degraded or disabled.
	Word string
	// Unhealthy are its endpoints that are not healthy.
	Unhealthy []webhook.EndpointState
}

// stateOf returns the worst of a subscription's states.
func stateOf(sub *webhook.Subscription, unhealthy []webhook.EndpointState) state {
	s := state{Word: "active", Unhealthy: unhealthy}
	for i := range unhealthy {
		if h := unhealthy[i].Health; s.Word != string(webhook.Disabled) {
			s.Word = string(h)
		}
	}
	if sub.Paused {
		s.Word = "paused"
	}
	return s
}

func (c *Console) listSubscriptions(q *request) error {
	query := webhook.SubscriptionQuery{OrganizationID: q.organizationID, Limit: rowsAtMost + 1}
	values := q.URL.Query()
	if state := values.Get("state"); state == "paused" || state == "active" {
		paused := state == "paused"
		query.Paused = &paused
	}
	query.EventType = strings.TrimSpace(values.Get("type"))
	at, id, err := parseCursor(values.Get("after"))
	if err != nil {
		return err
	}
	query.After = webhook.SubscriptionCursor{CreatedAt: at, ID: id}
	found, err := c.dispatcher.Subscriptions(q.Context(), query)
	if err != nil {
		return err
	}
	body := struct {
		Rows     []subscriptionRow
		Next     string
		Filtered bool
		First    bool
	}{Filtered: query.Paused != nil || query.EventType != "", First: values.Get("after") == ""}
	if len(found) > rowsAtMost {
		found = found[:rowsAtMost]
		last := found[rowsAtMost-1].Cursor()
		body.Next = formatCursor(last.CreatedAt, last.ID)
	}
	now := time.Now()
	for _, sub := range found {
		row := subscriptionRow{Subscription: sub, Keys: sub.ChannelKeys(),
			Series: newSeries(now, time.Hour, 24)}
		hours, err := c.dispatcher.HourlyStatistics(q.Context(), webhook.HourlyQuery{
			OrganizationID: q.organizationID, SubscriptionID: sub.ID, Since: row.Series.since()})
		if err != nil {
			return err
		}
		for i := range hours.Hours {
			row.Series.add(&hours.Hours[i])
			if t := hours.Hours[i].LastFailure; t.After(row.LastFailure) {
				row.LastFailure = t
			}
		}
		unhealthy, err := c.unhealthy(q, sub.ID)
		if err != nil {
			return err
		}
		row.state = stateOf(sub, unhealthy)
		body.Rows = append(body.Rows, row)
	}
	return q.show("subscriptions", page{Title: "Subscriptions", Section: "subscriptions", Live: 15}, &body)
}

// unhealthy returns the endpoints of a subscription that are not healthy, which are MaxChannels at
// most.
func (c *Console) unhealthy(q *request, id string) ([]webhook.EndpointState, error) {
	return c.dispatcher.EndpointStates(q.Context(), webhook.EndpointQuery{
		OrganizationID: q.organizationID, SubscriptionID: id, Limit: webhook.MaxChannels})
}

// A cursor of a list is written as microseconds since 1970, a dot and an id.
func formatCursor(at time.Time, id string) string {
	return strconv.FormatInt(at.UnixMicro(), 10) + "." + id
}

func parseCursor(s string) (at time.Time, id string, err error) {
	if s == "" {
		return at, "", nil
	}
	digits, id, ok := strings.Cut(s, ".")
	micros, err := strconv.ParseInt(digits, 10, 64)
	if !ok || err != nil {
		return at, "", errBadLink
	}
	return time.UnixMicro(micros).UTC(), id, nil
}

// errBadLink means that the query of a page has a value that no page of the console links to.
var errBadLink = &statusError{400, "The link is not one of the console's. Begin again from the overview."}
