package api

import (
	"bytes"
	"log/slog"
	"reflect"
	"slices"

	"github.com/mixpeek/webhooks-go/webhook"
)

// actionUpdate is the action of a change that a comparison may name more closely.
const actionUpdate = "update"

// change is a change of a webhook, for the log.
type change struct {
	// action is named as in a Change of the console, which does the same things.
	action string
	// channel is the key of the channel that it was about. Empty is all of the webhook.
	channel string
	// fields are the members of the webhook that are different now. Their values may be secrets.
	fields []string
}

// compare completes an update. One that sets is_active to another value is a pause or a resumption:
// that is what a person looks for who finds deliveries waiting.
func (c *change) compare(before, after *webhook.Subscription) {
	if c.action != actionUpdate {
		return
	}
	switch {
	case after.Paused && !before.Paused:
		c.action = "pause"
	case before.Paused && !after.Paused:
		c.action = "resume"
	}
	sameChannel := func(a, b webhook.ChannelConfig) bool {
		return a.Channel == b.Channel && bytes.Equal(a.Configs, b.Configs)
	}
	for _, f := range []struct {
		name string
		same bool
	}{
		{"webhook_name", before.Name == after.Name},
		{"event_types", slices.Equal(before.EventTypes, after.EventTypes)},
		{"channels", slices.EqualFunc(before.Channels, after.Channels, sameChannel)},
		{"is_active", before.Paused == after.Paused},
		{"retry", reflect.DeepEqual(before.Retry, after.Retry)},
		{"rate_limit", reflect.DeepEqual(before.RateLimit, after.RateLimit)},
		{"ordering", reflect.DeepEqual(before.Ordering, after.Ordering)},
	} {
		if !f.same {
			c.fields = append(c.fields, f.name)
		}
	}
}

// logChange writes a line about a change that the request has made, and who made it: of a paused or
// deleted subscription the store keeps no name.
func (a *API) logChange(r *request, id string, c *change) {
	attributes := []slog.Attr{
		slog.String("organization_id", r.organizationID), slog.String("webhook_id", id),
		slog.String("action", c.action), slog.String("changed_by", cut(r.holder.Name)),
	}
	if c.channel != "" {
		attributes = append(attributes, slog.String("channel", c.channel))
	}
	if len(c.fields) > 0 {
		attributes = append(attributes, slog.Any("fields", c.fields))
	}
	a.cfg.Logger.LogAttrs(r.Context(), slog.LevelInfo, "api: a webhook was changed", attributes...)
}
