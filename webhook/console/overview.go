package console

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/monitor"
)

// The bounds of an overview.
const (
	// countAtMost is how many unfinished and how many dead deliveries are counted.
	countAtMost = 10_000
	// hoursAtMost bounds how many hours are read in all: those of the first subscriptions only, if
	// there are very many.
	hoursAtMost = 20_000
	hoursPage   = 50 // subscriptions
	// worstAtMost is how many subscriptions, and how many endpoints, are listed.
	worstAtMost = 8
	// organizationsAtMost is how many organizations an operator chooses from.
	organizationsAtMost = 1_000
	// processesAtMost is how many processes are listed.
	processesAtMost = 100
	// delaysAtMost is of how many of the latest deliveries the delay to the first attempt is told.
	delaysAtMost = 100
)

// overview is the first page: that of an organization, or of an operator.
func (c *Console) overview(q *request) error {
	if q.none {
		return c.operatorOverview(q)
	}
	now := time.Now()
	body := struct {
		ranged
		Totals    webhook.Totals
		OldestAge time.Duration
		Delays    delays
		Worst     []worst
		Unhealthy []endpointRow
		More      bool // there are more subscriptions than were read
		Any       bool // there is a subscription
		// Silent are the subscriptions that operational events do not reach.
		Silent []monitor.Silence
	}{ranged: q.ranged(now)}
	bySubscription := map[string]*worst{}
	read := 0
	query := webhook.HourlyQuery{OrganizationID: q.organizationID, Since: body.Series.since(),
		Limit: hoursPage}
	for {
		hours, err := c.dispatcher.HourlyStatistics(q.Context(), query)
		if err != nil {
			return err
		}
		for i := range hours.Hours {
			h := &hours.Hours[i]
			body.Series.add(h)
			w := bySubscription[h.SubscriptionID]
			if w == nil {
				w = &worst{SubscriptionID: h.SubscriptionID}
				bySubscription[h.SubscriptionID] = w
			}
			w.bucket.add(h)
		}
		read += len(hours.Hours)
		if query.After = hours.Next; query.After == "" {
			break
		}
		if read >= hoursAtMost {
			body.More = true
			break
		}
	}
	err := c.addBacklog(q, &body.ranged, webhook.BacklogQuery{OrganizationID: q.organizationID})
	if err != nil {
		return err
	}
	if body.Worst, err = c.worstOf(q, bySubscription); err != nil {
		return err
	}
	if body.Totals, err = c.dispatcher.Totals(q.Context(), webhook.TotalsQuery{
		OrganizationID: q.organizationID, Limit: countAtMost}); err != nil {
		return err
	}
	if !body.Totals.OldestDue.IsZero() {
		body.OldestAge = max(0, now.Sub(body.Totals.OldestDue))
	}
	latest, err := c.dispatcher.Deliveries(q.Context(), webhook.DeliveryQuery{
		OrganizationID: q.organizationID, Since: body.Series.since(), Limit: delaysAtMost})
	if err != nil {
		return err
	}
	body.Delays = delaysOf(latest)
	states, err := c.dispatcher.EndpointStates(q.Context(), webhook.EndpointQuery{
		OrganizationID: q.organizationID, Limit: worstAtMost})
	if err != nil {
		return err
	}
	names := map[string]string{}
	for _, s := range states {
		name, err := c.nameOf(q, names, s.SubscriptionID)
		if err != nil {
			return err
		}
		body.Unhealthy = append(body.Unhealthy, endpointRow{s, name})
	}
	if body.Silent, err = monitor.Silent(q.Context(), c.dispatcher, q.organizationID); err != nil {
		return err
	}
	body.Silent = body.Silent[:min(len(body.Silent), worstAtMost)]
	some, err := c.dispatcher.Subscriptions(q.Context(), webhook.SubscriptionQuery{
		OrganizationID: q.organizationID, Limit: 1})
	if err != nil {
		return err
	}
	body.Any = len(some) > 0
	return q.show("overview", page{Title: "Overview", Section: "overview", Live: 10}, &body)
}

