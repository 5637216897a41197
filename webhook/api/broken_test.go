package api_test

import (
	"context"
	"errors"

	"github.com/mixpeek/webhooks-go/webhook"
)

var errBroken = errors.New("dial db: password=hunter2 refused")

// brokenStore fails whatever the API asks of it.
type brokenStore struct{ webhook.Store }

func (brokenStore) CreateWebhook(context.Context, *webhook.Webhook, webhook.Quota) error {
	return errBroken
}
func (brokenStore) UpdateWebhook(context.Context, *webhook.Webhook, webhook.Quota) error {
	return errBroken
}
func (brokenStore) DeleteWebhook(context.Context, string, string, int64) error { return errBroken }
func (brokenStore) Webhook(context.Context, string, string) (*webhook.Webhook, error) {
	return nil, errBroken
}
func (brokenStore) Webhooks(context.Context, webhook.WebhookQuery) ([]*webhook.Webhook, error) {
	return nil, errBroken
}
func (brokenStore) Deliveries(context.Context, webhook.DeliveryQuery) ([]webhook.Delivery, error) {
	return nil, errBroken
}
func (brokenStore) Delivery(context.Context, string, webhook.DeliveryID) (*webhook.Delivery, error) {
	return nil, errBroken
}
func (brokenStore) EventPayload(context.Context, string, string) ([]byte, error) {
	return nil, errBroken
}
