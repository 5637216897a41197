package api_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mixpeek/webhooks-go/webhook"
)

// slowLists is a store that counts the lists of webhooks it is asked for, and does not return before
// it is told to, whatever becomes of the context.
type slowLists struct {
	webhook.Store
	asked  atomic.Int64
	wait   chan struct{}
	panics atomic.Bool
}

func (s *slowLists) Subscriptions(
	ctx context.Context, q webhook.SubscriptionQuery,
) ([]*webhook.Subscription, error) {
	s.asked.Add(1)
	<-s.wait
	if s.panics.Load() {
		panic("no store")
	}
	return s.Store.Subscriptions(ctx, q)
}

// Health checks need no key. The API asks the store once at a time, and answers each request within
// the time that a check may take.
func TestHealthAsksOnceAtATime(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes hundredths of a second of CPU time")
	}
	synctest.Test(t, func(t *testing.T) {
		store := &slowLists{wait: make(chan struct{})}
		f := newFixture(t, options{store: func(s webhook.Store) webhook.Store {
			store.Store = s
			return store
		}})
		statuses := make(map[int]int)
		var mu sync.Mutex
		ask := func(n int) {
			var all sync.WaitGroup
			for range n {
				all.Go(func() {
					w := httptest.NewRecorder()
					f.api.ServeHTTP(w, httptest.NewRequest(http.MethodGet, prefix+"/health", nil))
					mu.Lock()
					defer mu.Unlock()
					statuses[w.Code]++
				})
			}
			all.Wait()
		}
		start := time.Now()
		ask(100)
		assert.Equal(t, 2*time.Second, time.Since(start))
		ask(100)
		assert.Equal(t, 2*time.Second, time.Since(start), "the store has had its time")
		require.Equal(t, map[int]int{http.StatusServiceUnavailable: 200}, statuses)
		assert.EqualValues(t, 1, store.asked.Load())

		close(store.wait) // it was asked with a context that has ended since
		synctest.Wait()
		time.Sleep(time.Second)
		ask(100)
		assert.Equal(t, 100, statuses[http.StatusOK])
		assert.EqualValues(t, 2, store.asked.Load(), "the answer is kept")
		time.Sleep(time.Second)
		store.panics.Store(true)
		ask(1)
		assert.EqualValues(t, 3, store.asked.Load())
		assert.Equal(t, 201, statuses[http.StatusServiceUnavailable])
		time.Sleep(time.Second)
		store.panics.Store(false)
		ask(1)
		assert.Equal(t, 101, statuses[http.StatusOK])
	})
}
