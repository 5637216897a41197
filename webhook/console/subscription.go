package console

import (
	"net/http"
	"slices"
	"time"

	"github.com/mixpeek/webhooks-go/event/jsontext"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/internal/configs"
)

// channelView is one channel of a subscription on its page.
type channelView struct {
	Key     string
	Configs string // masked, as indented JSON
	State   webhook.EndpointState
	CanSign bool
	Secrets int // how many signing secrets are in use
	// Refusals are the event types that it refuses.
	Refusals []dispatch.Refusal
}

// subscriptionBody is the page of a subscription.
type subscriptionBody struct {
	*webhook.Subscription
	state
	Channels []channelView
	Series   series
	Week     bucket
	Recent   []webhook.Delivery
	More     bool
	Revealed bool
}

func (c *Console) showSubscription(q *request) error { return c.subscriptionPage(q, false) }

// revealSecrets shows the page with all secrets. It is a POST, so that no link and no history of a
// browser can ask for it.
func (c *Console) revealSecrets(q *request) error {
	sub, err := c.subscription(q)
	if err != nil {
		return err
	}
	_ = q.audit(Change{Action: "reveal", SubscriptionID: sub.ID}, nil)
	return c.subscriptionPage(q, true)
}

// subscription returns the subscription that the path names.
func (c *Console) subscription(q *request) (*webhook.Subscription, error) {
	return c.dispatcher.Subscription(q.Context(), q.organizationID, q.PathValue("id"))
}

func (c *Console) subscriptionPage(q *request, reveal bool) error {
	sub, err := c.subscription(q)
	if err != nil {
		return err
	}
	masked := sub
	if !reveal {
		if masked, err = c.fields.Masked(sub); err != nil {
			return err
		}
	}
	unhealthy, err := c.unhealthy(q, sub.ID)
	if err != nil {
		return err
	}
	body := subscriptionBody{Subscription: sub, state: stateOf(sub, unhealthy), Revealed: reveal}
	for i, key := range sub.ChannelKeys() {
		view := channelView{Key: key, Configs: indent(masked.Channels[i].Configs),
			CanSign: c.fields.CanSign(sub.Channels[i].Channel),
			State: webhook.EndpointState{Health: webhook.Healthy,
				Endpoint: webhook.Endpoint{SubscriptionID: sub.ID, Channel: key}}}
		if view.CanSign {
			if view.Secrets, err = configs.SigningSecrets(sub.Channels[i].Configs); err != nil {
				return err
			}
		}
		if at := slices.IndexFunc(unhealthy,
			func(s webhook.EndpointState) bool { return s.Channel == key }); at >= 0 {
			view.State = unhealthy[at]
		}
		body.Channels = append(body.Channels, view)
	}
	now := time.Now()
	body.Series = newSeries(now, time.Hour, 24)
	hours, err := c.dispatcher.HourlyStatistics(q.Context(), webhook.HourlyQuery{
		OrganizationID: q.organizationID, SubscriptionID: sub.ID, Since: now.Add(-7 * 24 * time.Hour)})
	if err != nil {
		return err
	}
	for i := range hours.Hours {
		body.Week.add(&hours.Hours[i])
		body.Series.add(&hours.Hours[i])
	}
	if body.Series.Total().Failed > 0 {
		if err := c.addRefusals(q, sub.ID, body.Channels); err != nil {
			return err
		}
	}
	const recent = 10
	body.Recent, err = c.dispatcher.Deliveries(q.Context(), webhook.DeliveryQuery{
		OrganizationID: q.organizationID, SubscriptionID: sub.ID, Limit: recent + 1})
	if err != nil {
		return err
	}
	if len(body.Recent) > recent {
		body.Recent, body.More = body.Recent[:recent], true
	}
	p := page{Title: sub.Name, Section: "subscriptions", Live: 10}
	if reveal {
		p.Live = 0
	}
	return q.show("subscription", p, &body)
}

// addRefusals says which event types the channels refuse.
func (c *Console) addRefusals(q *request, id string, channels []channelView) error {
	found, err := c.dispatcher.Refusals(q.Context(), q.organizationID, id)
	if err != nil {
		return err
	}
	for _, r := range found.Types {
		for i := range channels {
			if channels[i].Key == r.Channel {
				channels[i].Refusals = append(channels[i].Refusals, r)
			}
		}
	}
	return nil
}

// indent writes JSON for people. What is no JSON, or would become very long, is shown as it is.
func indent(raw []byte) string {
	if indented, err := jsontext.Indent(raw, "  "); err == nil {
		return string(indented)
	}
	return string(raw)
}

func (c *Console) pause(q *request) error  { return c.setPaused(q, true, "pause", "paused") }
func (c *Console) resume(q *request) error { return c.setPaused(q, false, "resume", "resumed") }

