package memstore_test

import (
	"context"
	"fmt"
	"time"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
)

// A Store as the Dispatcher sees it: an event comes in, a delivery is claimed,
// attempted, and settled. Errors are left out here.
func Example() {
	ctx, now := context.Background(), time.Date(2025, 10, 8, 16, 9, 0, 0, time.UTC)
	store := memstore.New()
	_ = store.CreateSubscription(ctx, &webhook.Subscription{
		ID:         "wh_0123456789abcdef",
		Name:       "Orders",
		EventTypes: []event.Pattern{"object.*"},
		Channels: []webhook.ChannelConfig{
			{Channel: "webhook", Configs: []byte(`{"url":"https://example.com"}`)},
		},
	}, webhook.Quota{})
	_, _ = store.Enqueue(ctx, now, []webhook.NewEvent{
		{ID: "evt_1", Type: "object.created", Payload: []byte(`{"event_id":"evt_1"}`)},
	}, nil)

	tasks, _ := store.Claim(ctx, now,
		webhook.ClaimRequest{Until: now.Add(time.Minute), Limit: 10, PerEndpoint: 10})
	for _, task := range tasks {
		fmt.Printf("send %s to %s of %s\n", task.Payload, task.Endpoint.Channel,
			task.Endpoint.SubscriptionID)
		_, _ = store.Settle(ctx, now, []webhook.Settlement{{
			Lease:   task.Lease,
			Status:  webhook.StatusSucceeded,
			Attempt: &webhook.Attempt{StartedAt: now, Duration: 20 * time.Millisecond, StatusCode: 204},
		}})
	}

	deliveries, _ := store.Deliveries(ctx, webhook.DeliveryQuery{EventID: "evt_1"})
	for _, d := range deliveries {
		fmt.Println(d.ID, d.Status, "after", len(d.Attempts), "attempt")
	}
	// Output:
	// send {"event_id":"evt_1"} to webhook of wh_0123456789abcdef
	// dlv_1 succeeded after 1 attempt
}
