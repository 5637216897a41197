package console

import (
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
)

// filter is what a list of deliveries is filtered by, as its page's query says it.
type filter struct {
	Status, Type, Subscription, Event, Since, Until string
	// Holding is "yes" for dead deliveries that hold their subject.
	Holding string
	// Problems say what is wrong, by the name in the query.
	Problems map[string]string
}

// statuses are those that a list can be filtered by.
var statuses = []webhook.Status{webhook.StatusPending, webhook.StatusInFlight, webhook.StatusPaused,
	webhook.StatusSucceeded, webhook.StatusDead, webhook.StatusCancelled}

// timeLayout is that of an input of type datetime-local, which the pages say is in UTC.
const timeLayout = "2006-01-02T15:04"

// parseTime reads the value of such an input. Its error is for people.
func parseTime(text string) (time.Time, error) {
	t, err := time.Parse(timeLayout, text[:min(len(text), len(timeLayout))])
	if err != nil {
		err = errors.New("must be a date and a time, such as 2026-01-31T18:30")
	}
	return t, err
}

// readFilter reads the filter of a query or form.
func readFilter(v url.Values, q *webhook.DeliveryQuery) filter {
	f := filter{Status: v.Get("status"), Type: strings.TrimSpace(v.Get("type")),
		Subscription: strings.TrimSpace(v.Get("subscription")),
		Event:        strings.TrimSpace(v.Get("event")), Since: v.Get("since"), Until: v.Get("until"),
		Problems: map[string]string{}}
	for _, status := range statuses {
		if string(status) == f.Status {
			q.Status = status
		}
	}
	if q.Status == "" {
		f.Status = ""
	}
	if v.Get("holding") != "" {
		f.Holding, q.Holding = "yes", true
	}
	q.EventType, q.SubscriptionID, q.EventID = f.Type, f.Subscription, f.Event
	for name, to := range map[string]*time.Time{"since": &q.Since, "until": &q.Until} {
		if text := v.Get(name); text != "" {
			t, err := parseTime(text)
			if err != nil {
				f.Problems[name] = err.Error()
			}
			*to = t
		}
	}
	return f
}

// Set reports whether anything is filtered.
func (f *filter) Set() bool {
	return f.Status+f.Type+f.Subscription+f.Event+f.Since+f.Until+f.Holding != ""
}

// Pairs are the names and values for a link.
func (f *filter) pairs() []string {
	return []string{"status", f.Status, "type", f.Type, "subscription", f.Subscription,
		"event", f.Event, "since", f.Since, "until", f.Until, "holding", f.Holding}
}

// deliveryList is a page of deliveries.
type deliveryList struct {
	Filter   filter
	Statuses []webhook.Status
	Rows     []deliveryRow
	Next     string // the URL of the next page
	First    string // the URL of the first page, on all others
	All      string // the URL to replay all that fit
}

type deliveryRow struct {
	webhook.Delivery
	Name string
}

// Last is the last attempt, nil if there was none.
func (r *deliveryRow) Last() *webhook.Attempt {
	if len(r.Attempts) == 0 {
		return nil
	}
	return &r.Attempts[len(r.Attempts)-1]
}

func (c *Console) listDeliveries(q *request) error {
	list, err := c.deliveryList(q, "/deliveries", "")
	if err != nil {
		return err
	}
	return q.show("deliveries", page{Title: "Deliveries", Section: "deliveries", Live: 10}, list)
}

// deliveryList reads a page. status, unless it is empty, replaces that of the filter.
func (c *Console) deliveryList(
	q *request, path string, status webhook.Status,
) (*deliveryList, error) {
	query := webhook.DeliveryQuery{OrganizationID: q.organizationID, Limit: rowsAtMost + 1}
	values := q.URL.Query()
	list := &deliveryList{Filter: readFilter(values, &query), Statuses: statuses}
	if status != "" {
		query.Status, list.Filter.Status = status, ""
	}
	if before := values.Get("before"); before != "" {
		var err error
		if query.Before, err = webhook.ParseDeliveryID(before); err != nil {
			return nil, errBadLink
		}
		list.First = q.link(path, list.Filter.pairs()...)
	}
	if len(list.Filter.Problems) > 0 {
		return list, nil
	}
	found, err := c.dispatcher.Deliveries(q.Context(), query)
	if err != nil {
		return nil, err
	}
	if len(found) > rowsAtMost {
		found = found[:rowsAtMost]
		list.Next = q.link(path,
			append(list.Filter.pairs(), "before", found[rowsAtMost-1].ID.String())...)
	}
	names := map[string]string{}
	for _, d := range found {
		name, err := c.nameOf(q, names, d.SubscriptionID)
		if err != nil {
			return nil, err
		}
		list.Rows = append(list.Rows, deliveryRow{d, name})
	}
	list.All = q.link("/dead/replay-all", list.Filter.pairs()...)
	return list, nil
}
