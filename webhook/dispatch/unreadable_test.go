package dispatch_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/channel"
	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/dispatch"
	"github.com/mixpeek/webhooks-go/webhook/memstore"
)

// unreadableStore cannot read one subscription, and counts how often it is asked.
type unreadableStore struct {
	webhook.Store
	unreadable atomic.Value // of string
	reads      atomic.Int64
}

func (s *unreadableStore) Subscription(
	ctx context.Context, organizationID, id string,
) (*webhook.Subscription, error) {
	if id == s.unreadable.Load() {
		s.reads.Add(1)
		return nil, errors.New("sealed with a key that is missing")
	}
	return s.Store.Subscription(ctx, organizationID, id)
}

// A subscription that this process cannot read costs little, however long that lasts
// and however much waits for it, and its deliveries wait without an attempt.
func TestASubscriptionThatCannotBeRead(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		store := &unreadableStore{Store: memstore.New()}
		var log bytes.Buffer
		var sent atomic.Int64
		b := benchOn(t, store, dispatch.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))},
			func(context.Context, *channel.Message) (channel.Result, error) {
				sent.Add(1)
				return channel.Result{}, nil
			})
		unreadable := b.subscribe(t, "object.created")
		b.subscribe(t, "object.deleted")
		store.unreadable.Store(unreadable.ID)
		b.run(t)
		const backlog = 1000
		for range backlog {
			b.emit(t, event.ObjectCreated)
		}
		elapse(10 * time.Minute)
		assert.Less(t, store.reads.Load(), int64(100), "it is left alone for longer and longer")
		assert.Contains(t, log.String(),
			`msg="webhook: a subscription cannot be read, its deliveries wait" webhook_id=`+unreadable.ID+
				` error="sealed with a key that is missing"`)
		assert.LessOrEqual(t, strings.Count(log.String(), "cannot be read"), 11,
			"and logged once a minute")
		assert.Less(t, strings.Count(log.String(), "\n"), 200)
		b.emit(t, event.ObjectDeleted)
		elapse(time.Second)
		assert.EqualValues(t, 1, sent.Load(), "others are delivered to at once")

		store.unreadable.Store("")
		elapse(2 * time.Minute)
		assert.EqualValues(t, 1+backlog, sent.Load(), "nothing is lost")
		for _, d := range b.deliveries(t,
			webhook.DeliveryQuery{SubscriptionID: unreadable.ID, Limit: 2 * backlog}) {
			require.Equal(t, 1, d.Attempts[0].Number, "and waiting costs no attempt")
			require.Len(t, d.Attempts, 1)
		}
	})
}
