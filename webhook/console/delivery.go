package console

import (
	"errors"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
)

// deliveryBody is the page of a delivery.
type deliveryBody struct {
	webhook.Delivery
	Name     string
	Gone     bool   // the subscription or the channel is
	Payload  string // as indented JSON; empty if it was pruned
	Curl     string
	CurlNote string
	Health   webhook.Health
	// Front is the delivery that this one waits behind; nil if it waits for none, or that is gone.
	Front *webhook.Delivery
	// Waiting says why it is not settled; nil if it is.
	Waiting *dispatch.Waiting
	// MayReplay and MayCancel say what its state allows.
	MayReplay, MayCancel bool
}

func (c *Console) deliveryID(q *request) (webhook.DeliveryID, error) {
	id, err := webhook.ParseDeliveryID(q.PathValue("id"))
	if err != nil {
		return 0, webhook.ErrNotFound
	}
	return id, nil
}

func (c *Console) showDelivery(q *request) error {
	id, err := c.deliveryID(q)
	if err != nil {
		return err
	}
	d, err := c.dispatcher.Delivery(q.Context(), q.organizationID, id)
	if err != nil {
		return err
	}
	body := deliveryBody{Delivery: *d, Name: d.SubscriptionID, Health: webhook.Healthy}
	payload, err := c.dispatcher.EventPayload(q.Context(), q.organizationID, d.EventID)
	if err != nil && !errors.Is(err, webhook.ErrNotFound) {
		return err
	}
	body.Payload = indent(payload)
	sub, err := c.dispatcher.Subscription(q.Context(), q.organizationID, d.SubscriptionID)
	switch {
	case errors.Is(err, webhook.ErrNotFound):
		body.Gone = true
	case err != nil:
		return err
	default:
		body.Name = sub.Name
		if body.Curl, body.CurlNote, err = c.curl(q, sub, d, payload); err != nil {
			return err
		}
		state, err := c.dispatcher.EndpointState(q.Context(), q.organizationID, d.Endpoint)
		if err != nil && !errors.Is(err, webhook.ErrNotFound) {
			return err
		}
		body.Gone = err != nil
		body.Health = state.Health
	}
	if d.WaitsFor != 0 {
		body.Front, err = c.dispatcher.Delivery(q.Context(), q.organizationID, d.WaitsFor)
		if err != nil && !errors.Is(err, webhook.ErrNotFound) {
			return err
		}
	}
	if body.Waiting, err = c.dispatcher.Waiting(q.Context(), d); err != nil {
		return err
	}
	settled := d.Status.Settled()
	body.MayCancel = !settled
	body.MayReplay = settled && !body.Gone && len(d.Attempts) < dispatch.MaxReplayed
	p := page{Title: "Delivery " + d.ID.String(), Section: "deliveries"}
	if !settled {
		p.Live = 3
	}
	return q.show("delivery", p, &body)
}

// Settled reports whether it has ended.
func (b *deliveryBody) Settled() bool { return b.Status.Settled() }

func (c *Console) replayDelivery(q *request) error {
	return c.changeDelivery(q, "replay", "replayed", func(id webhook.DeliveryID) error {
		return c.dispatcher.Replay(q.Context(), q.organizationID, id)
	})
}

func (c *Console) cancelDelivery(q *request) error {
	return c.changeDelivery(q, "cancel", "cancelled", func(id webhook.DeliveryID) error {
		return c.dispatcher.Cancel(q.Context(), q.organizationID, id)
	})
}

func (c *Console) skipDelivery(q *request) error {
	return c.changeDelivery(q, "skip", "skipped", func(id webhook.DeliveryID) error {
		return c.dispatcher.Skip(q.Context(), q.organizationID, id)
	})
}

func (c *Console) changeDelivery(
	q *request, action, done string, change func(webhook.DeliveryID) error,
) error {
	id, err := c.deliveryID(q)
	if err != nil {
		return err
	}
	if err := q.audit(Change{Action: action, DeliveryID: id}, change(id)); err != nil {
		return err
	}
	return q.redirect(q.link("/deliveries/"+id.String(), "done", done))
}
