package api_test

import (
	"context"
	"errors"

	"github.com/mixpeek/webhooks-go/webhook"
)

var errBroken = errors.New("dial db: password=hunter2 refused")

// brokenStore fails whatever the API asks of it.
type brokenStore struct{ webhook.Store }

func (brokenStore) CreateSubscription(context.Context, *webhook.Subscription, webhook.Quota) error {
	return errBroken
}
func (brokenStore) UpdateSubscription(context.Context, *webhook.Subscription, webhook.Quota) error {
	return errBroken
}
func (brokenStore) DeleteSubscription(context.Context, string, string, int64) error { return errBroken }
func (brokenStore) Subscription(context.Context, string, string) (*webhook.Subscription, error) {
	return nil, errBroken
}
func (brokenStore) Subscriptions(context.Context, webhook.SubscriptionQuery) ([]*webhook.Subscription, error) {
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
