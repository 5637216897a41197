package dispatch_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
)

// The history of a delivery does not grow without end, because each attempt, and
// each list, pays for the whole of it.
func TestReplaysAreBounded(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, dispatch.Config{}, accept)
		b.subscribe(t, "*")
		b.run(t)
		b.emit(t, event.ObjectCreated)
		synctest.Wait()
		id := b.only(t).ID
		for range dispatch.MaxReplayed - 1 {
			require.NoError(t, b.Replay(t.Context(), "", id))
			time.Sleep(time.Second)
		}
		require.ErrorIs(t, b.Replay(t.Context(), "", id), webhook.ErrWrongStatus)
		b.emit(t, event.ObjectCreated)
		synctest.Wait()
		progress, err := b.ReplayAll(t.Context(), webhook.DeliveryQuery{Status: webhook.StatusSucceeded},
			dispatch.ReplayOptions{PerSecond: 1})
		require.NoError(t, err)
		assert.Equal(t, 1, progress.Replayed, "the other one")
		time.Sleep(time.Second)
		d, err := b.Delivery(t.Context(), "", id)
		require.NoError(t, err)
		assert.Len(t, d.Attempts, dispatch.MaxReplayed)
		assert.Equal(t, webhook.StatusSucceeded, d.Status)
	})
}

// A replay of which it is not known where it ended can be made again without replaying
// what the first one has.
func TestReplayAllLeavesAloneWhatWasSettledSince(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, dispatch.Config{},
			func(context.Context, *channel.Message) (channel.Result, error) {
				return channel.Result{}, &channel.Error{Action: channel.Permanent, Class: channel.ClassRejected}
			})
		b.run(t)
		b.subscribe(t, "object.*")
		for range 3 {
			b.emit(t, event.ObjectCreated)
		}
		elapse(time.Second)
		tried := time.Now()
		dead := webhook.DeliveryQuery{Status: webhook.StatusDead}
		for _, want := range []int{3, 0} {
			progress, err := b.ReplayAll(t.Context(), dead,
				dispatch.ReplayOptions{PerSecond: 1000, SettledBefore: tried})
			require.NoError(t, err)
			assert.Equal(t, want, progress.Replayed)
			elapse(time.Second)
			require.Len(t, b.deliveries(t, dead), 3, "they have died again")
		}
	})
}
