//go:build unix

package sqlite_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/event"
	"github.com/mixpeek/webhooks-go/webhook"
	"github.com/mixpeek/webhooks-go/webhook/sqlite"
)

// BenchmarkPrefetched measures what most deliveries go through: they are enqueued in a batch,
// handed to the caller at once, and settled in a batch. It reports the processor time of one
// delivery, which says more than elapsed time on a busy machine.
func BenchmarkPrefetched(b *testing.B) {
	for _, size := range []int{64, 256} {
		for _, endpoints := range []int{1, 10, 100} {
			b.Run(fmt.Sprintf("batch=%d/endpoints=%d", size, endpoints), func(b *testing.B) {
				benchmarkPrefetched(b, size, endpoints)
			})
		}
	}
}

func benchmarkPrefetched(b *testing.B, size, endpoints int) {
	ctx := b.Context()
	s, err := sqlite.Open(ctx, filepath.Join(b.TempDir(), "webhooks.db"), sqlite.Config{})
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, s.Close()) })
	for i := range endpoints {
		require.NoError(b, s.CreateSubscription(ctx, &webhook.Subscription{
			ID: webhook.NewID(), Name: "bench",
			EventTypes: []event.Pattern{event.Pattern(fmt.Sprintf("bench.e%d", i))},
			Channels: []webhook.ChannelConfig{{Channel: "webhook",
				Configs: []byte(`{"url":"https://example.com"}`)}},
		}, webhook.Quota{}))
	}
	types := make([]string, endpoints)
	for i := range types {
		types[i] = fmt.Sprintf("bench.e%d", i)
	}
	payload := []byte(`{"event_id":"evt_1","metadata":{"filler":"` + strings.Repeat("x", 600) + `"}}`)
	accept := func(string, webhook.Endpoint) bool { return true }
	events := make([]webhook.NewEvent, size)
	settlements := make([]webhook.Settlement, size)
	n := 0
	var before, after syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &before))
	for b.Loop() {
		now := time.Now()
		for i := range events {
			n++
			events[i] = webhook.NewEvent{ID: event.NewID(), Type: types[n%endpoints], Payload: payload}
		}
		enqueued, err := s.Enqueue(ctx, now, events,
			&webhook.Prefetch{Until: now.Add(time.Minute), Take: accept})
		require.NoError(b, err)
		tasks := enqueued.Tasks
		for i := range tasks {
			settlements[i] = webhook.Settlement{
				Lease: tasks[i].Lease, Status: webhook.StatusSucceeded,
				Attempt: &webhook.Attempt{StartedAt: now, Duration: time.Millisecond, StatusCode: 200,
					Response: "ok"},
			}
		}
		refused, err := s.Settle(ctx, time.Now(), settlements)
		require.NoError(b, err)
		require.Empty(b, refused)
	}
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &after))
	spent := after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
	b.ReportMetric(float64(spent)/float64(n), "cpu-ns/delivery")
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "deliveries/s")
}
