package console

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
)

const (
	// replayCounted is up to how many deliveries are counted before, and while, they are replayed.
	replayCounted = 1_000
	// countTime bounds such a count. It may take long if few of very many deliveries fit. The page is then
	// shown without it.
	countTime = 5 * time.Second
	// maxRate is how many deliveries may become due in a second.
	maxRate     = 1_000
	defaultRate = 20
)

// replayFilter is a filter, and the name of its subscription.
type replayFilter struct {
	Filter filter
	Name   string // empty for all
	// Count is how many deliveries are to be replayed, and More says that there are more.
	Count int
	More  bool
	// TooLong says that counting has taken too long, and Count is not known.
	TooLong bool
}

// count counts the deliveries, for as long as a page may wait for it.
func (f *replayFilter) count(
	q *request, count func(context.Context) (n int, more bool, err error),
) (err error) {
	ctx, cancel := context.WithTimeout(q.Context(), countTime)
	defer cancel()
	f.Count, f.More, err = count(ctx)
	if err != nil && ctx.Err() != nil && q.Context().Err() == nil {
		f.TooLong, err = true, nil
	}
	return err
}

// readReplay reads the filter of a replay from the query or form of its page.
func readReplay(v url.Values, organizationID string) (
	f filter, query webhook.DeliveryQuery, err error,
) {
	query.OrganizationID = organizationID
	f = readFilter(v, &query)
	query.Status, f.Status = webhook.StatusDead, ""
	if len(f.Problems) > 0 {
		return f, query, errBadLink
	}
	return f, query, nil
}

// confirmReplayAll counts first.
func (c *Console) confirmReplayAll(q *request) error {
	return c.replayForm(q, q.URL.Query(), "")
}

// replayForm is the page before a replay. problem is what is wrong with the rate.
func (c *Console) replayForm(q *request, v url.Values, problem string) error {
	f, query, err := readReplay(v, q.organizationID)
	if err != nil {
		return err
	}
	body := struct {
		replayFilter
		Rate, Problem string
	}{Rate: v.Get("rate"), Problem: problem}
	if body.Rate == "" {
		body.Rate = strconv.Itoa(defaultRate)
	}
	if body.replayFilter, err = c.nameFilter(q, f); err != nil {
		return err
	}
	err = body.count(q, func(ctx context.Context) (int, bool, error) {
		return c.dispatcher.CountReplay(ctx, query, replayCounted)
	})
	if err != nil {
		return err
	}
	return q.show("replayall", page{Title: "Replay dead letters", Section: "dead"}, &body)
}

// replayAll begins a replay, and leads to its page.
func (c *Console) replayAll(q *request) error {
	_, query, err := readReplay(q.PostForm, q.organizationID)
	if err != nil {
		return err
	}
	rate, err := strconv.ParseFloat(q.PostForm.Get("rate"), 64)
	if err != nil || !(rate >= 0.01 && rate <= maxRate) {
		return c.replayForm(q, q.PostForm, "must be a number from 0.01 to "+number(maxRate))
	}
	r, err := c.dispatcher.StartReplay(q.Context(), query, dispatch.ReplayOptions{PerSecond: rate},
		q.name())
	change := Change{Action: "replay_many", SubscriptionID: query.SubscriptionID}
	if err == nil {
		change.ReplayID = r.ID
	}
	if err := q.audit(change, err); err != nil {
		return replayError(err)
	}
	return q.redirect(q.link("/replays/" + r.ID))
}

// replayError says in words that the store cannot keep replays.
func replayError(err error) error {
	if errors.Is(err, dispatch.ErrNoReplays) {
		return &statusError{http.StatusNotImplemented, "The store cannot keep a replay of many deliveries."}
	}
	return err
}

func (c *Console) listReplays(q *request) error {
	list, err := c.dispatcher.Replays(q.Context(), q.organizationID)
	if err != nil {
		return replayError(err)
	}
	return q.show("replays", page{Title: "Replays", Section: "dead", Live: 5}, &list)
}

func (c *Console) showReplay(q *request) error {
	r, err := c.dispatcher.FindReplay(q.Context(), q.organizationID, q.PathValue("id"))
	if err != nil {
		return replayError(err)
	}
	body := struct {
		*webhook.Replay
		replayFilter
		// Waits says that it may be that no process goes on with it.
		Waits bool
	}{Replay: r}
	query := r.Query
	f := filter{Type: query.EventType, Subscription: query.SubscriptionID, Event: query.EventID}
	if query.Holding {
		f.Holding = "yes"
	}
	for text, at := range map[*string]time.Time{&f.Since: query.Since, &f.Until: query.Until} {
		if !at.IsZero() {
			*text = at.Format(timeLayout)
		}
	}
	p := page{Title: "Replay", Section: "dead"}
	if body.replayFilter, err = c.nameFilter(q, f); err != nil {
		return err
	}
	if !r.Ended() {
		p.Live = 2
		now, err := c.dispatcher.Now(q.Context())
		if err != nil {
			return err
		}
		body.Waits = c.dispatcher.ReplayStalled(r, now)
		err = body.count(q, func(ctx context.Context) (int, bool, error) {
			return c.dispatcher.CountRemaining(ctx, r, replayCounted)
		})
		if err != nil {
			return err
		}
	}
	return q.show("replay", p, &body)
}

// nameFilter fills in a filter, and counts nothing.
func (c *Console) nameFilter(q *request, f filter) (found replayFilter, err error) {
	found.Filter = f
	if f.Subscription != "" {
		found.Name, err = c.nameOf(q, map[string]string{}, f.Subscription)
	}
	return found, err
}

func (c *Console) stopReplay(q *request) error {
	id := q.PathValue("id")
	_, err := c.dispatcher.StopReplay(q.Context(), q.organizationID, id, q.name())
	if err := q.audit(Change{Action: "stop_replay", ReplayID: id}, err); err != nil {
		return replayError(err)
	}
	return q.redirect(q.link("/replays/"+id, "done", "stopped"))
}
