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
// handed to the caller at once, settled in a batch, and pruned a hundred batches later. It reports
// the processor time of one delivery, which says more than elapsed time on a busy machine, and that
// of each part.
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
	n, rounds := 0, 0
	now := time.Now()
	parts := make(map[string]time.Duration)
	timed := func(part string, run func()) {
		before := cpuTime(b)
		run()
		parts[part] += cpuTime(b) - before
	}
	for b.Loop() {
		now = now.Add(time.Second)
		for i := range events {
			n++
			events[i] = webhook.NewEvent{ID: event.NewID(), Type: types[n%endpoints], Payload: payload}
		}
		var tasks []webhook.Task
		timed("enqueue", func() {
			enqueued, err := s.Enqueue(ctx, now, events,
				&webhook.Prefetch{Until: now.Add(time.Minute), Take: accept})
			require.NoError(b, err)
			tasks = enqueued.Tasks
		})
		for i := range tasks {
			settlements[i] = webhook.Settlement{
				Lease: tasks[i].Lease, Status: webhook.StatusSucceeded,
				Attempt: &webhook.Attempt{StartedAt: now, Duration: time.Millisecond, StatusCode: 200,
					Response: "ok"},
			}
		}
		timed("settle", func() {
			refused, err := s.Settle(ctx, now, settlements)
			require.NoError(b, err)
			require.Empty(b, refused)
		})
		if rounds++; rounds <= 100 {
			continue
		}
		timed("prune", func() {
			removed, err := s.Prune(ctx, now, webhook.PruneRequest{
				SucceededBefore: now.Add(time.Microsecond - 100*time.Second), Limit: 2*size + 1})
			require.NoError(b, err)
			require.Equal(b, 2*size, removed)
		})
	}
	var all float64
	for part, spent := range parts {
		deliveries := n
		if part == "prune" {
			deliveries = max(1, rounds-100) * size
		}
		each := float64(spent) / float64(deliveries)
		b.ReportMetric(each, part+"-ns/delivery")
		all += each
	}
	b.ReportMetric(all, "cpu-ns/delivery")
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "deliveries/s")
}

// cpuTime is the processor time of the process so far.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