// ranged is the part of an overview that is about a time which the query names: a day by hour, or a
// week by day.
type ranged struct {
	Range  string
	Series series
	// Backlog says that the store keeps how much was waiting.
	Backlog bool
}

func (q *request) ranged(now time.Time) ranged {
	if q.URL.Query().Get("range") == "7d" {
		return ranged{Range: "7d", Series: newSeries(now, 24*time.Hour, 7)}
	}
	return ranged{Range: "24h", Series: newSeries(now, time.Hour, 24)}
}

// addBacklog adds how much was waiting.
func (c *Console) addBacklog(q *request, r *ranged, query webhook.BacklogQuery) error {
	query.Since = r.Series.since()
	hours, err := c.dispatcher.HourlyBacklog(q.Context(), query)
	if errors.Is(err, dispatch.ErrNoBacklog) {
		return nil
	}
	for i := range hours {
		r.Series.addBacklog(&hours[i])
	}
	r.Backlog = err == nil
	return err
}

// worst is a subscription with failures.
type worst struct {
	SubscriptionID, Name string
	bucket
}

// endpointRow is an endpoint that is not healthy.
type endpointRow struct {
	webhook.EndpointState
	Name string
}

// worstOf returns the subscriptions with the most dead deliveries and failed attempts.
func (c *Console) worstOf(q *request, all map[string]*worst) (list []worst, err error) {
	for _, w := range all {
		if w.Failed > 0 {
			list = append(list, *w)
		}
	}
	slices.SortFunc(list, func(a, b worst) int {
		return cmp.Or(cmp.Compare(b.Dead, a.Dead), cmp.Compare(b.Failed, a.Failed),
			cmp.Compare(a.SubscriptionID, b.SubscriptionID))
	})
	list = list[:min(len(list), worstAtMost)]
	names := map[string]string{}
	for i := range list {
		if list[i].Name, err = c.nameOf(q, names, list[i].SubscriptionID); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// nameOf returns the name of a subscription, or its id if it was deleted in the meantime.
func (c *Console) nameOf(q *request, known map[string]string, id string) (string, error) {
	return c.nameIn(q, q.organizationID, known, id)
}

// nameIn is nameOf for a subscription of another organization than that of the page.
func (c *Console) nameIn(
	q *request, organizationID string, known map[string]string, id string,
) (string, error) {
	if name, ok := known[id]; ok {
		return name, nil
	}
	name := id
	sub, err := c.dispatcher.Subscription(q.Context(), organizationID, id)
	switch {
	case err == nil:
		name = sub.Name
	case !errors.Is(err, webhook.ErrNotFound):
		return "", err
	}
	known[id] = name
	return name, nil
}

// operatorOverview has the figures of the store and the process.
func (c *Console) operatorOverview(q *request) error {
	asked := time.Now()
	now, err := c.dispatcher.Now(q.Context())
	if err != nil {
		return err
	}
	took := time.Since(asked)
	stats := dispatch.Stats{At: now, Process: c.dispatcher.Process(q.Context())}
	if stats.Stored, err = c.dispatcher.Totals(q.Context(), webhook.TotalsQuery{
		AllOrganizations: true, Limit: countAtMost}); err != nil {
		return err
	}
	body := struct {
		dispatch.Stats
		ranged
		OldestDueAge, OldestLeasedAge time.Duration
		// Unhealthy is a page of the endpoints that are not healthy, and Next the URL of the next page;
		// First says that it is the first one.
		Unhealthy     []endpointRow
		Next          string
		First         bool
		Organizations []string
		More, Listed  bool
		// Took is how long the store took to tell the time, and Skew how far its clock is ahead of
		// that of this machine.
		Took, Skew time.Duration
		// Elsewhere is how many deliveries other processes have under lease.
		Elsewhere int64
		Processes processList
	}{Stats: stats, ranged: q.ranged(time.Now()), OldestDueAge: stats.OldestDueAge(),
		OldestLeasedAge: stats.OldestLeasedAge(),
		Took:            took, Skew: now.Sub(asked.Add(took / 2)).Round(time.Millisecond),
		Elsewhere: max(0, stats.Stored.InFlight-int64(stats.Process.Leased))}
	err = c.addBacklog(q, &body.ranged, webhook.BacklogQuery{AllOrganizations: true})
	if err != nil {
		return err
	}
	if body.Unhealthy, body.Next, err = c.unhealthyOfAll(q); err != nil {
		return err
	}
	if body.Processes, err = c.processes(q, &stats); err != nil {
		return err
	}
	body.First = !q.URL.Query().Has(afterWebhook)
	if c.cfg.Organizations != nil {
		if body.Organizations, err = c.cfg.Organizations(q.Context()); err != nil {
			return err
		}
		body.Listed = true
	} else {
		body.Organizations = q.identity.Organizations
	}
	if len(body.Organizations) > organizationsAtMost {
		body.Organizations, body.More = body.Organizations[:organizationsAtMost], true
	}
	return q.show("operator", page{Title: "All organizations", Section: "operator", Live: 5}, &body)
}

// processList is what the page of operators has of the processes that deliver.
type processList struct {
	Known bool // the store keeps them
	Rows  []processRow
	Alive int
	// More says that there are more than are in Rows.
	More bool
}

// processRow is a process, and how it is.
type processRow struct {
	webhook.Process
	State string
	// Answers says that it is the process that makes the page.
	Answers bool
}

// processes returns the processes that deliver, by name, and behind them those that are lost.
func (c *Console) processes(q *request, stats *dispatch.Stats) (list processList, err error) {
	found, err := c.dispatcher.Processes(q.Context())
	if errors.Is(err, dispatch.ErrNoProcesses) {
		return list, nil
	}
	list.Known, list.More = true, len(found) > processesAtMost
	for _, p := range found {
		row := processRow{Process: p, State: "delivering",
			Answers: p.ID == stats.Process.ID}
		switch {
		case p.Lost(stats.At):
			row.State = "lost"
		case p.Stopping:
			row.State = "stopping"
		}
		if row.State != "lost" {
			list.Alive++
		}
		if len(list.Rows) < processesAtMost {
			list.Rows = append(list.Rows, row)
		}
	}
	lost := func(r *processRow) int {
		if r.State == "lost" {
			return 1
		}
		return 0
	}
	slices.SortFunc(list.Rows, func(a, b processRow) int {
		return cmp.Or(cmp.Compare(lost(&a), lost(&b)), cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
	return list, err
}

// The cursor of the endpoints of all organizations in a query.
const (
	afterOrganization = "after_organization"
	afterWebhook      = "after_webhook"
	afterChannel      = "after_channel"
)

// unhealthyOfAll returns a page of the endpoints of all organizations that are not healthy, and the
// URL of the next page.
func (c *Console) unhealthyOfAll(q *request) (rows []endpointRow, next string, err error) {
	v := q.URL.Query()
	states, err := c.dispatcher.EndpointStates(q.Context(), webhook.EndpointQuery{
		AllOrganizations: true, OrganizationID: v.Get(afterOrganization),
		After: webhook.Endpoint{SubscriptionID: v.Get(afterWebhook), Channel: v.Get(afterChannel)},
		Limit: rowsAtMost + 1})
	if err != nil {
		return nil, "", err
	}
	if len(states) > rowsAtMost {
		states = states[:rowsAtMost]
		last := states[rowsAtMost-1]
		next = q.link("/", afterOrganization, last.OrganizationID, afterWebhook, last.SubscriptionID,
			afterChannel, last.Channel)
	}
	names := map[string]string{}
	for _, s := range states {
		name, err := c.nameIn(q, s.OrganizationID, names, s.SubscriptionID)
		if err != nil {
			return nil, "", err
		}
		rows = append(rows, endpointRow{s, name})
	}
	return rows, next, nil
}
