package fairqueue_test

import (
	"fmt"
	"testing"

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
