package fairqueue_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/mixpeek/webhooks-go/webhook/dispatch/internal/breaker"
	"github.com/mixpeek/webhooks-go/webhook/dispatch/internal/fairqueue"
)

// BenchmarkQueue is what the queue costs for one delivery, from Push to Finish, of a thousand
// endpoints of a hundred organizations.
func BenchmarkQueue(b *testing.B) {
	q, _ := newQueue(fairqueue.Limits{
		InFlight: 2048, InFlightPerEndpoint: 16, Buffered: 4096, BufferedPerEndpoint: 128,
	})
	destinations := make([]fairqueue.Destination, 1000)
	for i := range destinations {
		destinations[i] = endpoint(fmt.Sprint("org", i%100), fmt.Sprint("wh", i))
		known(q, 16, destinations[i])
	}
	host := fairqueue.Host{Name: "a.example"}
	payload := &fairqueue.PayloadSize{Bytes: 100}
	b.ReportAllocs()
	batch := make([]*item, 64)
	for n := 0; n < b.N; n += len(batch) {
		for i := range batch {
			batch[i] = &item{
				ID: int64(n + i), Destination: destinations[(n+i)%len(destinations)], PayloadSize: payload,
			}
		}
		q.Push(batch)
		for range batch {
			next := q.Next()
			q.TryBegin(next, host, fairqueue.RateLimit{})
			q.Finish(next, healthy)
		}
	}
}

// BenchmarkPlanClaim is what a round of the claim loop costs under the lock, beside 50,000
// endpoints of one organization that have asked for a backoff of a day: without anything in the
// store for them, and with a delivery each.
func BenchmarkPlanClaim(b *testing.B) {
	for _, backlog := range []bool{false, true} {
		b.Run(fmt.Sprint("backlog=", backlog), func(b *testing.B) {
			q, _ := newQueue(fairqueue.Limits{
				InFlight: 2048, InFlightPerEndpoint: 16, Buffered: 4096, BufferedPerEndpoint: 128,
			})
			for i := range 50_000 {
				e := endpoint("crowd", fmt.Sprint("wh", i))
				q.Push(items(int64(i), 1, e))
				q.Finish(begin(b, q, noHost), breaker.Observation{
					Health: breaker.Unhealthy, RetryAfter: 24 * time.Hour,
				})
				if backlog {
					q.MarkBacklog([]fairqueue.Destination{e})
				}
			}
			b.ReportAllocs()
			for b.Loop() {
				q.RescheduleAll()
				plan := q.PlanClaim()
				q.RecordClaim(nil, plan)
			}
		})
	}
}
