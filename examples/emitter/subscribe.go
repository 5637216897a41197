package main

import (
	"context"
	"errors"

	"github.com/mixpeek/webhooks-go/webhook/dispatch"

	"github.com/mixpeek/webhooks-go/webhook"
)

// subscribe creates the webhook, or makes the stored one of the same id like it.
func subscribe(ctx context.Context, d *dispatch.Dispatcher, sub *webhook.Subscription) error {
	err := d.CreateSubscription(ctx, sub)
	if !errors.Is(err, webhook.ErrExists) {
		return err
	}
	stored, err := d.Subscription(ctx, sub.OrganizationID, sub.ID)
	if err != nil {
		return err
	}
	sub.Revision = stored.Revision
	return d.UpdateSubscription(ctx, sub)
}
