package api

import (
	"errors"

	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/internal/configs"
)

// Mask stands for the value of a secret in answers, and for the stored value in an update.
const Mask = configs.Mask

// maxReveal is how many secrets one request may ask for.
const maxReveal = 100

// masked returns the webhook as it is in answers, without secrets, except those that reveal names.
func (a *API) masked(sub *webhook.Subscription, reveal []string) (*webhook.Subscription, error) {
	p := &problems{}
	if len(reveal) > maxReveal {
		p.add(at("reveal"), typeTooLong, "must occur at most %d times", maxReveal)
		return nil, p
	}
	shown, err := a.fields.Masked(sub, reveal...)
	if errors.Is(err, configs.ErrNoSecret) {
		p.add(at("reveal"), typeValue,
			"must name a secret of the webhook, such as channels.0.configs.headers.X-Token")
		return nil, p
	}
	return shown, err
}

func (a *API) maskedAll(list []*webhook.Subscription) ([]*webhook.Subscription, error) {
	shown := make([]*webhook.Subscription, len(list))
	for i, sub := range list {
		var err error
		if shown[i], err = a.masked(sub, nil); err != nil {
			return nil, err
		}
	}
	return shown, nil
}

// restore sets the stored values where an update has masks: see [configs.Fields.Restore].
func (a *API) restore(p *problems, sub, stored *webhook.Subscription) {
	a.fields.Restore(sub, stored, func(path []any, rule string) {
		p.add(append([]any{"body"}, path...), typeValue, "%s", rule)
	})
}
