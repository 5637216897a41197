package console

import (
	"errors"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
)

func (c *Console) listDead(q *request) error {
	list, err := c.deliveryList(q, "/dead", webhook.StatusDead)
	if err != nil {
		return err
	}
	body := struct {
		*deliveryList
		Replays []*webhook.Replay
	}{deliveryList: list}
	if body.Replays, err = c.dispatcher.Replays(q.Context(), q.organizationID); err != nil &&
		!errors.Is(err, dispatch.ErrNoReplays) {
		return err
	}
	const newest = 3
	body.Replays = body.Replays[:min(len(body.Replays), newest)]
	return q.show("dead", page{Title: "Dead letters", Section: "dead"}, &body)
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