func (c *Console) setPaused(q *request, paused bool, action, done string) error {
	sub, err := c.subscription(q)
	if err != nil {
		return err
	}
	if sub.Paused != paused {
		sub.Paused = paused
		err = c.dispatcher.UpdateSubscription(q.Context(), sub)
	}
	if err := q.audit(Change{Action: action, SubscriptionID: sub.ID}, err); err != nil {
		return err
	}
	return q.redirect(q.link("/subscriptions/"+sub.ID, "done", done))
}

func (c *Console) enableEndpoint(q *request) error {
	e := webhook.Endpoint{SubscriptionID: q.PathValue("id"), Channel: q.PostForm.Get("channel")}
	err := c.dispatcher.EnableEndpoint(q.Context(), q.organizationID, e, q.name())
	return c.endpointDone(q, e, "enable", "enabled", err)
}

func (c *Console) disableEndpoint(q *request) error {
	e := webhook.Endpoint{SubscriptionID: q.PathValue("id"), Channel: q.PostForm.Get("channel")}
	err := c.dispatcher.DisableEndpoint(q.Context(), q.organizationID, e, q.name())
	return c.endpointDone(q, e, "disable", "disabled", err)
}

func (c *Console) endpointDone(q *request, e webhook.Endpoint, action, done string, err error) error {
	change := Change{Action: action, SubscriptionID: e.SubscriptionID, Channel: e.Channel}
	if err := q.audit(change, err); err != nil {
		return err
	}
	return q.redirect(q.link("/subscriptions/"+e.SubscriptionID, "done", done))
}

func (c *Console) confirmDeletion(q *request) error {
	sub, err := c.subscription(q)
	if err != nil {
		return err
	}
	return q.show("delete", page{Title: "Delete " + sub.Name, Section: "subscriptions"}, sub)
}

func (c *Console) deleteSubscription(q *request) error {
	sub, err := c.subscription(q)
	if err != nil {
		return err
	}
	err = c.dispatcher.DeleteSubscription(q.Context(), q.organizationID, sub.ID, 0)
	if err := q.audit(Change{Action: "delete", SubscriptionID: sub.ID}, err); err != nil {
		return err
	}
	return q.redirect(q.link("/subscriptions", "done", "deleted"))
}

// rotation is the page of a rotation: before it, and after it with the new secret.
type rotation struct {
	*webhook.Subscription
	Key  string
	Done bool
	configs.Rotation
}

// signingChannel returns the index of the channel that the request names, which must be able to
// sign.
func (c *Console) signingChannel(sub *webhook.Subscription, key string) (int, error) {
	i := slices.Index(sub.ChannelKeys(), key)
	if i < 0 || !c.fields.CanSign(sub.Channels[i].Channel) {
		return 0, webhook.ErrNotFound
	}
	return i, nil
}

func (c *Console) confirmRotation(q *request) error {
	sub, err := c.subscription(q)
	if err != nil {
		return err
	}
	body := rotation{Subscription: sub, Key: q.URL.Query().Get("channel")}
	i, err := c.signingChannel(sub, body.Key)
	if err != nil {
		return err
	}
	if body.Previous, err = configs.SigningSecrets(sub.Channels[i].Configs); err != nil {
		return err
	}
	return q.show("rotate", page{Title: "Rotate the signing secret", Section: "subscriptions"}, &body)
}

func (c *Console) rotate(q *request) error {
	sub, err := c.subscription(q)
	if err != nil {
		return err
	}
	body := rotation{Subscription: sub, Key: q.PostForm.Get("channel"), Done: true}
	i, err := c.signingChannel(sub, body.Key)
	if err != nil {
		return err
	}
	if sub.Channels[i].Configs, body.Rotation, err = configs.Rotate(sub.Channels[i].Configs); err != nil {
		return err
	}
	err = c.dispatcher.UpdateSubscription(q.Context(), sub)
	change := Change{Action: "rotate", SubscriptionID: sub.ID, Channel: body.Key}
	if err := q.audit(change, err); err != nil {
		return err
	}
	if !q.identity.Reveal {
		body.Secret = ""
	}
	q.render(http.StatusOK, "rotate", page{Title: "The signing secret is rotated",
		Section: "subscriptions"}, &body)
	return nil
}

func (c *Console) dropPrevious(q *request) error {
	sub, err := c.subscription(q)
	if err != nil {
		return err
	}
	key := q.PostForm.Get("channel")
	i, err := c.signingChannel(sub, key)
	if err != nil {
		return err
	}
	if sub.Channels[i].Configs, err = configs.DropPrevious(sub.Channels[i].Configs); err != nil {
		return err
	}
	err = c.dispatcher.UpdateSubscription(q.Context(), sub)
	change := Change{Action: "drop_previous", SubscriptionID: sub.ID, Channel: key}
	if err := q.audit(change, err); err != nil {
		return err
	}
	return q.redirect(q.link("/subscriptions/"+sub.ID, "done", "dropped"))
}
