package dispatch

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/mixpeek/webhooks-go/webhook"
)

func TestHeldLeases(t *testing.T) {
	t.Parallel()
	end := time.Now().Add(time.Minute)
	var h heldLeases
	items := newItems(time.Time{}, []webhook.Task{
		{Lease: webhook.Lease{DeliveryID: 1, Token: 1}, Until: end},
		{Lease: webhook.Lease{DeliveryID: 2, Token: 1}, Until: end},
	})
	h.hold(items)
	first, second := items[0].Value, items[1].Value
	assert.Empty(t, h.expiring(end))
	assert.Len(t, h.expiring(end.Add(time.Second)), 2)
	h.recordExtended([]webhook.Lease{first.Lease, second.Lease}, []webhook.Lease{second.Lease},
		end.Add(time.Minute))
	assert.True(t, h.owns(first, end.Add(30*time.Second)))
	assert.False(t, h.owns(first, end.Add(time.Minute)), "ended")
	assert.False(t, h.owns(second, end), "lost")
	h.toExtend(end.Add(-time.Minute), time.Minute)
	assert.False(t, h.owns(first, end))
	h.release([]webhook.Lease{{DeliveryID: 1, Token: 2}})
	assert.Len(t, h.tasks, 2, "the lease of another token stays")
	h.release([]webhook.Lease{first.Lease, second.Lease})
	assert.Empty(t, h.tasks)
}

// A process claims again what it was too slow for, while a worker still has the earlier task. What
// the store says of the earlier lease does not keep the delivery from being attempted.
func TestALostLeaseIsNotTheLatest(t *testing.T) {
	t.Parallel()
	end := time.Now().Add(time.Minute)
	var h heldLeases
	claimed := newItems(time.Time{}, []webhook.Task{{Lease: webhook.Lease{DeliveryID: 1, Token: 1}, Until: end}})
	again := newItems(time.Time{}, []webhook.Task{{Lease: webhook.Lease{DeliveryID: 1, Token: 2}, Until: end}})
	h.hold(claimed)
	h.hold(again)
	assert.Empty(t, h.lose([]webhook.Lease{claimed[0].Value.Lease}))
	assert.True(t, h.owns(again[0].Value, end.Add(-time.Second)))
	assert.Len(t, h.lose([]webhook.Lease{again[0].Value.Lease}), 1)
	assert.False(t, h.owns(again[0].Value, end.Add(-time.Second)))
}

// What a process has claimed again is held by the latest lease, also if the task of the earlier one is
// queued once more, to be given back. That one is dropped.
func TestAnEarlierLeaseDoesNotReplaceTheLatest(t *testing.T) {
	t.Parallel()
	end := time.Now().Add(time.Minute)
	var h heldLeases
	claimed := newItems(time.Time{}, []webhook.Task{{Lease: webhook.Lease{DeliveryID: 1, Token: 1}, Until: end}})
	again := newItems(time.Time{}, []webhook.Task{{Lease: webhook.Lease{DeliveryID: 1, Token: 2}, Until: end}})
	h.hold(claimed)
	h.hold(again)
	h.hold(claimed)
	earlier, latest := claimed[0].Value, again[0].Value
	assert.Equal(t, []webhook.Lease{latest.Lease}, h.expiring(end.Add(time.Second)))
	assert.True(t, h.owns(latest, end.Add(-time.Second)))
	assert.False(t, h.owns(earlier, end.Add(-time.Second)))
	h.release([]webhook.Lease{earlier.Lease})
	assert.True(t, h.any())
}

// Deliveries of one event share its payload, which is kept in memory once.
func TestItemsSharePayloads(t *testing.T) {
	t.Parallel()
	one, other := []byte("one"), []byte("two")
	items := newItems(time.Time{}, []webhook.Task{{Payload: one}, {Payload: one}, {Payload: other}, {}, {}})
	assert.Same(t, items[0].PayloadSize, items[1].PayloadSize)
	assert.NotSame(t, items[1].PayloadSize, items[2].PayloadSize)
	assert.Equal(t, 3, items[2].PayloadSize.Bytes)
	assert.NotSame(t, items[3].PayloadSize, items[4].PayloadSize)
}
