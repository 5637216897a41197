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

// samplingStore counts the calls of SampleBacklog, and lets them fail.
type samplingStore struct {
	webhook.Store
	calls atomic.Int32
	fails atomic.Bool
}

func (s *samplingStore) Capabilities() webhook.Capabilities {
	c := s.Store.Capabilities()
	c.Backlog = countedSamples{c.Backlog, s}
	return c
}

type countedSamples struct {
	webhook.BacklogStore
	s *samplingStore
}

func (c countedSamples) SampleBacklog(ctx context.Context, now time.Time) error {
	c.s.calls.Add(1)
	if c.s.fails.Load() {
		return errors.New("cannot count")
	}
	return c.BacklogStore.SampleBacklog(ctx, now)
}

// Run counts the backlog each minute. Nothing is known of the hours in which none was running.
func TestRunCountsTheBacklog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &samplingStore{Store: memstore.New()}
		var log bytes.Buffer
		b := benchOn(t, store, dispatch.Config{PollInterval: slowPoll,
			Logger: slog.New(slog.NewTextHandler(&log, nil))},
			func(context.Context, *channel.Message) (channel.Result, error) {
				return channel.Result{StatusCode: 200}, nil
			})
		sub := b.subscribe(t, "*")
		setPaused := func(paused bool) {
			sub.Paused = paused
			require.NoError(t, b.UpdateSubscription(t.Context(), sub))
		}
		setPaused(true)
		time.Sleep(time.Until(time.Now().Truncate(time.Hour).Add(time.Hour + time.Minute)))
		hour := time.Now().UTC().Truncate(time.Hour)
		b.emit(t, event.ObjectCreated)
		b.emit(t, event.ObjectCreated)
		require.NoError(t, b.Drain(t.Context()))
		assert.Zero(t, store.calls.Load(), "a Drain is over too soon")

		stop := b.run(t)
		time.Sleep(10*time.Minute + 10*time.Second)
		assert.EqualValues(t, 11, store.calls.Load(), "after 5 s, and each minute from then on")
		setPaused(false)
		time.Sleep(time.Hour)
		stop()
		time.Sleep(3 * time.Hour)
		stop = b.run(t)
		store.fails.Store(true)
		time.Sleep(10 * time.Minute)
		store.fails.Store(false)
		time.Sleep(10 * time.Minute)
		stop()

		want := []webhook.HourlyBacklog{{Hour: hour, Waiting: 2}, {Hour: hour.Add(time.Hour)},
			{Hour: hour.Add(4 * time.Hour)}}
		for _, q := range []webhook.BacklogQuery{{AllOrganizations: true},
			{OrganizationID: sub.OrganizationID}} {
			got, err := b.HourlyBacklog(t.Context(), q)
			require.NoError(t, err)
			assert.Equal(t, want, got)
		}
		assert.Equal(t, 1, strings.Count(log.String(),
			`msg="webhook: the store fails" op="count the backlog"`), log.String())
		assert.Equal(t, 1, strings.Count(log.String(),
			`msg="webhook: the store works again" op="count the backlog"`))
	})
}

func TestHourlyBacklogNeedsAStoreThatKeepsIt(t *testing.T) {
	t.Parallel()
	d, err := dispatch.New(incapable{memstore.New()}, dispatch.Config{Channels: channel.NewRegistry()})
	require.NoError(t, err)
	_, err = d.HourlyBacklog(t.Context(), webhook.BacklogQuery{})
	require.ErrorIs(t, err, dispatch.ErrNoBacklog)
	d, err = dispatch.New(memstore.New(), dispatch.Config{Channels: channel.NewRegistry()})
	require.NoError(t, err)
	hours, err := d.HourlyBacklog(t.Context(), webhook.BacklogQuery{OrganizationID: "\x00"})
	require.NoError(t, err)
	require.Empty(t, hours)
}
