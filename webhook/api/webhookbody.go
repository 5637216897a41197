package api

import (
	"encoding/json"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
)

// readSubscription reads the contract's webhook object. What the server decides and
// clients send back, because they read it before, is checked and passed over:
// internal_id, created_at, updated_at. So is description, which the contract's
// examples have and its schema does not. It returns nil, and has said why, if
// the body is no object.
func (a *API) readSubscription(p *problems, body []byte) *webhook.Subscription {
	o := readObject(p, body, subscriptionLists())
	if o == nil {
		return nil
	}
	sub := &webhook.Subscription{}
	sub.ID = o.text("webhook_id")
	sub.Name = o.text("webhook_name")
	for i, raw := range o.list("event_types") {
		var pattern *event.Pattern
		if err := json.Unmarshal(raw, &pattern); err != nil || pattern == nil {
			p.add(append(o.at("event_types"), i), "string_type", "must be of type string")
			pattern = new(event.Pattern)
		}
		sub.EventTypes = append(sub.EventTypes, *pattern)
	}
	for i, raw := range o.list("channels") {
		sub.Channels = append(sub.Channels, a.readChannel(p, append(o.at("channels"), i), raw))
	}
	if active := o.boolean("is_active"); active != nil {
		sub.Paused = !*active
	}
	o.text("internal_id")
	o.text("description")
	o.time("created_at")
	o.time("updated_at")
	o.end()
	return sub
}

// subscriptionLists are the bounds of a webhook's lists.
func subscriptionLists() map[string]int {
	return map[string]int{"channels": webhook.MaxChannels, "event_types": webhook.MaxEventTypes}
}

func (a *API) readChannel(p *problems, location []any, raw json.RawMessage) (c webhook.ChannelConfig) {
	o := p.object(location, raw)
	if o == nil {
		return c
	}
	c.Channel = o.text("channel")
	c.Configs = o.get("configs")
	for _, name := range a.fields.unknown(c) {
		p.add(append(o.at("configs"), name), typeExtra, "is not known here")
	}
	o.text("description")
	o.end()
	return c
}
