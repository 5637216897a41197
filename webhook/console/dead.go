package console

import (
	"errors"
	"net/url"
	"strconv"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
)

// The bounds of a replay of many deliveries.
const (
	// replayCounted is up to how many deliveries are counted before they are replayed.
	replayCounted = 1_000
	// replayStep is how many are replayed in one request. The page then says how far it is, and its
	// URL holds where to go on, so that it can be left and found again.
	replayStep = 500
	// maxRate is how many deliveries may become due in a second.
	maxRate     = 1_000
	defaultRate = 20
)

func (c *Console) listDead(q *request) error {
	list, err := c.deliveryList(q, "/dead", webhook.StatusDead)
	if err != nil {
		return err
	}
	return q.show("dead", page{Title: "Dead letters", Section: "dead"}, list)
}

// replaySelected replays the deliveries that were ticked, which are a page of them at most.
func (c *Console) replaySelected(q *request) error {
	ids := q.PostForm["id"]
	if len(ids) > rowsAtMost {
		return errBadLink
	}
	count, skipped := 0, 0
	for _, text := range ids {
		id, err := webhook.ParseDeliveryID(text)
		if err != nil {
			return webhook.ErrNotFound
		}
		err = c.dispatcher.Replay(q.Context(), q.organizationID, id)
		switch err = q.audit(Change{Action: "replay", DeliveryID: id}, err); {
		case err == nil:
			count++
		case errors.Is(err, webhook.ErrWrongStatus), errors.Is(err, webhook.ErrNotFound):
			skipped++
		default:
			return err
		}
	}
	body := struct{ Count, Skipped int }{count, skipped}
	return q.show("replayed", page{Title: "Replayed", Section: "dead"}, &body)
}

// replayBody is the page of a replay of all that fit a filter.
type replayBody struct {
	Filter filter
	// Names is how the subscription of the filter is called.
	Name string
	// Count is how many deliveries fit, More says that there are more.
	Count int
	More  bool
	Rate  string
	// Problem is what is wrong with the rate.
	Problem string
	// Replayed, Before and Settled say how far it is; Settled is empty before it has begun.
	Replayed        int
	Before, Settled string
	Done            bool
}

// readReplay reads the filter and the progress from the query or form of the page.
func readReplay(v url.Values, organizationID string) (
	body replayBody, query webhook.DeliveryQuery, err error,
) {
	query.OrganizationID = organizationID
	body.Filter = readFilter(v, &query)
	query.Status, body.Filter.Status = webhook.StatusDead, ""
	if len(body.Filter.Problems) > 0 {
		return body, query, errBadLink
	}
	if body.Before = v.Get("before"); body.Before != "" {
		if query.Before, err = webhook.ParseDeliveryID(body.Before); err != nil {
			return body, query, errBadLink
		}
	}
	if replayed := v.Get("replayed"); replayed != "" {
		if body.Replayed, err = strconv.Atoi(replayed); err != nil || body.Replayed < 0 {
			return body, query, errBadLink
		}
	}
	body.Settled = v.Get("settled")
	if body.Rate = v.Get("rate"); body.Rate == "" {
		body.Rate = strconv.Itoa(defaultRate)
	}
	return body, query, nil
}

// confirmReplayAll counts first, and says how far a replay is that has begun.
func (c *Console) confirmReplayAll(q *request) error {
	body, query, err := readReplay(q.URL.Query(), q.organizationID)
	if err != nil {
		return err
	}
	return c.replayPage(q, body, query)
}

func (c *Console) replayPage(q *request, body replayBody, query webhook.DeliveryQuery) error {
	var err error
	if body.Filter.Subscription != "" {
		body.Name, err = c.nameOf(q, map[string]string{}, body.Filter.Subscription)
		if err != nil {
			return err
		}
	}
	query.WithoutAttempts, query.Limit = true, replayCounted+1
	found, err := c.dispatcher.Deliveries(q.Context(), query)
	if err != nil {
		return err
	}
	body.Count, body.More = min(len(found), replayCounted), len(found) > replayCounted
	body.Done = body.Settled != "" && len(found) == 0
	return q.show("replayall", page{Title: "Replay dead letters", Section: "dead"}, &body)
}

// replayAll replays a step, and leads to the page that says how far it is.
func (c *Console) replayAll(q *request) error {
	body, query, err := readReplay(q.PostForm, q.organizationID)
	if err != nil {
		return err
	}
	rate, err := strconv.ParseFloat(body.Rate, 64)
	if err != nil || !(rate >= 0.01 && rate <= maxRate) {
		body.Problem = "must be a number from 0.01 to " + number(maxRate)
		return c.replayPage(q, body, query)
	}
	options := dispatch.ReplayOptions{PerSecond: rate}
	if body.Settled == "" {
		now, err := c.dispatcher.Now(q.Context())
		if err != nil {
			return err
		}
		body.Settled = now.UTC().Format(time.RFC3339Nano)
	}
	if options.SettledBefore, err = time.Parse(time.RFC3339Nano, body.Settled); err != nil {
		return errBadLink
	}
	query.Limit = replayStep
	progress, err := c.dispatcher.ReplayAll(q.Context(), query, options)
	change := Change{Action: "replay_many", SubscriptionID: body.Filter.Subscription,
		Count: progress.Replayed}
	if err := q.audit(change, err); err != nil {
		return err
	}
	pairs := append(body.Filter.pairs(), "rate", body.Rate, "settled", body.Settled,
		"replayed", strconv.Itoa(body.Replayed+progress.Replayed))
	if progress.Before > 0 {
		pairs = append(pairs, "before", progress.Before.String())
	}
	return q.redirect(q.link("/dead/replay-all", pairs...))
}
