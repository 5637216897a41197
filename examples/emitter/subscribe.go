package main

import (
	"context"
	"errors"

	"github.com/mixpeek/webhooks-go/webhook"
)

// subscribe creates the webhook, or makes the stored one of the same id like it.
func subscribe(ctx context.Context, d *webhook.Dispatcher, w *webhook.Webhook) error {
	err := d.CreateWebhook(ctx, w)
	if !errors.Is(err, webhook.ErrExists) {
		return err
	}
	stored, err := d.Webhook(ctx, w.OrganizationID, w.ID)
	if err != nil {
		return err
	}
	w.Revision = stored.Revision
	return d.UpdateWebhook(ctx, w)
}
